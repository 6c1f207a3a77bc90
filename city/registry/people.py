"""Who works here, who is signed in, and what they may do.

Passwords are kept as argon2id; a sign-in is an opaque random token of which only the SHA-256 is kept, so that it can be
revoked and a stolen table opens nothing. Sign-in happens before the municipality is known, hence `provincial()`.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import BoundedSemaphore
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import delete, func, select, update

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound
from city.registry.tables import ROLES, AccessToken, Appointment, Crew, Department, Municipality, Person

TOKEN_LIFE: Final = timedelta(hours=12)
SHORTEST_PASSWORD: Final = 12

_hasher: Final = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))
"""The parameters OWASP gives for argon2id: 19 MiB, two passes, one lane."""
_hashing: Final = BoundedSemaphore(4)
_NOBODY: Final = _hasher.hash(secrets.token_hex(16))


class Right(StrEnum):
    """What somebody may do with reports."""

    READ = "read"
    CONTACT = "contact"
    FIELD = "field"
    DESK = "desk"
    ADMINISTER = "administer"


_RIGHTS: Final[dict[str, frozenset[Right]]] = {
    "council": frozenset({Right.READ}),
    "crew": frozenset({Right.READ, Right.FIELD}),
    "clerk": frozenset({Right.READ, Right.CONTACT, Right.FIELD, Right.DESK}),
    "head": frozenset({Right.READ, Right.CONTACT, Right.FIELD, Right.DESK}),
    "municipality_admin": frozenset(Right),
    "province_admin": frozenset(Right),
}


@dataclass(frozen=True, slots=True)
class Post:
    """One appointment: a role, for everything or for one department or crew."""

    role: str
    department_id: int | None
    crew_id: int | None


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody signed in."""

    person_id: int
    name: str
    email: str
    language: str
    home_id: int
    """The municipality that employs them; 0 is the province."""
    posts: tuple[Post, ...]

    def works_in(self, municipality_id: int) -> bool:
        """Whether they may act in this municipality at all."""
        return self.home_id == municipality_id or any(post.role == "province_admin" for post in self.posts)

    def posts_with(self, right: Right) -> list[Post]:
        """The appointments that carry `right`."""
        return [post for post in self.posts if right in _RIGHTS[post.role]]

    def needs(self, right: Right) -> None:
        """Raises Forbidden where no appointment carries `right`."""
        if not self.posts_with(right):
            raise Forbidden("people.not_allowed", right=right.value)

    def may(self, right: Right, *, department_id: int, crew_id: int | None, front_desk_id: int) -> bool:
        """Whether they may do this with a report of that department and crew.

        An appointment without department, or to the department that takes whatever no rule sends elsewhere (the
        front desk), covers all departments.
        """
        for post in self.posts_with(right):
            if post.role == "crew":
                if crew_id is not None and post.crew_id == crew_id:
                    return True
            elif post.department_id in (None, department_id, front_desk_id):
                return True
        return False


