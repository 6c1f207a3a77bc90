"""The letter to a reporter: what has happened to the report since the last one, and what comes next."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import select

from city.database import ReadSession
from city.messages.letter import Letter
from city.registry.view import MunicipalityView
from city.reports.deadlines import next_step
from city.reports.lifecycle import State
from city.reports.receipts import receipt_token
from city.reports.tables import Report, TimelineEntry
from city.settings import settings
from city.texts import text


def compose(
    session: ReadSession, municipality: MunicipalityView, report: Report, entries: list[TimelineEntry], language: str
) -> Letter:
    """The letter that tells of `entries`."""
    values = _values(municipality, report.category_id, report.department_id, language)
    told_at = report.promised_at or report.deadline_at
    values |= {"deadline": municipality.local(told_at).strftime("%d/%m/%Y")}
    state = _state_then(report, entries)
    return Letter(
        subject=subject(report, entries, language),
        heading=text("mail.heading", language=language, number=report.number, **values),
        happened=[line for entry in entries for line in _happened(municipality, entry, language, values)],
        next_step=text(next_step(state, told_at, datetime.now(UTC)), language=language, **values),
        facts=_facts(session, report, state, language, values),
        link=f"{settings().public_url.rstrip('/')}/r/{report.number}?token={receipt_token(report.id)}",
        footer=text("mail.footer", language=language, **values),
        button=text("mail.button", language=language),
    )


def subject(report: Report, entries: list[TimelineEntry], language: str) -> str:
    """The subject of the letter that tells of `entries`."""
    if entries[0].what == "received":
        return text("mail.subject_received", language=language, number=report.number)
    if moves := [entry.to_state for entry in entries if entry.to_state]:
        state = text(f"state.{moves[-1]}", language=language)
        return text("mail.subject_state", language=language, number=report.number, state=state.lower())
    return text("mail.subject_update", language=language, number=report.number)


def _values(municipality: MunicipalityView, category_id: int, department_id: int, language: str) -> dict[str, str]:
    return {
        "category": municipality.category_ids[category_id].name(language),
        "department": municipality.by_id[department_id].name(language),
        "municipality": municipality.name,
    }


def _facts(
    session: ReadSession, report: Report, state: State, language: str, values: dict[str, str]
) -> list[tuple[str, str]]:
    said = [("number", report.number), ("category", values["category"])]
    if report.address:
        said.append(("place", report.address))
    said += [("department", values["department"]), ("state", text(f"state.{state.value}", language=language))]
    if report.promised_at is not None and report.is_open:
        said.append(("promised", values["deadline"]))
    people = report.people
    if report.master_id is not None:
        number, master_state, people = session.execute(
            select(Report.number, Report.state, Report.people).where(
                Report.municipality_id == report.municipality_id, Report.id == report.master_id
            )
        ).one()
        said.append(("joined", f"{number}: {text(f'state.{master_state}', language=language).lower()}"))
    if people > 1:
        said.append(("people", text("mail.people_number", language=language, people=people)))
    return [(text(f"mail.{name}", language=language), value) for name, value in said]


def _state_then(report: Report, entries: list[TimelineEntry]) -> State:
    """The report's state when the last of `entries` was written: it may have moved on since, and that is told next."""
    own = [entry.to_state for entry in entries if entry.to_state and not entry.what.startswith("master_")]
    return State(own[-1] if own else report.state)


def _happened(municipality: MunicipalityView, entry: TimelineEntry, language: str, values: dict[str, str]) -> list[str]:
    state = text(f"state.{entry.to_state}", language=language).lower() if entry.to_state else ""
    filled = values | {"master": entry.details.get("master", ""), "state": state}
    if until := entry.details.get("until"):
        filled["until"] = date.fromisoformat(until).strftime("%d/%m/%Y")
    if entry.what == "master_news":
        of_master = _values(municipality, entry.details["category_id"], entry.details["department_id"], language)
        filled["news"] = text(f"happened.{entry.details['what']}", language=language, **filled | of_master)
    lines = [text(f"happened.{entry.what}", language=language, **filled)]
    if entry.note:
        lines.append(f"«{entry.note}»" if language == "it" else f"“{entry.note}”")
    return lines
