"""The page of a report for whoever holds its receipt: where it stands, and plain forms to answer and to act."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from api.pages.showing import error_page, html, templates
from api.problems import language_of
from city.database import WriteSession, reading, writing
from city.errors import LampioneError
from city.records import holding
from city.registry import view
from city.registry.view import MunicipalityView
from city.reports.deadlines import next_step
from city.reports.feedback import HIGHEST, LOWEST, Said
from city.reports.lifecycle import State
from city.reports.tables import Report
from city.texts import text

router = APIRouter(prefix="/r/{number}", include_in_schema=False)

Token = Annotated[str, Form(max_length=100)]
Words = Annotated[str, Form(max_length=4000)]


@router.get("")
def status_page(
    request: Request,
    number: str,
    token: Annotated[str, Query(max_length=100)] = "",
    rating: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """Where the report stands; `rating` only chooses beforehand in the form."""
    try:
        return _status_page(request, number, token, rating)
    except LampioneError as error:
        return error_page(request, error)


@router.post("")
def act(
    request: Request,
    number: str,
    token: Token,
    to: Annotated[str, Form(pattern="^(withdrawn|reopened)$")],
    reason: Words = "",
) -> Response:
    """Withdraw or reopen."""
    return _after(
        request,
        number,
        lambda session, here: holding.move(session, here, number, token, State(to), reason=reason),
        f"?token={token}",
    )


@router.post("/answers")
def answer(
    request: Request,
    number: str,
    token: Token,
    question: Annotated[int, Form(ge=1, lt=2**63)],
    words: Annotated[str, Form(alias="text", max_length=4000)] = "",
) -> Response:
    """Answer a question."""
    return _after(
        request,
        number,
        lambda session, here: holding.answer(session, here, number, token, question_id=question, words=words),
        f"?token={token}#question",
    )


@router.post("/feedback")
def rate(
    request: Request,
    number: str,
    token: Token,
    *,
    rating: Annotated[int, Form(ge=LOWEST, le=HIGHEST)],
    is_solved: Annotated[str, Form(pattern="^(yes|no|)$")] = "",
    words: Annotated[str, Form(alias="text", max_length=4000)] = "",
) -> Response:
    """Say how it was dealt with."""
    said = Said(rating, words, {"yes": True, "no": False}.get(is_solved))
    return _after(
        request,
        number,
        lambda session, here: holding.rate(session, here, number, token, said),
        f"?token={token}#feedback",
    )


def _after(
    request: Request, number: str, change: Callable[[WriteSession, MunicipalityView], Report], query: str
) -> Response:
    """Make the change, and send the browser back to the page, so that to load it anew repeats nothing."""
    try:
        municipality = view.found(lambda registry: holding.home_of(registry, number))
        with writing(municipality.id) as session:
            report = change(session, municipality)
        return RedirectResponse(f"/r/{report.number}{query}", 303)
    except LampioneError as error:
        return error_page(request, error)


def _status_page(request: Request, number: str, token: str, rating: str) -> Response:
    language = language_of(request)
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with reading(municipality.id) as session:
        report = holding.opened(session, municipality, number, token)
        seen = holding.as_seen(session, municipality, report)
    page = templates().get_template("status.html.jinja")
    told_at = seen["promised_at"] or seen["deadline_at"]
    shown = page.render(
        report=seen,
        told_at=told_at,
        next_step=next_step(State(seen["state"]), told_at, datetime.now(UTC)),
        token=token,
        rating=rating or str((seen["feedback"] or {}).get("rating", "")),
        ratings=range(LOWEST, HIGHEST + 1),
        language=language,
        t=partial(text, language=language),
        day=lambda moment: municipality.local(moment).strftime("%d/%m/%Y"),
        parsed=datetime.fromisoformat,
    )
    return html(shown)
