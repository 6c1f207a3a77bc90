"""Letters to colleagues who are asked to look at reports: given to them to look after, or named in a note.

Such a letter tells of the entries from one number to another that one author wrote about one person, so that many
reports given at once make one letter. What has been taken back or seen meanwhile is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, String, cast, select

from city.database import ReadSession, WriteSession
from city.messages.letter import Letter, quoted
from city.messages.posting import About, Kind
from city.messages.recipients import Recipient, people
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.registry.staff.colleagues import colleagues
from city.registry.staff.people import Right
from city.registry.tables import Person
from city.reports.desk_tables import Mention
from city.reports.tables import Report, TimelineEntry
from city.texts import text

MOST_LISTED: Final = 50
"""Reports that one letter lists; how many more there are it says."""


class _Told(NamedTuple):
    report: Report
    entry: TimelineEntry


def _one(session: WriteSession, municipality: MunicipalityView, about: About) -> list[Recipient]:
    return people(session, municipality, [about["person_id"]])


def _assigned(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    about = delivery.about
    found = session.execute(
        select(Report, TimelineEntry)
        .join(TimelineEntry, _same_report())
        .where(
            *_between(municipality, about),
            TimelineEntry.what == "person",
            cast(TimelineEntry.details["to"], String) == str(about["person_id"]),
            Report.person_id == about["person_id"],
            Report.is_open,
        )
        .order_by(TimelineEntry.id)
    )
    told = _readable(session, municipality, about["person_id"], [_Told(*row) for row in found])
    return _letter(session, municipality, delivery, "assigned", told)


def _mentioned(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    about = delivery.about
    found = session.execute(
        select(Report, TimelineEntry)
        .join(TimelineEntry, _same_report())
        .join(
            Mention,
            (Mention.municipality_id == TimelineEntry.municipality_id) & (Mention.entry_id == TimelineEntry.id),
        )
        .where(*_between(municipality, about), Mention.person_id == about["person_id"], Mention.seen_at.is_(None))
        .order_by(TimelineEntry.id)
    )
    told = _readable(session, municipality, about["person_id"], [_Told(*row) for row in found])
    return _letter(session, municipality, delivery, "mentioned", told)


ASSIGNED: Final = Kind(_one, _assigned)
MENTIONED: Final = Kind(_one, _mentioned)


def named(municipality: MunicipalityView, report: Report, language: str) -> str:
    """A report in one line: number, what, where and by when."""
    category = municipality.category_ids[report.category_id].name(language)
    said = [f"{report.number}: {category}", *([report.address] if report.address else [])]
    if report.is_open:
        due = municipality.local(report.deadline_at).strftime("%d/%m/%Y")
        said.append(text("staff_letter.due", language=language, deadline=due))
    return ", ".join(said)


def _same_report() -> ColumnElement[bool]:
    return (TimelineEntry.municipality_id == Report.municipality_id) & (TimelineEntry.report_id == Report.id)


def _between(municipality: MunicipalityView, about: About) -> tuple[ColumnElement[bool], ...]:
    return (
        Report.municipality_id == municipality.id,
        TimelineEntry.id.between(about["first"], about["last"]),
        TimelineEntry.person_id == about["by"],
    )


def _readable(
    session: ReadSession, municipality: MunicipalityView, person_id: int, told: Sequence[_Told]
) -> list[_Told]:
    reader = next(iter(colleagues(session, municipality, [person_id])), None)
    if reader is None:
        return []
    return [one for one in told if reader.may(Right.READ, one.report, municipality)]


def _letter(
    session: ReadSession, municipality: MunicipalityView, delivery: Delivery, kind: str, told: Sequence[_Told]
) -> Letter | None:
    if not told:
        return None
    language, number = delivery.language, len({one.report.id for one in told})
    by = session.scalar(
        select(Person.name).where(Person.municipality_id == municipality.id, Person.id == delivery.about["by"])
    )
    many = "many" if number > 1 else "one"
    values = {
        "by": by or text("staff_letter.somebody", language=language),
        "reports": number,
        "number": told[0].report.number,
    }
    lines: list[str] = []
    notes = {one.entry.note for one in told if one.entry.note}
    for one in told[:MOST_LISTED]:
        lines.append(named(municipality, one.report, language))
        if one.entry.note and len(notes) > 1:
            lines.append(quoted(one.entry.note, language))
    if len(notes) == 1:
        lines.append(quoted(notes.pop(), language))
    if len(told) > MOST_LISTED:
        lines.append(text("staff_letter.more", language=language, more=len(told) - MOST_LISTED))
    return Letter(
        subject=text(f"staff_letter.{kind}.subject_{many}", language=language, **values),
        heading=text(f"staff_letter.{kind}.heading_{many}", language=language, **values),
        happened=lines,
        footer=text("staff_letter.footer", language=language, municipality=municipality.name),
    )
