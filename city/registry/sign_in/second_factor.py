"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and paper codes for when the phone is lost."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Final

import pyotp
from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.digests import digest
from city.errors import Conflict, InvalidInput, NotAuthenticated
from city.registry.staff.people import Right, Staff
from city.registry.tables import Person, SecondFactor
from city.sealing import sealed, unsealed
from city.settings import settings

STEP_SECONDS: Final = 30
PAPER_CODES: Final = 8
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters that look like others on paper."""


def is_needed(staff: Staff) -> bool:
    """Whether this installation wants a second factor of somebody like them."""
    wanted = settings().second_factor
    return wanted == "everybody" or (wanted == "administrators" and bool(staff.posts_with(Right.ADMINISTER)))


def has_one(session: ReadSession, person: Person) -> bool:
    """Whether they have set one up, to the end."""
    factor = session.get(SecondFactor, (person.municipality_id, person.id))
    return factor is not None and factor.confirmed_at is not None


def begin(session: WriteSession, staff: Staff) -> tuple[str, str]:
    """A new secret, and the `otpauth:` address that apps read as a picture; counts once a code of it was given.

    Raises Conflict where they have one already.
    """
    factor = session.get(SecondFactor, (staff.home_id, staff.person_id), with_for_update=True)
    if factor is not None and factor.confirmed_at is not None:
        raise Conflict("people.has_factor")
    if factor is None:
        factor = SecondFactor(municipality_id=staff.home_id, person_id=staff.person_id, paper=[])
        session.add(factor)
    secret = pyotp.random_base32()
    factor.secret, factor.last_step = sealed(secret, "second factor"), 0
    return secret, pyotp.TOTP(secret).provisioning_uri(name=staff.email, issuer_name="Lampione")


def confirm(session: WriteSession, staff: Staff, code: str) -> list[str]:
    """From now on codes are asked for; the paper codes, shown this once. Raises Conflict, InvalidInput."""
    factor = session.get(SecondFactor, (staff.home_id, staff.person_id), with_for_update=True)
    if factor is None or factor.confirmed_at is not None:
        raise Conflict("people.no_factor_begun" if factor is None else "people.has_factor")
    if not _is_right(factor, code):
        raise InvalidInput("people.wrong_first_code", field="code")
    factor.confirmed_at = datetime.now(UTC)
    paper = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4)) for _ in range(PAPER_CODES)
    ]
    factor.paper = [_digest(one) for one in paper]
    return paper


def check(session: WriteSession, person: Person, code: str) -> None:
    """Take a code, each once. Raises NotAuthenticated."""
    factor = session.scalar(
        select(SecondFactor)
        .where(SecondFactor.municipality_id == person.municipality_id, SecondFactor.person_id == person.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if factor is None or not (_is_right(factor, code) or _is_paper(factor, code)):
        raise NotAuthenticated("people.wrong_code", field="code")


def remove(session: WriteSession, municipality_id: int, person_id: int) -> None:
    """Ask for no code any more; harmless where none was asked for."""
    factor = session.get(SecondFactor, (municipality_id, person_id))
    if factor is not None:
        session.delete(factor)


def _is_right(factor: SecondFactor, code: str) -> bool:
    """Whether it is the code of this half minute or of its neighbours, and newer than the last one taken."""
    app = pyotp.TOTP(unsealed(factor.secret, "second factor"), interval=STEP_SECONDS)
    now = int(datetime.now(UTC).timestamp()) // STEP_SECONDS
    given = code.replace(" ", "")
    for step in (now - 1, now, now + 1):
        if step > factor.last_step and secrets.compare_digest(app.at(step * STEP_SECONDS).encode(), given.encode()):
            factor.last_step = step
            return True
    return False


def _is_paper(factor: SecondFactor, code: str) -> bool:
    given = _digest(code)
    if given not in factor.paper:
        return False
    factor.paper = [one for one in factor.paper if one != given]
    return True


def _digest(code: str) -> str:
    """Random letters of nearly 80 bits need no slow hash."""
    return digest(code.strip().lower().replace("-", "")).hex()
