"""The letter to a reporter: what has happened to the report since the last one, and what comes next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy import select

from city.database import ReadSession
from city.messages.letter import Letter, quoted
from city.messages.notices.mentions import note_of
from city.registry.municipality import MunicipalityView
from city.reports import hearing
from city.reports.deadlines import next_step
from city.reports.dialogue import feedback
from city.reports.dialogue.reopening import ENDED_WELL
from city.reports.dialogue.tables import Question
from city.reports.lifecycle import State
from city.reports.receipts import receipt_token
from city.reports.tables import Report, TimelineEntry
from city.settings import settings
from city.texts import catalogue, text

OUTCOMES: Final = frozenset({State.RESOLVED.value, State.CLOSED.value, State.REJECTED.value})
"""Where a report's way ends with an answer."""
_NAMED: Final = frozenset({"answered", "asked", "promised"})
"""What has a subject of its own, if it is the last that happened."""
_DATED: Final = frozenset({"next.assigned", "next.planned"})


def compose(
    session: ReadSession,
    municipality: MunicipalityView,
    report: Report,
    entries: list[TimelineEntry],
    language: str,
    *,
    token: str | None = None,
) -> Letter:
    """The letter that tells of `entries`; `token` stands in the link in place of the receipt token."""
    values = _values(municipality, report.category_id, report.department_id, language)
    told_at = report.promised_at or report.deadline_at
    values |= {"deadline": municipality.local(told_at).strftime("%d/%m/%Y")}
    state = _state_then(report, entries)
    question = _asked(session, report, entries) if state is State.WAITING else None
    if question is not None:
        until = municipality.local(question.due_at).strftime("%d/%m/%Y")
        comes = text("next.asked", language=language, until=until)
    else:
        comes = text(_next_step(report, state, entries), language=language, **values)
    letter = Letter(
        subject=subject(report, entries, language),
        heading=text("mail.heading", language=language, number=report.number, **values),
        happened=[line for entry in entries for line in _happened(session, municipality, entry, language, values)],
        next_step=comes,
        facts=report_facts(session, municipality, report, state, language),
        link=receipt_link(report, token) + ("#question" if question else ""),
        footer=text("mail.footer", language=language, **values),
        button=text("mail.answer" if question else "mail.button", language=language),
        choices_line=text("feedback.asked", language=language),
        choices=_ratings(session, report, entries, language, token),
    )
    return letter if _is_awaited(entries) else with_end(letter, report, language, token)


def subject(report: Report, entries: list[TimelineEntry], language: str) -> str:
    """The subject of the letter that tells of `entries`."""
    if entries[0].what == "received":
        return text("mail.subject_received", language=language, number=report.number)
    last = entries[-1]
    if last.what in _NAMED:
        until = _day(last.details["until"]) if "until" in last.details else ""
        return text(f"mail.subject_{last.what}", language=language, number=report.number, until=until)
    if moves := [entry.to_state for entry in entries if entry.to_state]:
        state = text(f"state.{moves[-1]}", language=language)
        return text("mail.subject_state", language=language, number=report.number, state=state.lower())
    return text("mail.subject_update", language=language, number=report.number)


def receipt_link(report: Report, token: str | None = None) -> str:
    """The page of the report, for whoever reported it."""
    return f"{settings().public_url.rstrip('/')}/r/{report.number}?token={token or receipt_token(report.id)}"


def with_end(letter: Letter, report: Report, language: str, token: str | None = None) -> Letter:
    """The letter, with what makes it the last one: for one click, and in words at the foot.

    Whoever has asked for that gets no letter about the report any more that bears it.
    """
    link = f"{settings().public_url.rstrip('/')}/r/{report.number}/mute/{token or hearing.mute_token(report.id)}"
    return replace(letter, unsubscribe=link, unsubscribe_line=text("hearing.mute", language=language))


def _is_awaited(entries: list[TimelineEntry]) -> bool:
    """Whether it is the receipt, or tells how it went: what nobody wants to miss who has reported."""
    return any(
        entry.what == "received" or (entry.to_state in OUTCOMES and entry.from_state not in OUTCOMES)
        for entry in entries
    )


