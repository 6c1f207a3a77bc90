"""Tickets that open a stream of live changes: a browser's EventSource cannot send an Authorization header.

A ticket is good for a minute and for one stream, on whichever process and machine. It stands for the sign-in that it
was made with, so that it opens nothing any more once that is over.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, func

from city.database import WriteSession
from city.digests import digest
from city.errors import NotAuthenticated
from city.registry.sign_in import signing_in
from city.registry.staff.people import Staff
from city.registry.tables import StreamTicket

TICKET_LIFE: Final = timedelta(seconds=60)


def issue(session: WriteSession, staff: Staff, token: str) -> tuple[str, datetime]:
    """A new ticket for whoever is signed in with `token`, and until when it is good."""
    ticket, expires_at = secrets.token_urlsafe(32), datetime.now(UTC) + TICKET_LIFE
    session.add(
        StreamTicket(
            ticket_hash=digest(ticket),
            municipality_id=staff.home_id,
            person_id=staff.person_id,
            token_hash=digest(token),
            expires_at=expires_at,
        )
    )
    return ticket, expires_at


def redeem(session: WriteSession, ticket: str) -> tuple[Staff, bytes]:
    """Who holds `ticket`, and the digest of their sign-in. The ticket is used up.

    Raises NotAuthenticated where it is unknown, used or expired, or where the sign-in is over.
    """
    token_hash = session.scalar(
        delete(StreamTicket)
        .where(StreamTicket.ticket_hash == digest(ticket), StreamTicket.expires_at > func.now())
        .returning(StreamTicket.token_hash)
    )
    staff = signing_in.still_signed_in(session, [token_hash]).get(token_hash) if token_hash is not None else None
    if token_hash is None or staff is None:
        raise NotAuthenticated("stream.ticket_not_good", seconds=int(TICKET_LIFE.total_seconds()))
    return staff, token_hash


def forget_expired(session: WriteSession) -> None:
    """Forget the tickets that nobody has used."""
    session.execute(delete(StreamTicket).where(StreamTicket.expires_at < func.now()))
