"""The administrator's errand with people: who may sign in, as what, and taking it away again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, StringConstraints
from sqlalchemy import select

from api.access import Signed, administering
from api.schemas.administration import Email
from api.schemas.base import Name, Slug, Strict
from api.schemas.role import AppointmentIn, AppointmentListed
from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import Forbidden
from city.registry.sign_in import provider_staff, second_factor
from city.registry.staff import people, roles
from city.registry.tables import Appointment, Municipality, Person

router = APIRouter(prefix="/api/v1/registry/{owner}/people", tags=["administration"])

Key = Annotated[int, Path(ge=1, lt=2**31)]


class PersonPost(AppointmentIn):
    """Somebody who shall sign in, with a role."""

    email: Email
    name: Name
    password: Annotated[str, StringConstraints(min_length=people.SHORTEST_PASSWORD, max_length=200)]


class PersonPatch(Strict):
    """What is to be different; what is left out stays."""

    name: Name | None = None
    language: Literal["it", "en"] | None = None
    is_active: bool | None = None
    """False: signed out everywhere at once, and may not sign in any more."""


class IdentityListed(BaseModel):
    """An account at a provider of identities that somebody signs in with."""

    issuer: str
    linked_at: datetime
    seen_at: datetime
    """When they last came from there."""


class PersonListed(BaseModel):
    """Somebody who may sign in."""

    id: int
    name: str
    email: str
    language: str
    is_active: bool
    has_second_factor: bool
    roles: list[str]
    appointments: list[AppointmentListed]
    identities: list[IdentityListed]


@router.get("")
def list_people(owner: Slug, staff: Signed) -> list[PersonListed]:
    """Who may sign in."""
    with administering(staff, owner) as (session, home):
        found = session.scalars(
            select(Person).where(Person.municipality_id == home.id).order_by(Person.name, Person.id)
        )
        return [_listed(session, home, one) for one in found]


@router.post("", status_code=201)
def add_person(owner: Slug, body: PersonPost, staff: Signed) -> PersonListed:
    """Let somebody sign in with a role, or give somebody known another one. A new password ends their sign-ins."""
    with administering(staff, owner) as (session, home):
        return _appointed(session, home, body, email=body.email, name=body.name, password=body.password)


@router.post("/{person_id}/appointments", status_code=201)
def add_appointment(owner: Slug, person_id: Key, body: AppointmentIn, staff: Signed) -> PersonListed:
    """Give somebody another role; it counts from the next request."""
    with administering(staff, owner) as (session, home):
        known = people.person(session, home.id, person_id)
        return _appointed(session, home, body, email=known.email, name=known.name)


@router.patch("/{person_id}")
def change_person(owner: Slug, person_id: Key, body: PersonPatch, staff: Signed) -> PersonListed:
    """Change the name or language of somebody, or whether they may sign in; their history stays."""
    with administering(staff, owner) as (session, home):
        person = people.person(session, home.id, person_id)
        if body.is_active is False and (home.id, person_id) == (staff.home_id, staff.person_id):
            raise Forbidden("people.not_oneself", field="is_active")
        for name, value in body.model_dump(exclude_none=True).items():
            setattr(person, name, value)
        if not person.is_active:
            people.revoke_all(session, home.id, person_id)
            roles.check_administrable(session, staff, home.id)
        session.flush()
        return _listed(session, home, person)


@router.delete("/{person_id}/appointments/{appointment_id}")
def end_appointment(owner: Slug, person_id: Key, appointment_id: Key, staff: Signed) -> PersonListed:
    """Take a role away; it counts from the next request."""
    with administering(staff, owner) as (session, home):
        people.dismiss(session, staff, home.id, person_id, appointment_id)
        return _listed(session, home, people.person(session, home.id, person_id))


@router.delete("/{person_id}/devices", status_code=204)
def sign_out_person(owner: Slug, person_id: Key, staff: Signed) -> None:
    """Sign somebody out everywhere: a tablet that was lost."""
    with administering(staff, owner) as (session, home):
        people.revoke_all(session, home.id, people.person(session, home.id, person_id).id)


@router.delete("/{person_id}/identities", status_code=204)
def untie_person(owner: Slug, person_id: Key, staff: Signed) -> None:
    """Untie somebody from their accounts at providers of identities; the next who proves their address is tied.

    They are signed out everywhere: it may have been somebody else who signed in there.
    """
    with administering(staff, owner) as (session, home):
        person = people.person(session, home.id, person_id)
        provider_staff.unlink(session, home.id, person.id)
        people.revoke_all(session, home.id, person.id)


@router.delete("/{person_id}/second-factor", status_code=204)
def remove_second_factor(owner: Slug, person_id: Key, staff: Signed) -> None:
    """Take away the second factor of somebody who has lost phone and paper; they are signed out everywhere."""
    with administering(staff, owner) as (session, home):
        person = people.person(session, home.id, person_id)
        second_factor.remove(session, home.id, person.id)
        people.revoke_all(session, home.id, person.id)


def _appointed(
    session: WriteSession,
    home: Municipality,
    post: AppointmentIn,
    *,
    email: str,
    name: str,
    password: str | None = None,
) -> PersonListed:
    if post.role == "province_admin" and home.id != PROVINCE:
        raise Forbidden("people.not_here", municipality=home.name)
    person_id = people.appoint(
        session,
        municipality=home.slug,
        email=email,
        name=name,
        role=post.role,
        password=password,
        department=post.department,
        crew=post.crew,
        within=post.narrowing,
    )
    return _listed(session, home, people.person(session, home.id, person_id))


def _listed(session: ReadSession, home: Municipality, person: Person) -> PersonListed:
    theirs = Appointment.municipality_id == home.id, Appointment.person_id == person.id
    posts = people.named(session, Appointment, *theirs)
    return PersonListed(
        id=person.id,
        name=person.name,
        email=person.email,
        language=person.language,
        is_active=person.is_active,
        has_second_factor=second_factor.has_one(session, person),
        roles=sorted({post.role for post, _, _ in posts}),
        appointments=[
            AppointmentListed(
                id=post.id,
                role=post.role,
                department=department,
                crew=crew,
                groups=post.groups,
                categories=post.categories,
                zones=post.zones,
                is_from_provider=post.provider_id is not None,
            )
            for post, department, crew in posts
        ],
        identities=[
            IdentityListed(issuer=one.issuer, linked_at=one.linked_at, seen_at=one.seen_at)
            for one in provider_staff.identities(session, home.id, person.id)
        ],
    )