def report_facts(
    session: ReadSession, municipality: MunicipalityView, report: Report, state: State, language: str
) -> list[tuple[str, str]]:
    """What a letter says of the report below: names and values."""
    values = _values(municipality, report.category_id, report.department_id, language)
    said = [("number", report.number), ("category", values["category"])]
    if report.address:
        said.append(("place", report.address))
    said += [("department", values["department"]), ("state", text(f"state.{state.value}", language=language))]
    if report.promised_at is not None and report.is_open:
        said.append(("promised", municipality.local(report.promised_at).strftime("%d/%m/%Y")))
    people = report.people
    if report.master_id is not None:
        number, master_state, people = session.execute(
            select(Report.number, Report.state, Report.people).where(
                Report.municipality_id == report.municipality_id, Report.id == report.master_id
            )
        ).one()
        said.append(("joined", f"{number} ({text(f'state.{master_state}', language=language).lower()})"))
    if people > 1:
        said.append(("people", text("mail.people_number", language=language, people=people)))
    return [(text(f"mail.{name}", language=language), value) for name, value in said]


def _values(municipality: MunicipalityView, category_id: int, department_id: int, language: str) -> dict[str, str]:
    return {
        "category": municipality.category_ids[category_id].name(language),
        "department": municipality.by_id[department_id].name(language),
        "municipality": municipality.name,
    }


def _state_then(report: Report, entries: list[TimelineEntry]) -> State:
    """The report's state when the last of `entries` was written: it may have moved on since, and that is told next."""
    own = [entry.to_state for entry in entries if entry.to_state and not entry.what.startswith("master_")]
    return State(own[-1] if own else report.state)


def _next_step(report: Report, state: State, entries: list[TimelineEntry]) -> str:
    """What comes next, by its name in the catalogue; the date that was just promised is not said twice."""
    told_at = report.promised_at or report.deadline_at
    step = next_step(state, told_at, datetime.now(UTC))
    return "next.promised" if entries[-1].what == "promised" and step in _DATED else step


def _day(iso: str) -> str:
    return date.fromisoformat(iso).strftime("%d/%m/%Y")


def _asked(session: ReadSession, report: Report, entries: list[TimelineEntry]) -> Question | None:
    """The question that the letter asks, if it still waits for an answer."""
    asked = [entry.details["question"] for entry in entries if entry.what == "asked"]
    question = session.get(Question, (report.municipality_id, asked[-1])) if asked else None
    return question if question is not None and question.state == "open" else None


def _ratings(
    session: ReadSession, report: Report, entries: list[TimelineEntry], language: str, token: str | None
) -> list[tuple[str, str]]:
    """A link for each rating, where the letter says that the work is done and the reporter has not rated it yet.

    A link only opens the form with that rating chosen: programs that look at mails open links too.
    """
    moves = [entry.to_state for entry in entries if entry.to_state]
    if not moves or State(moves[-1]) not in ENDED_WELL or feedback.given(session, report) is not None:
        return []
    link = receipt_link(report, token)
    return [
        (text(f"feedback.rating_{rating}", language=language), f"{link}&rating={rating}#feedback")
        for rating in range(feedback.LOWEST, feedback.HIGHEST + 1)
    ]


def _happened(
    session: ReadSession,
    municipality: MunicipalityView,
    entry: TimelineEntry,
    language: str,
    values: dict[str, str],
) -> list[str]:
    state = text(f"state.{entry.to_state}", language=language).lower() if entry.to_state else ""
    filled = values | {"master": entry.details.get("master", ""), "state": state}
    if until := entry.details.get("until"):
        filled["until"] = _day(until)
    filled["body"] = entry.details.get("body", {}).get(language, "")
    if entry.what == "master_news":
        of_master = _values(municipality, entry.details["category_id"], entry.details["department_id"], language)
        what = entry.details["what"]
        key = f"of_master.{what}" if f"of_master.{what}" in catalogue() else f"happened.{what}"
        filled["news"] = text(key, language=language, **filled | of_master)
    if entry.what == "master_moved":
        moved = f"of_master.moved_{entry.to_state}"
        filled["news"] = text(moved if moved in catalogue() else "of_master.moved", language=language, **filled)
    key = f"happened.{entry.what}_{entry.to_state}"
    lines = [text(key if key in catalogue() else f"happened.{entry.what}", language=language, **filled)]
    if entry.what == "asked":
        question = session.get_one(Question, (entry.municipality_id, entry.details["question"]))
        lines.append(quoted(question.words, language))
    if note := note_of(session, entry, language):
        lines.append(quoted(note, language))
    return lines
