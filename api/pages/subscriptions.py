"""The pages that mails to subscribers lead to: to say yes, to change one's mind, to hear no more. They need no script.

Opening one changes nothing: programs that look at mails before people do open every link.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
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
from api.routes.subscriptions import listed, shown
from city.database import reading, writing
from city.errors import LampioneError
from city.messages.subscriptions import own_links, subscribing
from city.messages.subscriptions.tables import Subscriber
from city.registry import view
from city.texts import text

router = APIRouter(include_in_schema=False)


class _Form(HowForm):
    end: str = Field("", pattern=r"^(all|[0-9]{1,18}|)$")


def _page(
    request: Request, language: str, title: str, *, sentence: str = "", button: str = "", known: Any = None
) -> Response:
    page = templates().get_template("subscriptions.html.jinja")
    shown = page.render(
        title=title,
        sentence=sentence,
        button=button,
        known=known,
        names=LANGUAGE_NAMES,
        language=language,
        **other_language(request, language),
        t=partial(text, language=language),
    )
    return html(shown)


def _told(request: Request, answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except LampioneError as error:
        return error_page(request, error)


def _asked(request: Request, token: str) -> Response:
    municipality_id, subscription_id = own_links.to_confirm(token)
    with reading(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        subscription = subscribing.wished(session, municipality_id, subscription_id)
        subscriber = session.get_one(Subscriber, (municipality_id, subscription.subscriber_id))
        language = chosen_language(request) or subscriber.language
        says = listed(session, municipality, subscription, language).says
    say = partial(text, language=language)
    heading = say("subscriptions.confirm_heading")
    if subscription.confirmed_at is not None:
        return _page(request, language, heading, sentence=say("subscriptions.confirmed", what=says))
    sentence = say("subscriptions.confirm_asked", what=says)
    return _page(request, language, heading, sentence=sentence, button=say("subscriptions.confirm_button"))


def _confirmed(request: Request, token: str) -> Response:
    municipality_id, subscription_id = own_links.to_confirm(token)
    with writing(municipality_id) as session:
        subscribing.confirm(session, municipality_id, subscription_id)
    return _asked(request, token)


def _kept(request: Request, token: str, said: str = "") -> Response:
    municipality_id, subscriber_id = own_links.home_of(token)
    with reading(municipality_id) as session:
        subscriber, subscriptions = subscribing.subscriber(session, municipality_id, subscriber_id)
        language = chosen_language(request) or subscriber.language
        known = shown(session, municipality_id, subscriber, subscriptions, language)
        name = view.fresh(session).municipalities[municipality_id].name
    heading = text("subscriptions.heading", language=language, municipality=name)
    return _page(request, language, heading, sentence=said and text(said, language=language), known=known)


def _changed(request: Request, token: str, form: _Form) -> Response:
    municipality_id, subscriber_id = own_links.home_of(token)
    with writing(municipality_id) as session:
        subscriber, known = subscribing.subscriber(session, municipality_id, subscriber_id)
        language = chosen_language(request) or subscriber.language
        if form.end:
            ended = int(form.end) if form.end.isdigit() else None
            subscribing.end(session, subscriber, ended)
            if ended is None or all(one.id == ended for one in known):
                return _page(request, language, text("subscriptions.none", language=language))
        else:
            subscribing.change(session, subscriber, language=form.chosen, rhythm=form.rhythm, quiet=form.quiet())
    return _kept(request, token, "subscriptions.saved")


@router.get("/subscriptions/confirm/{token}")
def asked(request: Request, token: str) -> Response:
    """Ask whether the owner of the address wants it."""
    return _told(request, lambda: _asked(request, token))


@router.post("/subscriptions/confirm/{token}")
def confirmed(request: Request, token: str) -> Response:
    """They want it."""
    return _told(request, lambda: _confirmed(request, token))


@router.get("/subscriptions/{token}")
def kept(request: Request, token: str) -> Response:
    """What somebody has asked for, and how they are told."""
    return _told(request, lambda: _kept(request, token))


@router.post("/subscriptions/{token}")
def changed(request: Request, token: str, form: Annotated[_Form, Form()]) -> Response:
    """End one subscription or all, or change how one is told."""
    return _told(request, lambda: _changed(request, token, form))


@router.get("/unsubscribe/{token}")
def unsubscribe_asked(request: Request, token: str) -> Response:
    """Ask whether somebody wants no more of what a mail told."""

    def ask() -> Response:
        own_links.to_end(token)
        language = page_language(request)
        say = partial(text, language=language)
        title, sentence = say("subscriptions.unsubscribe"), say("subscriptions.unsubscribe_ask")
        return _page(request, language, title, sentence=sentence, button=say("subscriptions.end"))

    return _told(request, ask)


@router.post("/unsubscribe/{token}")
def unsubscribed(request: Request, token: str) -> Response:
    """They want no more: from this page, or by one click in the mail program (RFC 8058)."""

    def act() -> Response:
        municipality_id, delivery_id, subscriber_id = own_links.to_end(token)
        with writing(municipality_id) as session:
            subscribing.unsubscribe(session, municipality_id, delivery_id, subscriber_id)
        language = page_language(request)
        return _page(request, language, text("subscriptions.ended", language=language))

    return _told(request, act)
