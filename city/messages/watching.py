"""Whoever watches reports hears of what others do with them: one mail for all that has happened since the last one.

A watcher's row says up to which entry they were told. Under its lock all news since then become one delivery, which
carries its own range for each report: so a job that runs twice finds nothing left, and while the mail server is away
nothing is lost or told twice.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.messages.letter import Letter, quoted
from city.messages.posting import post
from city.messages.staff_letters import named
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.registry.staff.colleagues import colleagues
from city.registry.staff.people import Right, Staff
from city.registry.tables import Person
from city.reports.desk_tables import Watcher
from city.reports.tables import Report, TimelineEntry
from city.texts import catalogue, text

KIND: Final = "watched"
MOST_TOLD: Final = 40
"""Entries that one letter tells of; how many more there are it says."""

_NEWS: Final = """
SELECT watcher.report_id, watcher.told_id, max(entry.id), bool_or(entry.person_id IS DISTINCT FROM watcher.person_id)
FROM watcher
JOIN timeline_entry AS entry ON entry.municipality_id = watcher.municipality_id
  AND entry.report_id = watcher.report_id AND entry.id > watcher.told_id
WHERE watcher.municipality_id = %(municipality_id)s AND watcher.person_id = %(person_id)s
GROUP BY watcher.report_id, watcher.told_id ORDER BY watcher.report_id
"""
_TOLD: Final = """
UPDATE watcher SET told_id = %(told_id)s
WHERE municipality_id = %(municipality_id)s AND person_id = %(person_id)s AND report_id = %(report_id)s
"""


def queue(session: WriteSession, municipality: MunicipalityView, report_id: UUID) -> None:
    """Put down that those who watch the report are to be told all their news."""
    watching = session.scalars(
        select(Watcher.person_id)
        .where(Watcher.municipality_id == municipality.id, Watcher.report_id == report_id)
        .order_by(Watcher.person_id)
    ).all()
    for watcher in sorted(colleagues(session, municipality, watching), key=lambda one: one.person_id):
        _gather(session, municipality, watcher)


def deliver(session: WriteSession, municipality: MunicipalityView) -> str | None:
    """Send what is put down for watchers and nobody else is sending; what kept it from being sent, or None."""
    waiting = session.scalars(
        select(Delivery)
        .where(Delivery.municipality_id == municipality.id, Delivery.kind == KIND, Delivery.state == "queued")
        .order_by(Delivery.created_at, Delivery.id)
        .with_for_update(skip_locked=True)
    ).all()
    return post(session, municipality, waiting, compose)


def _gather(session: WriteSession, municipality: MunicipalityView, watcher: Staff) -> None:
    whose = {"municipality_id": municipality.id, "person_id": watcher.person_id}
    session.execute(select(Watcher.report_id).filter_by(**whose).order_by(Watcher.report_id).with_for_update()).all()
    news: list[list[Any]] = []
    for report_id, told, newest, by_others in session.raw.execute(_NEWS, whose).fetchall():
        session.raw.execute(_TOLD, whose | {"report_id": report_id, "told_id": newest})
        if by_others:
            news.append([str(report_id), told, newest])
    if news:
        session.add(
            Delivery(
                municipality_id=municipality.id,
                kind=KIND,
                report_id=UUID(news[0][0]) if len(news) == 1 else None,
                about={"news": news},
                once=f"{KIND} {watcher.person_id} {max(newest for _, _, newest in news)}",
                person_id=watcher.person_id,
                address=watcher.email,
                language=watcher.language,
                subject="",
            )
        )
        session.flush()


def compose(session: ReadSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    """The letter that tells of the delivery's ranges; None where its reader may not read those reports any more."""
    reader = next(iter(colleagues(session, municipality, [delivery.person_id or 0])), None)
    if reader is None:
        return None
    language = delivery.language
    lines: list[str] = []
    numbers: list[str] = []
    entries = 0
    for report_id, after, upto in delivery.about["news"]:
        report = session.get(Report, (municipality.id, UUID(report_id)))
        if report is None or not reader.may(Right.READ, report, municipality):
            continue
        told = _entries(session, report, reader, after, upto)
        if not told:
            continue
        numbers.append(report.number)
        entries += len(told)
        if entries <= MOST_TOLD:
            lines.append(named(municipality, report, language))
            for entry, name in told:
                lines += _said(municipality, entry, name, language)
    if not numbers:
        return None
    if entries > MOST_TOLD:
        lines.append(text("watching.more", language=language, entries=entries))
    values = {"number": numbers[0], "reports": len(numbers)}
    many = "many" if len(numbers) > 1 else "one"
    return Letter(
        subject=text(f"watching.subject_{many}", language=language, **values),
        heading=text(f"watching.heading_{many}", language=language, **values),
        happened=lines,
        footer=text("watching.footer", language=language, municipality=municipality.name),
    )


def _entries(
    session: ReadSession, report: Report, reader: Staff, after: int, upto: int
) -> list[tuple[TimelineEntry, str | None]]:
    found = session.execute(
        select(TimelineEntry, Person.name)
        .outerjoin(
            Person, (Person.municipality_id == TimelineEntry.municipality_id) & (Person.id == TimelineEntry.person_id)
        )
        .where(
            TimelineEntry.municipality_id == report.municipality_id,
            TimelineEntry.report_id == report.id,
            TimelineEntry.id > after,
            TimelineEntry.id <= upto,
            TimelineEntry.person_id.is_distinct_from(reader.person_id),
        )
        .order_by(TimelineEntry.id)
    )
    return [(entry, name) for entry, name in found]


def _said(municipality: MunicipalityView, entry: TimelineEntry, name: str | None, language: str) -> list[str]:
    who = name or text(f"watching.{entry.actor}", language=language)
    lines = [f"{_local(municipality, entry.at)}, {who}: {happened(entry, language)}"]
    if entry.note:
        lines.append(quoted(entry.note, language))
    return lines


def happened(entry: TimelineEntry, language: str) -> str:
    """What an entry says, in few words; one of a kind unknown here is called by what the reporter's page calls it."""
    state = text(f"state.{entry.to_state}", language=language).lower() if entry.to_state else ""
    details = {key: value for key, value in entry.details.items() if isinstance(value, str | int)}
    what = entry.what
    if what in {"person", "crew"} and not details.get("name" if what == "person" else "crew"):
        what = f"no_{what}"
    for key in (f"watched.{what}", f"page.what.{what}"):
        if key in catalogue():
            with contextlib.suppress(KeyError):  # an entry of long ago may lack a detail that is said today
                return text(key, language=language, **details | {"state": state})
    return text("watched.other", language=language)


def _local(municipality: MunicipalityView, at: datetime) -> str:
    return municipality.local(at).strftime("%d/%m %H:%M")
