"""Who of the staff gets a letter: a person, an office, its heads, the administrators."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import select

from city.database import ReadSession
from city.registry.tables import Appointment, Department, Person
from city.registry.view import MunicipalityView


class Recipient(NamedTuple):
    """An address, the language spoken there, and who of the staff it is (None: an office, or somebody else)."""

    address: str
    language: str
    person_id: int | None = None
    channel: str = "email"


def people(session: ReadSession, municipality: MunicipalityView, person_ids: Collection[int]) -> list[Recipient]:
    """Those of these people who still work here."""
    found = session.execute(
        select(Person.email, Person.language, Person.id)
        .where(Person.municipality_id == municipality.id, Person.id.in_(person_ids), Person.is_active)
        .order_by(Person.id)
    )
    return [Recipient(*row) for row in found]


def office(session: ReadSession, municipality: MunicipalityView, department_id: int) -> list[Recipient]:
    """The address of a department; where it has none, all its clerks and heads."""
    address = session.scalar(
        select(Department.email).where(Department.municipality_id == municipality.id, Department.id == department_id)
    )
    if address:
        return [Recipient(address, municipality.languages[0])]
    return with_role(session, municipality, ("clerk", "head"), department_id)


def heads(session: ReadSession, municipality: MunicipalityView, department_id: int) -> list[Recipient]:
    """The heads of a department."""
    return with_role(session, municipality, ("head",), department_id)


def administrators(session: ReadSession, municipality: MunicipalityView) -> list[Recipient]:
    """The administrators of the municipality."""
    return with_role(session, municipality, ("municipality_admin",), None)


def with_role(
    session: ReadSession,
    municipality: MunicipalityView,
    roles: Collection[str],
    department_id: int | None,
    *,
    crew_id: int | None = None,
) -> list[Recipient]:
    """Those who have one of the roles in the department, or (None) anywhere in the municipality; of one crew only."""
    wanted = (
        select(Person.email, Person.language, Person.id)
        .join(
            Appointment,
            (Appointment.municipality_id == Person.municipality_id) & (Appointment.person_id == Person.id),
        )
        .where(Person.municipality_id == municipality.id, Person.is_active, Appointment.role.in_(roles))
        .distinct()
        .order_by(Person.id)
    )
    if department_id is not None:
        wanted = wanted.where(Appointment.department_id == department_id)
    if crew_id is not None:
        wanted = wanted.where(Appointment.crew_id == crew_id)
    return [Recipient(*row) for row in session.execute(wanted)]
