"""Who works here, and what they may do. Passwords are kept as argon2id."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from threading import BoundedSemaphore
from typing import Any, Final, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import ColumnElement, func, select

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import Conflict, Forbidden, InvalidInput, NotFound
from city.registry.sign_in import sign_ins
from city.registry.sign_in.provider_tables import ProviderPost
from city.registry.staff import roles
from city.registry.staff.rights import EVERYTHING, Narrowing, Post
from city.registry.staff.rights import Right as Right
from city.registry.staff.rights import Staff as Staff
from city.registry.staff.role_tables import Role
from city.registry.tables import AccessToken, Appointment, Crew, Department, Municipality, Person

P = TypeVar("P", Appointment, ProviderPost)

SHORTEST_PASSWORD: Final = 12
FEWEST_SIGNS: Final = 5

_hasher: Final = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))
"""The parameters OWASP gives for argon2id: 19 MiB, two passes, one lane."""
_hashing: Final = BoundedSemaphore(4)
_NOBODY: Final = _hasher.hash(secrets.token_hex(16))


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
    elsewhere = (AccessToken.token_hash != but,) if but is not None else ()
    sign_ins.end(session, AccessToken, *sign_ins_of(municipality_id, person_id), *elsewhere)


def sign_ins_of(municipality_id: int, person_id: int) -> tuple[ColumnElement[bool], ...]:
    """The condition that a sign-in is theirs."""
    return AccessToken.municipality_id == municipality_id, AccessToken.person_id == person_id


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
    role = session.get_one(Role, (found.role_owner_id, found.role))
    if (municipality_id, person_id) == (by.home_id, by.person_id) and Right.ADMINISTER.value in role.rights:
        raise Forbidden("people.not_oneself")
    session.delete(found)
    roles.check_administrable(session, by, municipality_id)


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
    within: Narrowing = EVERYTHING,
) -> int:
    """Make somebody known with a role, or give somebody known another one; a password given is set. Gives their id.

    `role` is a slug; `within` narrows the appointment to categories and zones. `password_hash` is for many with one
    password, hashed once by `hash_password`. Nobody signs in without either.

    Raises InvalidInput, NotFound; Conflict where they work for another municipality.
    """
    if "@" not in email:
        raise InvalidInput("intake.bad_email", field="email", value=email)
    home_id = _home(session, municipality, role)
    post = post_of(session, home_id, role, department=department, crew=crew, within=within)
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
    whose = {"municipality_id": home_id, "person_id": person.id}
    known = session.scalar(select(Appointment).filter_by(provider_id=None, **whose, **post))
    if known is None:
        session.add(Appointment(**whose, **post))
        session.flush()
    return person.id


def post_of(
    session: ReadSession, home_id: int, slug: str, *, department: str | None, crew: str | None, within: Narrowing
) -> dict[str, Any]:
    """The columns of an appointment of `home_id`. Raises InvalidInput."""
    role = roles.role(session, home_id, slug)
    crew_id = _find(session, Crew, home_id, crew, "registry.no_crew")
    if role.is_of_crew and crew_id is None:
        raise InvalidInput("people.crew_needed", field="crew")
    roles.check_narrowing(session, home_id, role, within)
    return {
        "role_owner_id": role.municipality_id,
        "role": role.slug,
        "department_id": _find(session, Department, home_id, department, "registry.no_department"),
        "crew_id": crew_id,
        "groups": sorted(within.groups),
        "categories": sorted(within.categories),
        "zones": sorted(within.zones),
    }


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


def named(session: ReadSession, table: type[P], *which: ColumnElement[bool]) -> list[tuple[P, str | None, str | None]]:
    """Those appointments, in the order they were given, with the slugs of department and crew."""
    rows = session.execute(
        select(table, Department.slug, Crew.slug)
        .outerjoin(
            Department, (Department.municipality_id == table.municipality_id) & (Department.id == table.department_id)
        )
        .outerjoin(Crew, (Crew.municipality_id == table.municipality_id) & (Crew.id == table.crew_id))
        .where(*which)
        .order_by(table.id)
    )
    return [(post, department, crew) for post, department, crew in rows]


def staff(session: ReadSession, person: Person) -> Staff:
    """Somebody, with what they are appointed to."""
    return staff_all(session, [person])[0]


def staff_all(session: ReadSession, persons: Sequence[Person]) -> list[Staff]:
    """As `staff` for several, in their order; one statement."""
    posts: dict[int, list[Post]] = defaultdict(list)
    for row in session.execute(
        select(
            Appointment.person_id,
            Appointment.role,
            Appointment.department_id,
            Appointment.crew_id,
            Appointment.groups,
            Appointment.categories,
            Appointment.zones,
            Appointment.provider_id,
            Role.rights,
            Role.is_of_crew,
        )
        .join(Role, (Role.municipality_id == Appointment.role_owner_id) & (Role.slug == Appointment.role))
        .where(Appointment.person_id.in_({person.id for person in persons}))
        .order_by(Appointment.id)
    ):
        posts[row.person_id].append(
            Post(
                row.role,
                frozenset(map(Right, row.rights)),
                row.department_id,
                row.crew_id,
                is_of_crew=row.is_of_crew,
                within=Narrowing.of(row.groups, row.categories, row.zones),
                provider_id=row.provider_id,
            )
        )
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
