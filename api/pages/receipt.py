"""The page of a report for whoever holds its receipt: where it stands, and plain forms to answer and to act."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import Field
from starlette.responses import Response

from api.pages.how import HowForm
from api.pages.showing import (
    LANGUAGE_NAMES,
    chosen_language,
    error_page,
    html,
    other_language,
    page_language,
    templates,
)
from city.database import WriteSession, reading, writing
from city.errors import LampioneError
from city.messages.notices.mentions import note_of
from city.records import holding
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.reports import hearing
from city.reports.deadlines import next_step
from city.reports.dialogue.feedback import HIGHEST, LOWEST, Said
from city.reports.hearing import Manner
from city.reports.lifecycle import State
from city.reports.tables import Report
from city.texts import text

router = APIRouter(prefix="/r/{number}", include_in_schema=False)

Token = Annotated[str, Form(max_length=100)]
Words = Annotated[str, Form(max_length=4000)]


class _Messages(HowForm):
    token: str = Field(max_length=100)
    mute: Literal["yes", "no", ""] = ""
    is_muted: Literal["yes", ""] = ""


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
        token,
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
        token,
        "question",
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
        token,
        "feedback",
    )


@router.post("/messages")
def hear(request: Request, number: str, form: Annotated[_Messages, Form()]) -> Response:
    """Hear no more of it, or again; or say when and how."""

    def change(session: WriteSession, here: MunicipalityView) -> Report:
        if form.mute:
            return holding.mute(session, here, number, form.token, is_muted=form.mute == "yes")
        manner = Manner(form.is_muted == "yes", form.chosen, form.rhythm, form.quiet())
        return holding.hear(session, here, number, form.token, manner)

    return _after(request, number, change, form.token, "messages")


@router.get("/mute/{mute_token}")
def mute_asked(request: Request, number: str, mute_token: str) -> Response:
    """Ask whether somebody wants to hear no more of the report."""
    return _muting(request, number, mute_token)


@router.post("/mute/{mute_token}")
def muted(
    request: Request, number: str, mute_token: str, again: Annotated[str, Form(pattern="^(yes|)$")] = ""
) -> Response:
    """Hear no more of it: from this page, or by one click in the mail program (RFC 8058); or (`again`) hear again."""
    return _muting(request, number, mute_token, is_muted=not again)


def _muting(request: Request, number: str, mute_token: str, *, is_muted: bool | None = None) -> Response:
    try:
        municipality = view.found(lambda registry: holding.home_of(registry, number))
        with writing(municipality.id) as session:
            report, language = holding.to_mute(session, municipality, number, mute_token)
            if is_muted is not None:
                hearing.mute(session, report, is_muted=is_muted)
            language = chosen_language(request) or language
            category = municipality.category_ids[report.category_id].name(language)
    except LampioneError as error:
        return error_page(request, error)
    what = "mute_ask" if is_muted is None else "muted_now" if is_muted else "heard_now"
    page = templates().get_template("mute.html.jinja")
    shown = page.render(
        sentence=text(f"hearing.{what}", language=language, number=report.number, category=category),
        is_muted=is_muted,
        language=language,
        **other_language(request, language),
        t=partial(text, language=language),
    )
    return html(shown)


def _after(
    request: Request,
    number: str,
    change: Callable[[WriteSession, MunicipalityView], Report],
    token: str,
    section: str = "",
) -> Response:
    """Make the change, and send the browser back to the page, so that to load it anew repeats nothing."""
    try:
        municipality = view.found(lambda registry: holding.home_of(registry, number))
        with writing(municipality.id) as session:
            report = change(session, municipality)
        language = chosen_language(request)
        query = urlencode({"token": token} | ({"language": language} if language else {}))
        return RedirectResponse(f"/r/{report.number}?{query}" + (f"#{section}" if section else ""), 303)
    except LampioneError as error:
        return error_page(request, error)


def _status_page(request: Request, number: str, token: str, rating: str) -> Response:
    language = page_language(request)
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with reading(municipality.id) as session:
        report = holding.opened(session, municipality, number, token)
        seen = holding.as_seen(session, municipality, report, partial(note_of, session, language=language))
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
        **other_language(request, language),
        names=LANGUAGE_NAMES,
        chosen=f"?language={language}" if chosen_language(request) else "",
        t=partial(text, language=language),
        day=lambda moment: municipality.local(moment).strftime("%d/%m/%Y"),
        parsed=datetime.fromisoformat,
    )
    return html(shown)
