"""Letters about reports whose time runs out: one to each person for all that have climbed the ladder in one turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.messages.letter import Letter
from city.messages.posting import About, Kind
from city.messages.recipients import Recipient, administrators, crew, heads, office, readers
from city.messages.staff_letters import MOST_LISTED, named
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.reports.tables import Report, TimelineEntry
from city.texts import text


class _Climbed(NamedTuple):
    report: Report
    told: list[str]


class _Audiences:
    """Who is written to about a report; each asked for once."""

    def __init__(self, session: ReadSession, municipality: MunicipalityView) -> None:
        self._session = session
        self._municipality = municipality
        self._known: dict[tuple[Any, ...], list[Recipient]] = {}

    def of(self, climbed: _Climbed) -> Iterator[Recipient]:
        """Those whom the rungs name, as the report's department, crew and person are now."""
        report = climbed.report
        for audience in climbed.told:
            standing = (report.department_id, report.crew_id, report.category_id, *report.zone_ids)
            key = (audience, report.person_id, *standing)
            if key not in self._known:
                self._known[key] = self._find(audience, report)
            yield from self._known[key]

    def _find(self, audience: str, report: Report) -> list[Recipient]:
        session, municipality = self._session, self._municipality
        if audience == "administrator":
            return administrators(session, municipality, report)
        if audience == "head":
            return heads(session, municipality, report) or administrators(session, municipality, report)
        if audience == "person":
            found = readers(session, municipality, [report.person_id], report)
            if not found and report.crew_id is not None:
                found = crew(session, municipality, report)
            return found or office(session, municipality, report)
        return office(session, municipality, report)


def _recipients(session: WriteSession, municipality: MunicipalityView, about: About) -> list[Recipient]:
    audiences = _Audiences(session, municipality)
    found: dict[str, Recipient] = {}
    for climbed in _climbed(session, municipality, about):
        for to in audiences.of(climbed):
            known = found.setdefault(to.address.lower(), to)
            if known.person_id is None and to.person_id is not None:
                found[to.address.lower()] = to
    return list(found.values())


def _compose(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    audiences, address = _Audiences(session, municipality), delivery.address.lower()
    mine = {
        climbed.report.id: climbed.report
        for climbed in _climbed(session, municipality, delivery.about)
        if any(to.address.lower() == address for to in audiences.of(climbed))
    }
    if not mine:
        return None
    language = delivery.language
    reports = sorted(mine.values(), key=lambda report: (report.deadline_at, report.number))
    lines = [_line(municipality, report, language) for report in reports[:MOST_LISTED]]
    if len(reports) > MOST_LISTED:
        lines.append(text("staff_letter.more", language=language, more=len(reports) - MOST_LISTED))
    values = {"number": reports[0].number, "reports": len(reports)}
    many = "many" if len(reports) > 1 else "one"
    return Letter(
        subject=text(f"ladder.subject_{many}", language=language, **values),
        heading=text(f"ladder.heading_{many}", language=language, **values),
        happened=lines,
        next_step=text("ladder.what_to_do", language=language),
        footer=text("staff_letter.footer", language=language, municipality=municipality.name),
    )


def _line(municipality: MunicipalityView, report: Report, language: str) -> str:
    line = named(municipality, report, language)
    if report.promised_at is None:
        return line
    promised = municipality.local(report.promised_at).strftime("%d/%m/%Y")
    return f"{line}; {text('ladder.promised', language=language, promised=promised)}"


def _climbed(session: ReadSession, municipality: MunicipalityView, about: About) -> list[_Climbed]:
    """What has climbed in that turn and is still open and not waiting."""
    rows = session.execute(
        select(Report, TimelineEntry.details)
        .join(
            TimelineEntry,
            (TimelineEntry.municipality_id == Report.municipality_id) & (TimelineEntry.report_id == Report.id),
        )
        .where(
            TimelineEntry.municipality_id == municipality.id,
            TimelineEntry.id.between(about["first"], about["last"]),
            TimelineEntry.what == "escalated",
            Report.is_open,
            Report.paused_at.is_(None),
        )
        .order_by(TimelineEntry.id)
    )
    return [_Climbed(report, details["told"]) for report, details in rows]


ESCALATED: Final = Kind(_recipients, _compose)
