"""The append-only history of a report: what, who, when, public or internal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.jobs import bell
from city.registry.staff.people import Staff
from city.registry.tables import Person
from city.reports import journey
from city.reports.desk_tables import Watcher
from city.reports.lifecycle import State
from city.reports.tables import HANDED_OVER, Report, TimelineEntry

NoteOf = Callable[[TimelineEntry], str | None]


def note_down(
    session: WriteSession,
    report: Report,
    what: str,
    *,
    staff: Staff | None = None,
    actor: str | None = None,
    is_public: bool,
    from_state: str | None = None,
    to_state: str | None = None,
    note: str | None = None,
    details: dict[str, Any] | None = None,
) -> TimelineEntry:
    """Add an entry: by `staff`, or by `actor` (see there); now, or when the session says it happened."""
    entry = TimelineEntry(
        municipality_id=report.municipality_id,
        report_id=report.id,
        what=what,
        actor="staff" if staff else actor or "system",
        person_id=staff.person_id if staff else None,
        is_public=is_public,
        from_state=from_state,
        to_state=to_state,
        note=note,
        details=details or {},
    )
    if session.happened_at is not None:
        entry.at, entry.transaction = session.happened_at, None
    session.add(entry)
    session.flush()
    session.after_commit(bell.ring)
    if _is_watched(session, entry):
        journey.after_entry(session, report.municipality_id, report.id)
    if is_public and report.source == HANDED_OVER:
        journey.after_news_there(session, report.municipality_id, report.id)
    return entry


def _is_watched(session: ReadSession, entry: TimelineEntry) -> bool:
    """Whether anybody but its author waits for news of the report."""
    watchers = select(Watcher.person_id).where(
        Watcher.municipality_id == entry.municipality_id, Watcher.report_id == entry.report_id
    )
    if entry.person_id is not None:
        watchers = watchers.where(Watcher.person_id != entry.person_id)
    return session.scalar(watchers.limit(1)) is not None


def history(
    session: ReadSession, municipality_id: int, report_id: UUID, *, internal: bool, note_of: NoteOf = attrgetter("note")
) -> list[dict[str, Any]]:
    """The entries in order, as JSON values; without `internal` only what the reporter may read.

    `note_of` gives the words that go with an entry, where these are not to be as they were written down.
    """
    entries = session.execute(
        select(TimelineEntry, Person.name)
        .outerjoin(
            Person,
            (Person.municipality_id == TimelineEntry.municipality_id) & (Person.id == TimelineEntry.person_id),
        )
        .where(TimelineEntry.municipality_id == municipality_id, TimelineEntry.report_id == report_id)
        .where(TimelineEntry.is_public | internal)
        .order_by(TimelineEntry.id)
    )
    return [_as_json(entry, note_of(entry), name, internal=internal) for entry, name in entries]


def stops(session: ReadSession, report: Report) -> list[tuple[datetime, datetime]]:
    """From when to when the report has waited, or was over; without what lasts still."""
    entries = session.scalars(
        select(TimelineEntry)
        .where(
            TimelineEntry.municipality_id == report.municipality_id,
            TimelineEntry.report_id == report.id,
            TimelineEntry.what.not_like("master_%"),
        )
        .order_by(TimelineEntry.id)
    )
    found: list[tuple[datetime, datetime]] = []
    stopped_at: datetime | None = None
    for entry in entries:
        if entry.to_state is None:
            continue
        state = State(entry.to_state)
        runs = state.is_open and state is not State.WAITING
        if stopped_at is not None and runs:
            found.append((stopped_at, entry.at))
        stopped_at = None if runs else stopped_at or entry.at
    return found


def _as_json(entry: TimelineEntry, note: str | None, name: str | None, *, internal: bool) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "at": entry.at.isoformat(),
        "what": entry.what,
        "actor": entry.actor,
        "from_state": entry.from_state,
        "to_state": entry.to_state,
        "note": note,
    }
    if internal:
        seen |= {"is_public": entry.is_public, "person": name, "details": entry.details}
    return seen
