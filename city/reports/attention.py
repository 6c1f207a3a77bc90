"""Who of the staff hears of a report: those who watch it and those who are asked to look; and what they have seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from city.database import WriteSession
from city.errors import Conflict
from city.registry.staff.people import Right
from city.reports import journey
from city.reports.changing import Desk, locked
from city.reports.desk_tables import Mention, Watcher
from city.reports.tables import Report, TimelineEntry

MOST_WATCHED: Final = 1_000
"""Reports that one person watches."""


class Asked(NamedTuple):
    """Somebody is asked to look at a report, for what an entry of its history says."""

    kind: str
    person_id: int
    by: int
    entry_id: int
    report_id: UUID


def ask(desk: Desk, kind: str, person_id: int, entry: TimelineEntry) -> None:
    """Write to a colleague, unless it is oneself: at once, or with all others that are `gathered`."""
    if person_id == desk.staff.person_id:
        return
    asked = Asked(kind, person_id, desk.staff.person_id, entry.id, entry.report_id)
    gathering: list[Asked] | None = desk.session.info.get("asked")
    if gathering is None:
        write_to(desk.session, desk.municipality.id, [asked])
    else:
        gathering.append(asked)


@contextmanager
def gathered(session: WriteSession) -> Iterator[list[Asked]]:
    """Whoever is asked in this block, to be written to later: once for many reports."""
    asked: list[Asked] = []
    session.info["asked"] = asked
    try:
        yield asked
    finally:
        del session.info["asked"]


def write_to(session: WriteSession, municipality_id: int, asked: Iterable[Asked]) -> None:
    """Promise one letter of each kind to each of them, about the entries from the first to the last."""
    letters: dict[tuple[str, int, int], list[Asked]] = defaultdict(list)
    for one in asked:
        letters[one.kind, one.person_id, one.by].append(one)
    for (kind, person_id, by), about in letters.items():
        entries = [one.entry_id for one in about]
        which: dict[str, Any] = {"person_id": person_id, "by": by, "first": min(entries), "last": max(entries)}
        if len({one.report_id for one in about}) == 1:
            which["report_id"] = str(about[0].report_id)
        journey.letters(session, municipality_id, kind, **which)


def watch(desk: Desk, report_id: UUID) -> bool:
    """Hear from now on what others do with the report; whether that is new. Raises NotFound, Forbidden, Conflict."""
    _readable(desk, report_id)
    if desk.staff.home_id != desk.municipality.id:
        raise Conflict("colleagues.not_employed", municipality=desk.municipality.name)
    watched = desk.session.scalar(
        select(func.count())
        .select_from(Watcher)
        .where(Watcher.municipality_id == desk.municipality.id, Watcher.person_id == desk.staff.person_id)
    )
    if (watched or 0) >= MOST_WATCHED:
        raise Conflict("watching.too_many", most=MOST_WATCHED)
    row = desk.session.execute(
        insert(Watcher)
        .values(
            municipality_id=desk.municipality.id,
            person_id=desk.staff.person_id,
            report_id=report_id,
            told_id=_newest(desk, report_id),
        )
        .on_conflict_do_nothing()
        .returning(Watcher.report_id)
    ).first()
    return row is not None


def unwatch(desk: Desk, report_id: UUID) -> bool:
    """Hear of it no more; whether one did until now."""
    row = desk.session.get(Watcher, (desk.municipality.id, desk.staff.person_id, report_id))
    if row is None:
        return False
    desk.session.delete(row)
    return True


def mark_seen(desk: Desk, report_id: UUID) -> None:
    """Note that one knows all that has happened to the report until now: neither list nor letter needs to say it.

    Raises NotFound, Forbidden.
    """
    _readable(desk, report_id)
    newest = _newest(desk, report_id)
    mine = {"municipality_id": desk.municipality.id, "person_id": desk.staff.person_id, "report_id": report_id}
    desk.session.execute(
        update(Mention)
        .filter_by(**mine)
        .where(Mention.seen_at.is_(None), Mention.entry_id <= newest)
        .values(seen_at=func.now())
    )
    desk.session.execute(update(Watcher).filter_by(**mine).where(Watcher.told_id < newest).values(told_id=newest))


def _readable(desk: Desk, report_id: UUID) -> Report:
    """The report, locked: nothing is added to its history meanwhile."""
    report = locked(desk.session, desk.municipality.id, report_id)
    desk.check(report, Right.READ)
    return report


def _newest(desk: Desk, report_id: UUID) -> int:
    newest = desk.session.scalar(
        select(func.max(TimelineEntry.id)).where(
            TimelineEntry.municipality_id == desk.municipality.id, TimelineEntry.report_id == report_id
        )
    )
    return newest or 0
