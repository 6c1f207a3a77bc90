"""Signing in at a provider of identities: there, back, and a ticket for what comes of it.

What belongs to one sign-in (state, nonce, PKCE's verifier) is made from its id and the installation's secret; the row
is taken at the first return, and only from the browser that it began in. No token stands in an address: the browser
comes home with a ticket of a minute, which a program exchanges for the sign-in itself.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import delete, func

from city import links
from city.database import ReadSession, WriteSession
from city.digests import digest
from city.errors import NotAuthenticated, NotFound
from city.outside.identity import Pending
from city.pacing import Pace
from city.registry.sign_in import citizens, signing_in
from city.registry.sign_in.citizens import CitizenSignIn
from city.registry.sign_in.provider_claims import Proved
from city.registry.sign_in.provider_tables import IdentityProvider, PendingSignIn, SignInTicket
from city.registry.sign_in.signing_in import SignIn
from city.registry.tables import Person
from city.sealing import sealed, unsealed

PENDING_LIFE: Final = timedelta(minutes=10)
TICKET_LIFE: Final = timedelta(seconds=60)
_PROVED: Final = "proved of a citizen"
NETWORK: Final = Pace("provider network", 60, 10)
"""So often one network may be sent to a provider, or come back."""


def begin(session: WriteSession, provider: IdentityProvider, browser: str, return_to: str) -> UUID:
    """Note that somebody goes to the provider; `browser` is the secret of their browser."""
    pending = PendingSignIn(
        municipality_id=provider.municipality_id,
        provider_id=provider.id,
        browser_hash=digest(browser),
        return_to=return_to,
    )
    session.add(pending)
    session.flush()
    return pending.id


def pending(pending_id: UUID, redirect_uri: str) -> Pending:
    """What belongs to this sign-in."""
    return Pending(
        redirect_uri, *(links.made(f"sign-in {what}", pending_id.bytes) for what in ("state", "nonce", "verifier"))
    )


def take(session: WriteSession, provider: IdentityProvider, state: str, browser: str) -> PendingSignIn:
    """The sign-in of somebody who is back; it is used up.

    Raises NotAuthenticated where it is none of ours, used, too old, of another provider or of another browser.
    """
    try:
        pending_id = UUID(bytes=links.opened("sign-in state", state))
    except (NotFound, ValueError):
        raise NotAuthenticated("providers.not_pending") from None
    found: PendingSignIn | None = session.scalar(
        delete(PendingSignIn)
        .where(
            PendingSignIn.id == pending_id,
            PendingSignIn.municipality_id == provider.municipality_id,
            PendingSignIn.provider_id == provider.id,
            PendingSignIn.browser_hash == digest(browser),
            PendingSignIn.created_at > func.now() - PENDING_LIFE,
        )
        .returning(PendingSignIn)
    )
    if found is None:
        raise NotAuthenticated("providers.not_pending")
    return found


def issue(session: WriteSession, begun: PendingSignIn, person: Person, *, strong: bool) -> str:
    """A new ticket for the sign-in of `person`, for the browser that it was begun in."""
    return _issue(session, begun, person_id=person.id, is_strong=strong)


def issue_to_citizen(session: WriteSession, begun: PendingSignIn, proved: Proved) -> str:
    """The same for the sign-in of the citizen of whom this is proved."""
    return _issue(session, begun, proved=sealed(orjson.dumps(list(proved)).decode(), _PROVED), is_strong=False)


def ticket_of(session: ReadSession, ticket: str, browser: str) -> SignInTicket:
    """The ticket, of the browser with this secret. Raises NotAuthenticated where it is unknown, used or too old."""
    found = session.get(SignInTicket, digest(ticket))
    if found is None or found.expires_at <= datetime.now(UTC) or found.browser_hash != digest(browser):
        raise NotAuthenticated("providers.ticket_not_good", field="ticket")
    return found


def holder(session: ReadSession, ticket: SignInTicket) -> Person:
    """Who of the staff has this ticket. Raises NotAuthenticated where it is of a citizen, or of somebody gone."""
    person = session.get(Person, (ticket.municipality_id, ticket.person_id)) if ticket.person_id is not None else None
    if person is None or not person.is_active:
        raise NotAuthenticated("providers.ticket_not_good", field="ticket")
    return person


def exchange(session: WriteSession, ticket: SignInTicket, code: str | None, device: str) -> SignIn:
    """The sign-in that a ticket stands for; it is used up. Where the provider has asked for no second factor, ours is.

    Raises NotAuthenticated; CodeNeeded where a code was not given.
    """
    _use_up(session, ticket)
    person = holder(session, ticket)
    return signing_in.begin(session, person, code, device, provider_id=ticket.provider_id, is_strong=ticket.is_strong)


def exchange_of_citizen(session: WriteSession, ticket: SignInTicket, language: str, device: str) -> CitizenSignIn:
    """The same for a citizen. Raises NotAuthenticated."""
    if ticket.proved is None:
        raise NotAuthenticated("providers.ticket_not_good", field="ticket")
    _use_up(session, ticket)
    proved = Proved(*orjson.loads(unsealed(ticket.proved, _PROVED)))
    came_from = ticket.provider_id
    return citizens.begin(session, language=language, device=device, provider_id=came_from, **proved._asdict())


def forget_expired(session: WriteSession) -> None:
    """Forget who never came back, and the tickets that nobody has used."""
    session.execute(delete(PendingSignIn).where(PendingSignIn.created_at < func.now() - PENDING_LIFE))
    session.execute(delete(SignInTicket).where(SignInTicket.expires_at < func.now()))


def _issue(session: WriteSession, begun: PendingSignIn, **whose: Any) -> str:
    ticket = secrets.token_urlsafe(32)
    session.add(
        SignInTicket(
            ticket_hash=digest(ticket),
            municipality_id=begun.municipality_id,
            provider_id=begun.provider_id,
            browser_hash=begun.browser_hash,
            expires_at=datetime.now(UTC) + TICKET_LIFE,
            **whose,
        )
    )
    return ticket


def _use_up(session: WriteSession, ticket: SignInTicket) -> None:
    used = session.execute(
        delete(SignInTicket)
        .where(SignInTicket.ticket_hash == ticket.ticket_hash, SignInTicket.expires_at > func.now())
        .returning(SignInTicket.provider_id)
    )
    if used.one_or_none() is None:
        raise NotAuthenticated("providers.ticket_not_good", field="ticket")
