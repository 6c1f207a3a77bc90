"""The desk's errand with reporters: questions, and the terms of it. Every change of a report wants `If-Match`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Response

from api.access import IfMatch, Work, Workplace, etag
from api.desk_schemas import DeskReportFull
from api.dialogue_schemas import AnswerDownIn, DeskQuestions, QuestionIn, TermsIn, TermsOut
from city.records import worklist
from city.reports import questions, terms
from city.reports.changing import Desk

router = APIRouter(prefix="/api/v1/desk", tags=["dialogue"])

QuestionId = Annotated[int, Path(ge=1, lt=2**63)]


@router.get("/reports/{report_id}/questions", response_model=DeskQuestions)
def list_questions(work: Workplace, report_id: UUID) -> Response:
    """What the reporter was asked, and the answers."""
    with work.looking() as (session, municipality):
        worklist.holds(session, municipality, work.staff, report_id)
        asked = questions.listed(session, municipality.id, report_id)
    return _json({"questions": asked})


@router.post("/reports/{report_id}/questions", response_model=DeskReportFull)
def ask(work: Workplace, report_id: UUID, body: QuestionIn, version: IfMatch) -> Response:
    """Ask the reporter: the report waits, its clock paused, until the answer comes or the days are over."""
    return _change(work, report_id, lambda desk: questions.ask(desk, report_id, version, body.text, body.days))


@router.delete("/reports/{report_id}/questions/{question_id}", response_model=DeskReportFull)
def withdraw(work: Workplace, report_id: UUID, question_id: QuestionId, version: IfMatch) -> Response:
    """Take a question back: the report goes back where it was."""
    return _change(work, report_id, lambda desk: questions.withdraw(desk, report_id, version, question_id))


@router.put("/reports/{report_id}/questions/{question_id}/answer", response_model=DeskReportFull)
def write_down(
    work: Workplace, report_id: UUID, question_id: QuestionId, body: AnswerDownIn, version: IfMatch
) -> Response:
    """Write down the answer that the reporter gave by telephone or at the counter."""
    return _change(work, report_id, lambda desk: questions.write_down(desk, report_id, version, question_id, body.text))


@router.get("/dialogue-terms", response_model=TermsOut)
def show_terms(work: Workplace) -> Response:
    """In how many days what has to happen."""
    with work.looking() as (session, municipality):
        return _json(terms.shown(session, municipality.id))


@router.put("/dialogue-terms", response_model=TermsOut)
def set_terms(work: Workplace, body: TermsIn) -> Response:
    """Set the municipality's own days, for administrators; null: as the province has it."""
    with work.desk() as desk:
        return _json(terms.put(desk, **body.model_dump()))


def _change(work: Work, report_id: UUID, change: Callable[[Desk], object]) -> Response:
    with work.desk() as desk:
        change(desk)
        desk.session.flush()
        report = worklist.one(desk.session, desk.municipality, desk.staff, report_id, just_changed=True)
    return _json(report, {"ETag": etag(report["version"])})


def _json(value: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(value), headers={"Cache-Control": "no-store"} | (headers or {}), media_type="application/json"
    )
