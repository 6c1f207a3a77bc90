"""Signing in, out, and what proves who somebody is: a password, and a second factor if they have one.

A sign-in is an opaque random token of which only the SHA-256 is kept, so that it can be revoked and a stolen table
opens nothing. It happens before the municipality is known, hence `provincial()`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, update

from city import links
from city.database import ReadSession, WriteSession
from city.digests import digest
from city.errors import CodeNeeded, Forbidden, NotAuthenticated, NotFound
from city.pacing import Pace
from city.registry.sign_in import second_factor, sign_ins
from city.registry.staff import people
from city.registry.staff.people import Staff
from city.registry.tables import AccessToken, PasswordReset, Person

TOKEN_LIFE: Final = timedelta(hours=12)
RESET_LIFE: Final = timedelta(hours=1)

_HERE: Final = Pace("sign-in here", 10, 90)
_ANYWHERE: Final = Pace("sign-in", 100, 36)
_NETWORK: Final = Pace("sign-in network", 50, 10)
_RESETS: Final = Pace("reset", 3, 1200)
_RESETS_NETWORK: Final = Pace("reset network", 20, 180)

_HOLDER: Final = (Person.municipality_id == AccessToken.municipality_id) & (Person.id == AccessToken.person_id)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A new sign-in."""

    token: str
    staff: Staff
    expires_at: datetime
    is_full: bool
    """False where a second factor must be set up before anything else."""


def paces(email: str, network: str) -> list[tuple[Pace, str]]:
    """What a failed sign-in counts against. An account is locked for the network that guesses at it, long before it is
    locked for everybody, so that nobody can lock out a colleague from afar.
    """
    account = email.strip().lower()
    counted = [(_HERE, f"{account} {network}"), (_ANYWHERE, account)]
    return [*counted, (_NETWORK, network)] if network else counted


def reset_paces(email: str, network: str) -> list[tuple[Pace, str]]:
    """What asking for a new password counts against."""
    counted = [(_RESETS, email.strip().lower())]
    return [*counted, (_RESETS_NETWORK, network)] if network else counted


def sign_in(session: WriteSession, email: str, password: str, code: str | None, device: str) -> SignIn:
    """A new sign-in. Takes as long for an unknown address as for a wrong password.

    Raises NotAuthenticated; CodeNeeded where the password is right and a code was not given.
    """
    person = session.scalar(select(Person).where(func.lower(Person.email) == email.strip().lower(), Person.is_active))
    if not people.is_right(password, person.password_hash if person else None) or person is None:
        raise NotAuthenticated("people.wrong_password")
    return begin(session, person, code, device)


def begin(
    session: WriteSession,
    person: Person,
    code: str | None,
    device: str,
    *,
    provider_id: int | None = None,
    is_strong: bool = False,
) -> SignIn:
    """Sign somebody in who has proved who they are, here or at a provider, but for the second factor, if they have one.

    `is_strong`: the provider has asked for one already. Raises NotAuthenticated; CodeNeeded where a code was not given.
    """
    has_proved = is_strong or _has_proved(session, person, code)
    staff = people.staff(session, person).through(provider_id)
    is_full = has_proved or not second_factor.is_needed(staff)
    token = secrets.token_urlsafe(32)
    expires_at = datetime.now(UTC) + TOKEN_LIFE
    session.add(
        AccessToken(
            token_hash=digest(token),
            municipality_id=person.municipality_id,
            person_id=person.id,
            expires_at=expires_at,
            device=device,
            is_full=is_full,
            provider_id=provider_id,
        )
    )
    session.flush()
    return SignIn(token, staff, expires_at, is_full)


def _has_proved(session: WriteSession, person: Person, code: str | None) -> bool:
    """Whether somebody has a second factor, by a code of which they have proved who they are."""
    if not second_factor.has_one(session, person):
        return False
    if not code:
        raise CodeNeeded("people.code_needed", field="code")
    second_factor.check(session, person, code)
    return True


def signed_in(session: WriteSession, token: str, *, to_enrol: bool = False) -> Staff:
    """Who holds `token`. `to_enrol`: also who must set up a second factor before anything else.

    Raises NotAuthenticated where it is unknown, expired or revoked; Forbidden where the second factor is missing.
    """
    row = session.execute(
        select(Person, AccessToken.provider_id, AccessToken.is_full, sign_ins.is_stale(AccessToken))
        .join(AccessToken, _HOLDER)
        .where(AccessToken.token_hash == digest(token), *sign_ins.good(AccessToken), Person.is_active)
    ).one_or_none()
    if row is None:
        raise NotAuthenticated("people.token_not_good")
    person, provider_id, is_full, is_stale = row
    if not is_full and not to_enrol:
        raise Forbidden("people.enrol_first")
    if is_stale:
        sign_ins.note_use(session, AccessToken, token)
    return people.staff(session, person).through(provider_id)


