"""Signing in at a provider of identities, as the browser walks it: there, back, and home with a ticket.

Where it goes wrong, a page says what to do. These addresses are no part of the contract: programs open the `address` of
`GET /api/v1/session/oidc` in a browser.
"""

from __future__ import annotations

import re
import secrets
from functools import partial
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from api import visitor
from api.pages.showing import html, templates
from api.problems import language_of, status_of
from api.routes.providers import BROWSER_COOKIE, COOKIE_PATH, PATH, return_address, sign_in_address
from city import pacing
from city.database import WriteSession, provincial
from city.errors import Forbidden, InvalidInput, LampioneError, NotAuthenticated, NotFound
from city.outside import identity
from city.registry.sign_in import provider_sign_in, provider_staff, providers
from city.registry.sign_in.provider_claims import Claims, address_claims, is_strong, proved_of, wanted_of
from city.registry.sign_in.provider_tables import IdentityProvider, PendingSignIn
from city.settings import settings
from city.texts import text

router = APIRouter(include_in_schema=False)
log = structlog.get_logger()

HOME: Final = "/signed-in"
OWN_PAGE: Final = re.compile(r"/([\w-][\w.-]*(/[\w-][\w.-]*)*/?)?", re.ASCII)
"""A path of ours, and nothing that a browser could take for another machine."""
LONGEST_PATH: Final = 200

Said = Annotated[str | None, Field(max_length=4000)]


class _Answer(BaseModel):
    """What the provider sends the browser back with; without a code it has let nobody in."""

    state: Said = None
    code: Said = None
    iss: Said = None


@router.get(PATH + "/{owner}/{slug}")
def go_there(request: Request, owner: str, slug: str, return_to: str = HOME) -> Response:
    """Send the browser to the provider."""
    browser = request.cookies.get(BROWSER_COOKIE) or secrets.token_urlsafe(32)
    try:
        if len(return_to) > LONGEST_PATH or not OWN_PAGE.fullmatch(return_to):
            raise InvalidInput("providers.not_ours", field="return_to")
        _pace(request)
        with provincial() as session:
            provider = providers.find_active(session, owner, slug)
            client = providers.client_of(session, provider)
            pending_id = provider_sign_in.begin(session, provider, browser, return_to)
        pending = provider_sign_in.pending(pending_id, return_address(owner, slug))
        answer = _redirect(identity.sign_in_address(client, pending, language_of(request)))
    except LampioneError as error:
        return _refused(request, error, owner, slug)
    is_secure = settings().public_url.startswith("https:")
    life = provider_sign_in.PENDING_LIFE + provider_sign_in.TICKET_LIFE
    answer.set_cookie(
        BROWSER_COOKIE,
        browser,
        int(life.total_seconds()),
        path=COOKIE_PATH,
        secure=is_secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get(PATH + "/{owner}/{slug}/callback")
def come_back(request: Request, owner: str, slug: str, answer: Annotated[_Answer, Query()]) -> Response:
    """Take what the provider says, and send the browser home with a ticket."""
    try:
        return _redirect(_home(request, owner, slug, answer))
    except LampioneError as error:
        return _refused(request, error, owner, slug)


@router.get(HOME)
def at_home(request: Request) -> Response:
    """Where the browser comes back to if no other page of ours was named; a program behind it takes the ticket."""
    say = partial(text, language=language_of(request))
    return _page(request, say("providers.done_heading"), say("providers.done"))


def _home(request: Request, owner: str, slug: str, answer: _Answer) -> str:
    """Where the browser goes with its ticket. The provider is asked between two transactions."""
    _pace(request)
    with provincial() as session:
        provider = providers.find_active(session, owner, slug)
        client = providers.client_of(session, provider)
        begun = provider_sign_in.take(session, provider, answer.state or "", request.cookies.get(BROWSER_COOKIE, ""))
    if answer.code is None:
        raise NotAuthenticated("providers.cancelled")
    pending = provider_sign_in.pending(begun.id, return_address(owner, slug))
    wanted, address = wanted_of(provider), address_claims(provider)
    claims = identity.redeem(client, pending, answer.code, wanted, answer.iss, as_one=address)
    with provincial() as session:
        provider = providers.find_active(session, owner, slug)
        ticket = _ticket(session, provider, begun, claims)
    if ticket is None:  # after the commit: what the groups do not give any more is taken away
        raise Forbidden("providers.no_group")
    return f"{settings().public_url.rstrip('/')}{begun.return_to}#ticket={ticket}"


def _ticket(session: WriteSession, provider: IdentityProvider, begun: PendingSignIn, claims: Claims) -> str | None:
    """A ticket for whoever these claims are of; None for staff in none of the groups."""
    if provider.audience == "citizens":
        return provider_sign_in.issue_to_citizen(session, begun, proved_of(provider, claims))
    person = provider_staff.arrives(session, provider, claims)
    if person is None:
        return None
    return provider_sign_in.issue(session, begun, person, strong=is_strong(provider, claims))


def _pace(request: Request) -> None:
    network = visitor.network(request)
    if network:
        pacing.take((provider_sign_in.NETWORK, network))


def _redirect(address: str) -> Response:
    return RedirectResponse(address, 302, headers={"Cache-Control": "no-store"})


def _refused(request: Request, error: LampioneError, owner: str, slug: str) -> Response:
    """A page that says what went wrong, and where to begin again."""
    language, again = language_of(request), ""
    if not isinstance(error, NotFound | InvalidInput):  # the provider is there
        again = sign_in_address(owner, slug)
        reason = error.values.get("reason")
        log.warning("sign_in_refused", provider=f"{owner}/{slug}", key=error.key, reason=reason)
    heading = text("providers.heading", language=language)
    return _page(request, heading, error.sentence(language), again=again, status=status_of(error))


def _page(request: Request, title: str, sentence: str, *, again: str = "", status: int = 200) -> Response:
    language = language_of(request)
    page = templates().get_template("sign_in.html.jinja")
    shown = page.render(
        title=title, sentence=sentence, again=again, language=language, t=partial(text, language=language)
    )
    return html(shown, status)
