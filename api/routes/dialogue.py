"""The desk's errand with reporters: questions, reply templates, the preview of a mail, and the terms of all that.

Every change of a report wants `If-Match`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Response

from api.access import IfMatch, Work, Workplace, etag
from api.schemas.base import Slug
from api.schemas.desk import CategoryIn, DepartmentIn, DeskReportFull, MasterIn, SplitIn
from api.schemas.dialogue import (
    AnswerDownIn,
    DeskQuestions,
    FeedbackPage,
    MoveTried,
    PreviewIn,
    PreviewOut,
    QuestionIn,
    TemplateOut,
    TemplatePut,
    TemplatesOut,
    TermsIn,
    TermsOut,
    UpdateTried,
)
from city.errors import InvalidInput
from city.messages import preview
from city.records import judgements, worklist
from city.registry.staff.people import Right
from city.reports import handling, terms
from city.reports.changing import Desk
from city.reports.dialogue import questions, replies
from city.reports.dialogue.feedback import HIGHEST, LOWEST
from city.reports.lifecycle import State

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


@router.post("/reports/{report_id}/preview", response_model=PreviewOut)
def show_preview(work: Workplace, report_id: UUID, body: PreviewIn) -> Response:
    """The very mail that the reporter would get for a change. The change is tried and undone: nothing happens by it."""
    if len(body.chosen) != 1:
        raise InvalidInput("replies.one_change", field="body", known=", ".join(PreviewIn.model_fields))
    with work.trial() as desk:
        return _json(preview.preview(desk, report_id, lambda here, version: _try(here, report_id, version, body)))


def _try(desk: Desk, report_id: UUID, version: int, body: PreviewIn) -> None:
    match body.chosen[0]:
        case MoveTried(to=to, reason=reason, leave_children=leave):
            handling.move(desk, report_id, version, to, reason=reason, leave_children=leave)
        case UpdateTried(text=words):
            handling.add_update(desk, report_id, version, words, is_public=True)
        case QuestionIn(text=words, days=days):
            questions.ask(desk, report_id, version, words, days)
        case CategoryIn(category=category, note=note):
            handling.categorise(desk, report_id, version, category, note)
        case DepartmentIn(department=department, reason=reason):
            handling.hand_to(desk, report_id, version, department, reason)
        case MasterIn(master=master):
            handling.merge(desk, report_id, version, master)
        case SplitIn(reason=reason):
            handling.split(desk, report_id, version, reason)


@router.get("/templates", response_model=TemplatesOut)
def list_templates(
    work: Workplace,
    report: Annotated[UUID | None, Query(description="fill them in from this report")] = None,
    state: Annotated[State | None, Query(description="those for the step into this state")] = None,
    category: Annotated[Slug | None, Query()] = None,
) -> Response:
    """Reply templates: without any parameter all of them, else those that fit, the closest first."""
    with work.looking() as (session, municipality):
        work.staff.needs(Right.FIELD)
        filling = None
        if report is not None:
            worklist.holds(session, municipality, work.staff, report)
            filling = replies.filling(session, municipality, work.staff, report)
        found = replies.listed(session, municipality, state=state, category=category, filling=filling)
    return _json({"templates": found})


@router.put("/templates/{slug}", response_model=TemplateOut)
def put_template(work: Workplace, slug: Slug, body: TemplatePut) -> Response:
    """Make or replace a template of the municipality's own, for administrators; the same name takes the province's
    place.
    """
    with work.desk() as desk:
        return _json(replies.as_json(replies.put(desk, slug, body.fields)))


@router.delete("/templates/{slug}", status_code=204)
def drop_template(work: Workplace, slug: Slug) -> None:
    """Forget a template of the municipality's own; the province's of that name, if there is one, holds again."""
    with work.desk() as desk:
        replies.drop(desk, slug)


@router.get("/feedback", response_model=FeedbackPage)
def list_feedback(
    work: Workplace,
    most: Annotated[int, Query(ge=LOWEST, le=HIGHEST, description="ratings up to this one")] = HIGHEST,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """What reporters said of how it was dealt with, newest first, of the reports that one may read."""
    with work.looking() as (session, municipality):
        return _json(judgements.page(session, municipality, work.staff, most=most, limit=limit, cursor=cursor))


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
