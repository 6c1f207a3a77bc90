"""Citizens who sign in. Nobody has to: reporting needs no account, and a receipt token opens its report without one.

A citizen is who has proved an e-mail address, a fiscal number, or both. A fiscal number is one person; an address may
be shared. So two citizens become one where a sign-in proves the address of one and the number of the other, unless
both have numbers: then they are two people with one mailbox, and the number says who has come.

All of it goes through `provincial()`: citizens belong to no municipality.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, exists, func, select
from sqlalchemy import text as statement

from city.database import ReadSession, WriteSession
from city.digests import digest, keyed
from city.errors import Conflict, NotAuthenticated, NotFound
from city.registry.sign_in import sign_ins
from city.registry.sign_in.citizen_tables import Citizen, CitizenSession
from city.sealing import sealed, unsealed

TOKEN_LIFE: Final = timedelta(days=90)
KEPT_FOR: Final = timedelta(days=730)
"""Who has not been here for so long is forgotten, as if they had asked for it."""
_PREFIX: Final = "citizen-"
_PURPOSE: Final = "fiscal number"

_ONE_AT_A_TIME: Final = statement("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_CLAIM: Final = statement(
    "UPDATE reporter SET citizen_id = :citizen WHERE lower(email) = lower(:email) AND citizen_id IS NULL"
)
_HAND_OVER: Final = statement("UPDATE reporter SET citizen_id = :citizen WHERE citizen_id = :former")


@dataclass(frozen=True, slots=True)
class CitizenSignIn:
    """A citizen's new sign-in."""

    token: str
    citizen: Citizen
    expires_at: datetime


def is_citizens(token: str) -> bool:
    """Whether this is the token of a citizen, good or not, rather than of staff."""
    return token.startswith(_PREFIX)


def begin(
    session: WriteSession,
    *,
    email: str | None = None,
    fiscal_number: str | None = None,
    name: str | None = None,
    language: str | None = None,
    device: str,
    provider_id: int | None = None,
) -> CitizenSignIn:
    """Sign in whoever has proved this address, this fiscal number, or both; made known where nobody is.

    Only what is proved may be given: an address that an identity provider has not verified opens others' reports.
    Name and language are taken where none are known yet. The fiscal number may have the prefix `TINIT-`. An address
    with letters beyond ASCII is passed over: in small letters it can become somebody else's.
    Raises NotAuthenticated where nothing is left.
    """
    email = email if email and email.isascii() else None
    citizen = _identified(session, email, _plain(fiscal_number) if fiscal_number else None, language)
    citizen.name = citizen.name or name
    citizen.seen_at = datetime.now(UTC)
    token = _PREFIX + secrets.token_urlsafe(32)
    expires_at = datetime.now(UTC) + TOKEN_LIFE
    session.flush()
    session.add(
        CitizenSession(
            token_hash=digest(token),
            citizen_id=citizen.id,
            expires_at=expires_at,
            device=device,
            provider_id=provider_id,
        )
    )
    session.flush()
    return CitizenSignIn(token, citizen, expires_at)


def change(session: WriteSession, citizen_id: UUID, *, name: str | None, language: str) -> Citizen:
    """Note how they want to be called and written to. Raises NotFound."""
    citizen = _locked(session, citizen_id)
    citizen.name, citizen.language = (name or "").strip() or None, language
    session.flush()
    return citizen


def change_email(session: WriteSession, citizen_id: UUID, email: str) -> Citizen:
    """Take over an address that they have just proved; reports of the former one stay theirs.

    Whoever was known by that address only is the same person. Raises NotFound; Conflict where the address is that of
    somebody with a fiscal number.
    """
    _lock(session, email, None)
    citizen = _locked(session, citizen_id)
    holder = _by_email(session, email)
    if holder is not None and holder.id != citizen.id:
        if holder.fiscal_digest is not None:
            raise Conflict("citizens.address_of_other", field="email")
        _join(session, holder, citizen)
    if citizen.email is not None and citizen.email.lower() != email.lower():
        _claim(session, citizen, citizen.email)
    citizen.email = email
    session.flush()
    return citizen


def signed_in(session: WriteSession, token: str) -> Citizen:
    """Who holds `token`. Raises NotAuthenticated where it is unknown, expired or revoked."""
    row = session.execute(
        select(Citizen, sign_ins.is_stale(CitizenSession))
        .join(CitizenSession, CitizenSession.citizen_id == Citizen.id)
        .where(CitizenSession.token_hash == digest(token), *sign_ins.good(CitizenSession))
    ).one_or_none()
    if row is None:
        raise NotAuthenticated("citizens.token_not_good")
    citizen, is_stale = row
    if is_stale:
        sign_ins.note_use(session, CitizenSession, token)
        citizen.seen_at = datetime.now(UTC)
    return citizen


def sign_out(session: WriteSession, token: str) -> None:
    """End the sign-in of `token`; harmless where it is over."""
    sign_ins.end(session, CitizenSession, CitizenSession.token_hash == digest(token))


def devices(session: ReadSession, citizen_id: UUID) -> list[CitizenSession]:
    """Where a citizen is signed in, newest first."""
    return sign_ins.good_now(session, CitizenSession, CitizenSession.citizen_id == citizen_id)


