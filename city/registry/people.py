"""Who works here, and what they may do. Passwords are kept as argon2id."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import BoundedSemaphore
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import func, select, update

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import Conflict, Forbidden, InvalidInput, NotFound
from city.registry.tables import ROLES, AccessToken, Appointment, Crew, Department, Municipality, Person

SHORTEST_PASSWORD: Final = 12
FEWEST_SIGNS: Final = 5

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
    SHARE = "share"
    """To tell somebody outside who reported."""
    ADMINISTER = "administer"


_RIGHTS: Final[dict[str, frozenset[Right]]] = {
    "council": frozenset({Right.READ}),
    "crew": frozenset({Right.READ, Right.FIELD}),
    "clerk": frozenset({Right.READ, Right.CONTACT, Right.FIELD, Right.DESK}),
    "head": frozenset({Right.READ, Right.CONTACT, Right.FIELD, Right.DESK, Right.SHARE}),
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

    @property
    def roles(self) -> list[str]:
        """The roles, each once."""
        return sorted({post.role for post in self.posts})

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


def hash_password(password: str, email: str = "") -> str:
    """The argon2id hash of a new password. Raises InvalidInput where it is too short or easily guessed."""
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidInput("people.short_password", field="password", shortest=SHORTEST_PASSWORD)
    if len(set(password)) < FEWEST_SIGNS or (email and email.strip().lower() in password.lower()):
        raise InvalidInput("people.weak_password", field="password", fewest=FEWEST_SIGNS)
    with _hashing:
        return _hasher.hash(password)


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one hashed. Takes as long where there is none."""
    with _hashing:
        return _hasher.verify(password, password_hash or _NOBODY) and password_hash is not None


def revoke_all(session: WriteSession, municipality_id: int, person_id: int, *, but: bytes | None = None) -> None:
    """Sign somebody out everywhere, except (perhaps) from where they hold the token with the digest `but`."""
    revoked = update(AccessToken).where(
        AccessToken.municipality_id == municipality_id,
        AccessToken.person_id == person_id,
        AccessToken.revoked_at.is_(None),
    )
    if but is not None:
        revoked = revoked.where(AccessToken.token_hash != but)
    session.execute(revoked.values(revoked_at=func.now()))


def person(session: ReadSession, municipality_id: int, person_id: int) -> Person:
    """Somebody who works there. Raises NotFound."""
    found = session.get(Person, (municipality_id, person_id))
    if found is None:
        raise NotFound("people.no_person", value=person_id)
    return found


def dismiss(session: WriteSession, by: Staff, municipality_id: int, person_id: int, appointment_id: int) -> None:
    """Take an appointment away. Raises NotFound; Forbidden where it is one's own as administrator."""
    found = session.get(Appointment, (municipality_id, appointment_id))
    if found is None or found.person_id != person_id:
        raise NotFound("people.no_appointment", value=appointment_id)
    if (municipality_id, person_id) == (by.home_id, by.person_id) and Right.ADMINISTER in _RIGHTS[found.role]:
        raise Forbidden("people.not_oneself")
    session.delete(found)
    session.flush()


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
        password_hash = hash_password(password, email)
    if password_hash is not None and person.id is not None:
        revoke_all(session, home_id, person.id)
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


def staff(session: ReadSession, person: Person) -> Staff:
    """Somebody, with what they are appointed to."""
    return staff_all(session, [person])[0]


def staff_all(session: ReadSession, persons: Sequence[Person]) -> list[Staff]:
    """As `staff` for several, in their order; one statement."""
    posts: dict[int, list[Post]] = defaultdict(list)
    for person_id, role, department_id, crew_id in session.execute(
        select(Appointment.person_id, Appointment.role, Appointment.department_id, Appointment.crew_id)
        .where(Appointment.person_id.in_({person.id for person in persons}))
        .order_by(Appointment.id)
    ):
        posts[person_id].append(Post(role, department_id, crew_id))
    return [
        Staff(
            person_id=person.id,
            name=person.name,
            email=person.email,
            language=person.language,
            home_id=person.municipality_id,
            posts=tuple(posts[person.id]),
        )
        for person in persons
    ]
