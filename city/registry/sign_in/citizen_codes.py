"""One-time codes by mail: who has one has read the mail, so the address is theirs.

A code opens only together with the handle that the asking browser got, so nobody signs in with a code that another
browser asked for. Neither is kept: the code is made from the installation's secret, of the handle there is a digest.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select

from city.database import WriteSession
from city.digests import digest, keyed
from city.pacing import Pace
from city.registry.sign_in.citizen_tables import CitizenCode

LIFE: Final = timedelta(minutes=10)
MOST_TRIES: Final = 5
DIGITS: Final = 6

_HERE: Final = Pace("citizen code here", 5, 300)
_ANYWHERE: Final = Pace("citizen code", 10, 900)
_NETWORK: Final = Pace("citizen code network", 30, 120)


def paces(email: str, network: str) -> list[tuple[Pace, str]]:
    """What asking for a code counts against: a mailbox is neither flooded nor, from one network, kept shut."""
    address = email.lower()
    counted = [(_HERE, f"{address} {network}"), (_ANYWHERE, address)]
    return [*counted, (_NETWORK, network)] if network else counted


def ask(session: WriteSession, email: str, language: str) -> tuple[CitizenCode, str]:
    """Note that somebody wants a code by mail, and the handle for the browser that asked."""
    handle = secrets.token_urlsafe(32)
    asked = CitizenCode(handle_hash=digest(handle), email=email, language=language)
    session.add(asked)
    session.flush()
    return asked, handle


def code_of(code_id: UUID) -> str:
    """The six digits."""
    return f"{int.from_bytes(keyed('citizen code', code_id.bytes)) % 10**DIGITS:0{DIGITS}}"


def is_good(asked: CitizenCode) -> bool:
    """Whether somebody can still come in with it."""
    return asked.used_at is None and asked.tries < MOST_TRIES and expires_at(asked) > datetime.now(UTC)


def expires_at(asked: CitizenCode) -> datetime:
    """Until when it is good."""
    return asked.created_at + LIFE


def redeem(session: WriteSession, handle: str, code: str) -> CitizenCode | None:
    """Take a code, once; None where it is not right, used, too old, or was guessed at too often.

    A wrong one is counted, so the transaction has to be kept.
    """
    asked = session.scalar(select(CitizenCode).where(CitizenCode.handle_hash == digest(handle)).with_for_update())
    if asked is None or not is_good(asked):
        return None
    asked.tries += 1
    if not secrets.compare_digest(code_of(asked.id).encode(), "".join(code.split()).encode()):
        return None
    asked.used_at = datetime.now(UTC)
    return asked


def forget_old(session: WriteSession) -> None:
    """Forget the codes that are no good any more."""
    session.execute(delete(CitizenCode).where(CitizenCode.created_at < func.now() - LIFE))