def hash_password(password: str) -> str:
    """The argon2id hash of a new password. Raises InvalidInput where it is too short."""
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidInput("people.short_password", field="password", shortest=SHORTEST_PASSWORD)
    with _hashing:
        return _hasher.hash(password)


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one hashed."""
    with _hashing:
        return _hasher.verify(password, password_hash or _NOBODY) and password_hash is not None


def sign_in(session: WriteSession, email: str, password: str) -> tuple[str, Staff, datetime]:
    """A new token, who it is, and until when. Takes as long for an unknown address as for a wrong password.

    Raises NotAuthenticated.
    """
    person = session.scalar(select(Person).where(func.lower(Person.email) == email.strip().lower(), Person.is_active))
    with _hashing:
        is_right = _hasher.verify(password, (person.password_hash if person else None) or _NOBODY)
    if person is None or person.password_hash is None or not is_right:
        raise NotAuthenticated("people.wrong_password")
    token = secrets.token_urlsafe(32)
    expires_at = datetime.now(UTC) + TOKEN_LIFE
    session.add(
        AccessToken(
            token_hash=_digest(token),
            municipality_id=person.municipality_id,
            person_id=person.id,
            expires_at=expires_at,
        )
    )
    session.flush()
    return token, _staff(session, person), expires_at


def signed_in(session: ReadSession, token: str) -> Staff:
    """Who holds `token`. Raises NotAuthenticated where it is unknown, expired or revoked."""
    person = session.scalar(
        select(Person)
        .join(
            AccessToken,
            (AccessToken.municipality_id == Person.municipality_id) & (AccessToken.person_id == Person.id),
        )
        .where(
            AccessToken.token_hash == _digest(token),
            AccessToken.revoked_at.is_(None),
            AccessToken.expires_at > func.now(),
            Person.is_active,
        )
    )
    if person is None:
        raise NotAuthenticated("people.token_not_good")
    return _staff(session, person)


def sign_out(session: WriteSession, token: str) -> None:
    """Revoke `token`; harmless where it is not good any more."""
    session.execute(update(AccessToken).where(AccessToken.token_hash == _digest(token)).values(revoked_at=func.now()))


def forget_expired(session: WriteSession) -> None:
    """Forget the sign-ins that are no good any more."""
    session.execute(delete(AccessToken).where(AccessToken.expires_at < func.now()))


def appoint(
    session: WriteSession,
    *,
    municipality: str | None,
    email: str,
    name: str,
    role: str,
    password: str | None = None,
    password_hash: str | None = None,
    department: str | None = None,
    crew: str | None = None,
) -> int:
    """Make somebody known with a role, or give somebody known another one; a password given is set. Gives their id.

    `password_hash` is for many with one password, hashed once by `hash_password`. Nobody signs in without either.

    Raises InvalidInput, NotFound; Conflict where they work for another municipality.
    """
    if role not in ROLES:
        raise InvalidInput("people.unknown_role", field="role", value=role, known=", ".join(ROLES))
    if "@" not in email:
        raise InvalidInput("intake.bad_email", field="email", value=email)
    home_id = _home(session, municipality, role)
    department_id = _find(session, Department, home_id, department, "registry.no_department")
    crew_id = _find(session, Crew, home_id, crew, "registry.no_crew")
    if role == "crew" and crew_id is None:
        raise InvalidInput("people.crew_needed", field="crew")
    person = session.scalar(select(Person).where(func.lower(Person.email) == email.strip().lower()))
    if person is None:
        person = Person(municipality_id=home_id, email=email.strip(), name=name)
        session.add(person)
    elif person.municipality_id != home_id:
        raise Conflict("people.works_elsewhere", field="email", value=email)
    person.name = name
    if password is not None:
        password_hash = hash_password(password)
    if password_hash is not None:
        person.password_hash = password_hash
    session.flush()
    post = {"role": role, "department_id": department_id, "crew_id": crew_id}
    known = session.scalar(select(Appointment).filter_by(municipality_id=home_id, person_id=person.id, **post))
    if known is None:
        session.add(Appointment(municipality_id=home_id, person_id=person.id, **post))
    return person.id


def _home(session: ReadSession, municipality: str | None, role: str) -> int:
    if role == "province_admin":
        return PROVINCE
    home_id = session.scalar(select(Municipality.id).where(Municipality.slug == (municipality or "")))
    if home_id is None:
        raise NotFound("registry.unknown_municipality", value=municipality or "-")
    return home_id


def _find(
    session: ReadSession, table: type[Department | Crew], home_id: int, slug: str | None, missing: str
) -> int | None:
    if slug is None:
        return None
    found = session.scalar(select(table.id).where(table.municipality_id == home_id, table.slug == slug))
    if found is None:
        raise InvalidInput(missing, field=table.__tablename__, value=slug)
    return found


def _staff(session: ReadSession, person: Person) -> Staff:
    posts = session.execute(
        select(Appointment.role, Appointment.department_id, Appointment.crew_id).where(
            Appointment.municipality_id == person.municipality_id, Appointment.person_id == person.id
        )
    )
    return Staff(
        person_id=person.id,
        name=person.name,
        email=person.email,
        language=person.language,
        home_id=person.municipality_id,
        posts=tuple(Post(*post) for post in posts),
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