def still_signed_in(session: ReadSession, digests: Iterable[bytes]) -> dict[bytes, Staff]:
    """Whose sign-ins these are, of those that are still good for everything, by the digests of their tokens."""
    rows = session.execute(
        select(AccessToken.token_hash, AccessToken.provider_id, Person)
        .join(Person, _HOLDER)
        .where(
            AccessToken.token_hash.in_(set(digests)),
            *sign_ins.good(AccessToken),
            AccessToken.is_full,
            Person.is_active,
        )
    ).all()
    holders = people.staff_all(session, [person for _, _, person in rows])
    return {
        token_hash: holder.through(provider_id)
        for (token_hash, provider_id, _), holder in zip(rows, holders, strict=True)
    }


def sign_out(session: WriteSession, token: str) -> None:
    """End the sign-in of `token`; harmless where it is over."""
    sign_ins.end(session, AccessToken, AccessToken.token_hash == digest(token))


def forget_expired(session: WriteSession) -> None:
    """Forget the sign-ins and the links for new passwords that are no good any more."""
    session.execute(delete(AccessToken).where(AccessToken.expires_at < func.now()))
    session.execute(delete(PasswordReset).where(PasswordReset.created_at < func.now() - RESET_LIFE))


def devices(session: ReadSession, staff: Staff) -> list[AccessToken]:
    """Where somebody is signed in, newest first."""
    return sign_ins.good_now(session, AccessToken, *people.sign_ins_of(staff.home_id, staff.person_id))


def revoke(session: WriteSession, staff: Staff, sign_in_id: UUID) -> None:
    """Sign somebody out from one of their devices. Raises NotFound."""
    sign_ins.end_one(session, AccessToken, sign_in_id, *people.sign_ins_of(staff.home_id, staff.person_id))


def complete(session: WriteSession, staff: Staff, token: str) -> None:
    """The second factor is set up: this sign-in is good for everything, all others end."""
    session.execute(update(AccessToken).where(AccessToken.token_hash == digest(token)).values(is_full=True))
    people.revoke_all(session, staff.home_id, staff.person_id, but=digest(token))


def give_up_factor(session: WriteSession, staff: Staff, password: str, code: str) -> None:
    """Ask for no code any more. Raises NotAuthenticated; Forbidden where this installation wants one."""
    if second_factor.is_needed(staff):
        raise Forbidden("people.factor_wanted")
    person = session.get_one(Person, (staff.home_id, staff.person_id))
    if not people.is_right(password, person.password_hash):
        raise NotAuthenticated("people.wrong_current", field="password")
    second_factor.check(session, person, code)
    second_factor.remove(session, staff.home_id, staff.person_id)


def change_password(session: WriteSession, staff: Staff, token: str, current: str, new: str) -> None:
    """Set one's own password; all other sign-ins end. Raises NotAuthenticated, InvalidInput."""
    person = session.get_one(Person, (staff.home_id, staff.person_id))
    if not people.is_right(current, person.password_hash):
        raise NotAuthenticated("people.wrong_current", field="current")
    person.password_hash = people.hash_password(new, person.email)
    people.revoke_all(session, staff.home_id, staff.person_id, but=digest(token))


def ask_for_reset(session: WriteSession, email: str) -> PasswordReset | None:
    """Note that somebody wants a new password; None where nobody here has that address, which nobody is told."""
    person = session.scalar(select(Person).where(func.lower(Person.email) == email.strip().lower(), Person.is_active))
    if person is None:
        return None
    reset = PasswordReset(municipality_id=person.municipality_id, person_id=person.id)
    session.add(reset)
    session.flush()
    return reset


def reset_token(reset_id: UUID) -> str:
    """What opens this link for a new password."""
    return links.made("password reset", reset_id.bytes)


def is_good(reset: PasswordReset) -> bool:
    """Whether a new password can still be set with it."""
    return reset.used_at is None and reset.created_at > datetime.now(UTC) - RESET_LIFE


def reset_password(session: WriteSession, token: str, new: str) -> Person:
    """Set a new password with the token of a mail, once; every sign-in ends.

    The second factor stays. Raises NotAuthenticated, InvalidInput.
    """
    try:
        reset_id = UUID(bytes=links.opened("password reset", token))
    except (NotFound, ValueError):
        raise NotAuthenticated("people.reset_not_good", field="token") from None
    reset = session.get(PasswordReset, reset_id, with_for_update=True)
    if reset is None or not is_good(reset):
        raise NotAuthenticated("people.reset_not_good", field="token")
    person = session.get(Person, (reset.municipality_id, reset.person_id))
    if person is None or not person.is_active:
        raise NotAuthenticated("people.reset_not_good", field="token")
    person.password_hash = people.hash_password(new, person.email)
    reset.used_at = datetime.now(UTC)
    people.revoke_all(session, person.municipality_id, person.id)
    return person
