"""Questions to the reporter: the clock pauses until the answer comes, or until the time for it is over.

A question is a row of its own. The timeline says that something was asked and answered; the words stand here, and only
the reporter of this very report and the desk read them. Whoever hangs on a master as a duplicate is not asked: the
master's reporter is, and where only the other one can know, their report is split off first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import or_, select

from city.database import ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.registry.municipality import MunicipalityView
from city.registry.staff.people import Right
from city.registry.working_time import CALENDAR_DAYS, Span
from city.reports import journey
from city.reports.changing import RESORTED, Desk, check_open, enter, locked, tell, touch
from city.reports.checks import cleaned
from city.reports.deadlines import deadline
from city.reports.dialogue.tables import Question
from city.reports.lifecycle import Mover, State, check_move
from city.reports.tables import Report, Reporter, TimelineEntry
from city.reports.terms import terms
from city.reports.timeline import note_down

LONGEST: Final = 2_000
"""Letters of a question."""
MOST_AT_ONCE: Final = 100


class Due(NamedTuple):
    """A question that somebody has to look after now."""

    municipality_id: int
    report_id: UUID
    question_id: int


def ask(desk: Desk, report_id: UUID, version: int | None, words: str, days: int | None = None) -> Report:
    """Ask the reporter; the report waits for the answer, `days` calendar days at most.

    Raises Conflict where it is over, a duplicate, already asked, or nobody can be reached.
    """
    report = desk.open(report_id, version, Right.DESK)
    said = cleaned(words, field="text", longest=LONGEST)
    if said is None:
        raise InvalidInput("reports.nothing_to_say", field="text")
    if report.state == State.DUPLICATE:
        raise Conflict("questions.ask_the_master", number=report.number)
    check_open(report)
    if _open_one(desk.session, report) is not None:
        raise Conflict("questions.one_at_a_time", number=report.number)
    _check_reachable(desk.session, report)
    here = State(report.state)
    if here is not State.WAITING:
        check_move(here, State.WAITING, desk.mover(report), said)
    now = datetime.now(UTC)
    given = days if days is not None else terms(desk.session, desk.municipality.id).answer_days
    due_at = deadline(now, Span(given, CALENDAR_DAYS), desk.municipality.working_time)
    question = Question(
        municipality_id=report.municipality_id,
        report_id=report.id,
        words=said,
        person_id=desk.staff.person_id,
        from_state=here.value,
        triage_reason=report.triage_reason,
        asked_at=now,
        remind_at=now + (due_at - now) / 2,
        due_at=due_at,
    )
    desk.session.add(question)
    desk.session.flush()
    enter(desk.municipality, report, State.WAITING)
    about = {"question": question.id}
    tell(desk.session, report, "asked", staff=desk.staff, here=here, to=State.WAITING, details=about)
    return report


def answer(
    session: WriteSession, municipality: MunicipalityView, report: Report, question_id: int | None, words: str
) -> Question:
    """The reporter's answer to the open question, or to that one; the desk is written to. `report` is locked.

    The very same answer again changes nothing. Raises NotFound, Conflict, InvalidInput.
    """
    question = _found(session, report, question_id)
    said = _answer(words)
    if question.state == "answered" and question.answer == said:
        return question
    _take(session, municipality, report, question, said, desk=None)
    journey.letters(session, municipality.id, "answered", report_id=str(report.id), question=question.id)
    return question


def write_down(desk: Desk, report_id: UUID, version: int | None, question_id: int, words: str) -> Report:
    """Write down the answer that the reporter gave by telephone or at the counter."""
    report = desk.open(report_id, version, Right.DESK)
    question = _found(desk.session, report, question_id)
    _take(desk.session, desk.municipality, report, question, _answer(words), desk=desk)
    return report


def withdraw(desk: Desk, report_id: UUID, version: int | None, question_id: int) -> Report:
    """Take the question back: the answer is not needed any more."""
    report = desk.open(report_id, version, Right.DESK)
    question = _found(desk.session, report, question_id)
    if question.state != "open":
        raise Conflict("questions.over", number=report.number)
    here, there = _go_back(desk.session, desk.municipality, report, question)
    question.state, question.ended_at = "withdrawn", datetime.now(UTC)
    about = {"question": question.id}
    tell(desk.session, report, "question_withdrawn", staff=desk.staff, here=here, to=there, details=about)
    return report


def due(session: ReadSession, now: datetime) -> list[Due]:
    """Questions, of all municipalities, whose reporter is to be reminded or whose time is over."""
    found = session.execute(
        select(Question.municipality_id, Question.report_id, Question.id)
        .where(
            Question.state == "open",
            or_(Question.due_at <= now, (Question.remind_at <= now) & Question.reminded_at.is_(None)),
        )
        .order_by(Question.due_at)
        .limit(MOST_AT_ONCE)
    )
    return [Due(*row) for row in found]


def attend(session: WriteSession, municipality: MunicipalityView, one: Due, now: datetime) -> None:
    """Remind the reporter once; or, when the time is over, give the report back to the desk."""
    report = locked(session, municipality.id, one.report_id)
    question = session.get_one(Question, (municipality.id, one.question_id), populate_existing=True)
    if question.state != "open":
        return
    about = {"question": question.id}
    if question.due_at <= now:
        here, there = _go_back(session, municipality, report, question)
        question.state, question.ended_at = "expired", now
        if here is State.WAITING:
            tell(session, report, "unanswered", actor="system", here=here, to=there, details=about)
            journey.letters(session, municipality.id, "unanswered", report_id=str(report.id), **about)
    elif question.reminded_at is None and question.remind_at <= now:
        question.reminded_at = now
        if State(report.state) is State.WAITING:
            note_down(session, report, "reminded", actor="system", is_public=False, details=about)
            journey.letters(session, municipality.id, "question_reminder", report_id=str(report.id), **about)


def listed(session: ReadSession, municipality_id: int, report_id: UUID) -> list[dict[str, Any]]:
    """The questions of a report in order, as JSON values for the desk."""
    found = session.scalars(
        select(Question)
        .where(Question.municipality_id == municipality_id, Question.report_id == report_id)
        .order_by(Question.id)
    )
    return [
        as_told(question) | {"person_id": question.person_id, "reminded_at": _iso(question.reminded_at)}
        for question in found
    ]


def to_holder(session: ReadSession, report: Report) -> list[dict[str, Any]]:
    """The questions of a report as its reporter sees them; those taken back are not shown any more."""
    found = session.scalars(
        select(Question)
        .where(
            Question.municipality_id == report.municipality_id,
            Question.report_id == report.id,
            Question.state != "withdrawn",
        )
        .order_by(Question.id)
    )
    return [as_told(question) for question in found]


def as_told(question: Question) -> dict[str, Any]:
    """A question as JSON values, as both sides know it."""
    return {
        "id": question.id,
        "text": question.words,
        "state": question.state,
        "asked_at": question.asked_at.isoformat(),
        "due_at": question.due_at.isoformat(),
        "answer": question.answer,
        "answered_by": question.answered_by,
        "ended_at": _iso(question.ended_at),
    }


def _take(
    session: WriteSession,
    municipality: MunicipalityView,
    report: Report,
    question: Question,
    said: str,
    *,
    desk: Desk | None,
) -> None:
    """Keep the answer, also one that comes late; the report goes back where it was."""
    if question.state not in {"open", "expired"}:
        raise Conflict("questions.over", number=report.number)
    here, there = _go_back(session, municipality, report, question)
    question.state, question.answer, question.ended_at = "answered", said, datetime.now(UTC)
    question.answered_by = "staff" if desk else "citizen"
    tell(
        session,
        report,
        "answered",
        staff=desk.staff if desk else None,
        actor=None if desk else "citizen",
        here=here,
        to=there,
        details={"question": question.id},
    )


def _go_back(
    session: WriteSession, municipality: MunicipalityView, report: Report, question: Question
) -> tuple[State, State]:
    """Where the report is, and where it goes: back, if it has waited for this question until now."""
    here = State(report.state)
    there = State(question.from_state)
    if question.state != "open" or here is not State.WAITING or there is State.WAITING:
        touch(report)
        return here, here
    if there is State.REOPENED or (there is State.TRIAGE and _resorted_since(session, report, question)):
        there = State.ASSIGNED  # to enter `reopened` once more would count as reopened twice
    check_move(here, there, Mover.SYSTEM, None)
    enter(municipality, report, there)
    if there is State.TRIAGE:
        report.triage_reason = question.triage_reason
    return here, there


def _resorted_since(session: ReadSession, report: Report, question: Question) -> bool:
    """Whether somebody has said where it belongs while it waited."""
    found = session.scalar(
        select(TimelineEntry.id)
        .where(
            TimelineEntry.municipality_id == report.municipality_id,
            TimelineEntry.report_id == report.id,
            TimelineEntry.what.in_(RESORTED),
            TimelineEntry.at > question.asked_at,
        )
        .limit(1)
    )
    return found is not None and report.triage_reason is None


def _answer(words: str) -> str:
    said = cleaned(words, field="text")
    if said is None:
        raise InvalidInput("reports.nothing_to_say", field="text")
    return said


def _open_one(session: ReadSession, report: Report) -> Question | None:
    return session.scalar(
        select(Question).where(
            Question.municipality_id == report.municipality_id,
            Question.report_id == report.id,
            Question.state == "open",
        )
    )


def _found(session: ReadSession, report: Report, question_id: int | None) -> Question:
    """That question of this report, as it is now; without an id the open one. Raises NotFound."""
    if question_id is None:
        question = _open_one(session, report)
    else:
        question = session.get(Question, (report.municipality_id, question_id), populate_existing=True)
    if question is None or question.report_id != report.id:
        raise NotFound("questions.not_found", number=report.number)
    return question


def _check_reachable(session: ReadSession, report: Report) -> None:
    reporter = session.get(Reporter, (report.municipality_id, report.id))
    if reporter is None or not (reporter.email or reporter.phone or reporter.fiscal_code):
        raise Conflict("questions.nobody_to_ask", number=report.number)
    if reporter.muted_at is not None and not reporter.phone:
        raise Conflict("questions.muted", number=report.number)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