def all_sign_ins(session: ReadSession, citizen_id: UUID) -> list[CitizenSession]:
    """The same, and those that are over and not forgotten yet."""
    theirs = select(CitizenSession).where(CitizenSession.citizen_id == citizen_id)
    return list(session.scalars(theirs.order_by(CitizenSession.created_at.desc())))


def revoke(session: WriteSession, citizen_id: UUID, sign_in_id: UUID) -> None:
    """Sign a citizen out from one of their devices. Raises NotFound."""
    sign_ins.end_one(session, CitizenSession, sign_in_id, CitizenSession.citizen_id == citizen_id)


def revoke_others(session: WriteSession, citizen_id: UUID, token: str) -> None:
    """Sign a citizen out everywhere but where they hold `token`."""
    _revoke_all(session, citizen_id, but=digest(token))


def forget(session: WriteSession, citizen_id: UUID) -> None:
    """Forget a citizen and their sign-ins. Their reports stay, and are nobody's any more."""
    session.execute(delete(Citizen).where(Citizen.id == citizen_id))


def forget_expired(session: WriteSession) -> None:
    """Forget the sign-ins that are no good any more, and who has not been here for long."""
    session.execute(delete(CitizenSession).where(CitizenSession.expires_at < func.now()))
    is_signed_in = exists().where(CitizenSession.citizen_id == Citizen.id)
    session.execute(delete(Citizen).where(Citizen.seen_at < func.now() - KEPT_FOR, ~is_signed_in))


def fiscal_number(citizen: Citizen) -> str | None:
    """Their fiscal number, in capitals without prefix. Raises Unavailable where it was sealed with another secret."""
    return unsealed(citizen.fiscal_number, _PURPOSE) if citizen.fiscal_number is not None else None


def _identified(session: WriteSession, email: str | None, number: str | None, language: str | None) -> Citizen:
    """The one whom these name; two become one, and what is new of them is noted."""
    _lock(session, email, number)
    by_number = _by_number(session, number) if number else None
    by_email = _by_email(session, email) if email else None
    if number and by_email is not None and by_email.fiscal_digest not in {None, _digest(number)}:
        by_email = email = None  # a mailbox of two
    citizen = by_number or by_email
    if citizen is None:
        citizen = Citizen(email=email, **({"language": language} if language else {}))
        session.add(citizen)
    elif by_email is not None and by_email is not citizen:
        _join(session, by_email, citizen)
    if number and citizen.fiscal_digest is None:
        if by_email is not None:
            _revoke_all(session, citizen.id)  # they proved less than the number
        citizen.fiscal_number, citizen.fiscal_digest = sealed(number, _PURPOSE), _digest(number)
    if email and citizen.email is None:
        citizen.email = email
    elif email and citizen.email and citizen.email.lower() != email.lower():
        _claim(session, citizen, email)
    return citizen


def _lock(session: WriteSession, email: str | None, number: str | None) -> None:
    """Let nobody else sign in with these meanwhile: of two first sign-ins the second finds the first."""
    names = ([f"citizen {email.lower()}"] if email else []) + ([f"citizen {_digest(number).hex()}"] if number else [])
    if not names:
        raise NotAuthenticated("citizens.nothing_proved")
    for name in sorted(names):
        session.execute(_ONE_AT_A_TIME, {"name": name})


def _locked(session: WriteSession, citizen_id: UUID) -> Citizen:
    citizen = session.get(Citizen, citizen_id, with_for_update=True)
    if citizen is None:
        raise NotFound("citizens.gone")
    return citizen


def _by_email(session: ReadSession, email: str) -> Citizen | None:
    return session.scalar(select(Citizen).where(func.lower(Citizen.email) == func.lower(email)).with_for_update())


def _by_number(session: ReadSession, number: str) -> Citizen | None:
    return session.scalar(select(Citizen).where(Citizen.fiscal_digest == _digest(number)).with_for_update())


def _join(session: WriteSession, former: Citizen, citizen: Citizen) -> None:
    """All that was `former`'s is `citizen`'s from now on; their sign-ins end, for they proved an address only."""
    session.execute(_HAND_OVER, {"citizen": citizen.id, "former": former.id})
    citizen.name = citizen.name or former.name
    session.delete(former)
    session.flush()


def _revoke_all(session: WriteSession, citizen_id: UUID, *, but: bytes = b"") -> None:
    """Sign a citizen out everywhere, except (perhaps) from where they hold the token with the digest `but`."""
    theirs = CitizenSession.citizen_id == citizen_id
    sign_ins.end(session, CitizenSession, theirs, CitizenSession.token_hash != but)


def _claim(session: WriteSession, citizen: Citizen, email: str) -> None:
    """The reports of an address that is proved, but is not (or no longer) the citizen's own, are theirs."""
    session.execute(_CLAIM, {"citizen": citizen.id, "email": email})


def _plain(number: str) -> str:
    return "".join(number.split()).upper().removeprefix("TINIT-")


def _digest(number: str) -> bytes:
    return keyed(_PURPOSE, number.encode())
