"""The pages that mails to subscribers lead to: to say yes, to change one's mind, to hear no more. They need no script.

Opening one changes nothing: programs that look at mails before people do open every link.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import time
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.pages.showing import error_page, html, templates
from api.problems import language_of
from api.routes.subscriptions import listed, shown
from city import links
from city.database import reading, writing
from city.errors import InvalidInput, LampioneError
from city.messages.subscriptions import subscribing
from city.messages.subscriptions.tables import Subscriber
from city.registry import view
from city.texts import text

router = APIRouter(include_in_schema=False)

_LANGUAGE_NAMES: Final = {"it": "Italiano", "en": "English"}


class _Form(BaseModel):
    end: str = Field("", pattern=r"^(all|[0-9]{1,18}|)$")
    rhythm: Literal["at_once", "daily"] = "at_once"
    chosen: Literal["it", "en"] = "it"
    quiet_from: str = Field("", max_length=8)
    quiet_until: str = Field("", max_length=8)


def _page(language: str, title: str, *, sentence: str = "", button: str = "", known: Any = None) -> Response:
    page = templates().get_template("subscriptions.html.jinja")
    shown = page.render(
        title=title,
        sentence=sentence,
        button=button,
        known=known,
        names=_LANGUAGE_NAMES,
        language=language,
        t=partial(text, language=language),
    )
    return html(shown)


def _told(request: Request, answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except LampioneError as error:
        return error_page(request, error)


def _asked(token: str) -> Response:
    municipality_id, subscription_id = subscribing.to_confirm(token)
    with reading(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        subscription = subscribing.wished(session, municipality_id, subscription_id)
        language = session.get_one(Subscriber, (municipality_id, subscription.subscriber_id)).language
        says = listed(session, municipality, subscription, language).says
    say = partial(text, language=language)
    if subscription.confirmed_at is not None:
        return _page(language, say("subscriptions.confirm_heading"), sentence=say("subscriptions.confirmed", what=says))
    return _page(
        language,
        say("subscriptions.confirm_heading"),
        sentence=say("subscriptions.confirm_asked", what=says),
        button=say("subscriptions.confirm_button"),
    )


def _confirmed(token: str) -> Response:
    municipality_id, subscription_id = subscribing.to_confirm(token)
    with writing(municipality_id) as session:
        subscribing.confirm(session, municipality_id, subscription_id)
    return _asked(token)


def _kept(token: str, sentence: str = "") -> Response:
    municipality_id, subscriber_id = subscribing.home_of(token)
    with reading(municipality_id) as session:
        known = shown(session, municipality_id, *subscribing.subscriber(session, municipality_id, subscriber_id))
        name = view.fresh(session).municipalities[municipality_id].name
    say = partial(text, language=known.language)
    return _page(known.language, say("subscriptions.heading", municipality=name), sentence=sentence, known=known)


def _changed(token: str, form: _Form) -> Response:
    municipality_id, subscriber_id = subscribing.home_of(token)
    with writing(municipality_id) as session:
        subscriber, known = subscribing.subscriber(session, municipality_id, subscriber_id)
        language = subscriber.language
        if form.end:
            ended = int(form.end) if form.end.isdigit() else None
            subscribing.end(session, subscriber, ended)
            if ended is None or all(one.id == ended for one in known):
                return _page(language, text("subscriptions.none", language=language))
        else:
            language = form.chosen
            first, last = _hour(form.quiet_from), _hour(form.quiet_until)
            quiet = (first, last) if first is not None and last is not None else None
            subscribing.change(session, subscriber, language=language, rhythm=form.rhythm, quiet=quiet)
    return _kept(token, text("subscriptions.saved", language=language))


def _hour(value: str) -> time | None:
    try:
        return time.fromisoformat(value) if value else None
    except ValueError as error:
        raise InvalidInput("subscriptions.quiet", field="quiet_from") from error


@router.get("/subscriptions/confirm/{token}")
def asked(request: Request, token: str) -> Response:
    """Ask whether the owner of the address wants it."""
    return _told(request, lambda: _asked(token))


@router.post("/subscriptions/confirm/{token}")
def confirmed(request: Request, token: str) -> Response:
    """They want it."""
    return _told(request, lambda: _confirmed(token))


@router.get("/subscriptions/{token}")
def kept(request: Request, token: str) -> Response:
    """What somebody has asked for, and how they are told."""
    return _told(request, lambda: _kept(token))


@router.post("/subscriptions/{token}")
def changed(request: Request, token: str, form: Annotated[_Form, Form()]) -> Response:
    """End one subscription or all, or change how one is told."""
    return _told(request, lambda: _changed(token, form))


@router.get("/unsubscribe/{token}")
def unsubscribe_asked(request: Request, token: str) -> Response:
    """Ask whether somebody wants no more of what a mail told."""

    def ask() -> Response:
        links.opened("unsubscribe", token)
        say = partial(text, language=language_of(request))
        title, sentence = say("subscriptions.unsubscribe"), say("subscriptions.unsubscribe_ask")
        return _page(language_of(request), title, sentence=sentence, button=say("subscriptions.end"))

    return _told(request, ask)


@router.post("/unsubscribe/{token}")
def unsubscribed(request: Request, token: str) -> Response:
    """They want no more: from this page, or by one click in the mail program (RFC 8058)."""

    def act() -> Response:
        named = links.opened("unsubscribe", token)
        municipality_id = int.from_bytes(named[16:20])
        subscriber_id = UUID(bytes=named[20:]) if named[20:] else None
        with writing(municipality_id) as session:
            subscribing.unsubscribe(session, municipality_id, UUID(bytes=named[:16]), subscriber_id)
        return _page(language_of(request), text("subscriptions.ended", language=language_of(request)))

    return _told(request, act)
