"""The demo's people, and the password that opens all their accounts."""

from __future__ import annotations

from sqlalchemy import func, select, update

from city.database import WriteSession, provincial
from city.registry import territory
from city.registry.staff import people, roles
from city.registry.staff.rights import Narrowing, Right
from city.registry.staff.roles import RoleFields
from city.registry.tables import Person
from commands.seeding.files import toml


def put_people(session: WriteSession, password: str) -> int:
    """Appoint them, in the roles the seed makes for them too; how many there are."""
    hashed = people.hash_password(password)
    for role in toml("people")["role"]:
        home = territory.home(session, role["municipality"])
        rights = frozenset(map(Right, role["rights"]))
        roles.put(session, None, home.id, RoleFields(role["slug"], role["name"]["it"], role["name"]["en"], rights))
    given = toml("people")["person"]
    for person in given:
        people.appoint(
            session,
            municipality=person.get("municipality"),
            email=person["email"],
            name=person["name"],
            role=person["role"],
            password_hash=hashed,
            department=person.get("department"),
            crew=person.get("crew"),
            within=Narrowing(frozenset(person.get("groups", ())), zones=frozenset(person.get("zones", ()))),
        )
    return len(given)


def renew_password(password: str) -> int:
    """Let `password` open every demo account, if it does not yet; how many there are."""
    emails = [person["email"].lower() for person in toml("people")["person"]]
    ours = func.lower(Person.email).in_(emails)
    with provincial() as session:
        hashes = list(session.scalars(select(Person.password_hash).where(ours)))
        if len(set(hashes)) != 1 or not people.is_right(password, hashes[0]):
            session.execute(update(Person).where(ours).values(password_hash=people.hash_password(password)))
    return len(hashes)
