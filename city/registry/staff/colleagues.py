"""The colleagues of a municipality with all their posts: who may be given a report, and who may be named in a note."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from city.database import ReadSession
from city.errors import NotFound
from city.registry.municipality import MunicipalityView
from city.registry.staff import people
from city.registry.staff.people import Right, Staff
from city.registry.tables import Person


def colleagues(
    session: ReadSession, municipality: MunicipalityView, person_ids: Collection[int] | None = None
) -> list[Staff]:
    """All who work here, or those of `person_ids` who still do, by name. Two statements."""
    wanted = select(Person).where(Person.municipality_id == municipality.id, Person.is_active)
    if person_ids is not None:
        wanted = wanted.where(Person.id.in_(person_ids))
    return people.staff_all(session, session.scalars(wanted.order_by(Person.name, Person.id)).all())


def colleague(session: ReadSession, municipality: MunicipalityView, person_id: int) -> Staff:
    """Who works here under this id. Raises NotFound (field `person`)."""
    found = colleagues(session, municipality, [person_id])
    if not found:
        raise NotFound("colleagues.unknown", field="person", value=person_id)
    return found[0]


def looks_after(staff: Staff, municipality: MunicipalityView, department_id: int) -> bool:
    """Whether any reports of that department may be given to them."""
    return staff.sight(Right.DESK, municipality).has(department_id)


def handle(staff: Staff) -> str:
    """What a note says after the @ to name them: the part of their address before its @, in small letters."""
    return staff.email.partition("@")[0].lower()
