"""That somebody can always administer, also when administrators take one another away at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Final

import pytest
from sqlalchemy import select

from city.database import provincial
from city.errors import Conflict
from city.registry.staff import people, roles
from city.registry.tables import Appointment, Municipality, Person

FIRST: Final = "amministratore@pesaro.example.org"
SECOND: Final = "seconda@pesaro.example.org"


@pytest.fixture
def administrators(own_registry: str) -> list[tuple[int, int, int]]:
    """Municipality, person and appointment of each of the two administrators of Pesaro."""
    assert own_registry
    with provincial() as session:
        people.appoint(
            session, municipality="pesaro", email=SECOND, name="Seconda Amministratrice", role="municipality_admin"
        )
        rows = session.execute(
            select(Person.municipality_id, Person.id, Appointment.id)
            .join(Appointment, (Appointment.municipality_id == Person.municipality_id))
            .join(Municipality, Municipality.id == Person.municipality_id)
            .where(Municipality.slug == "pesaro", Person.email.in_((FIRST, SECOND)), Appointment.person_id == Person.id)
            .order_by(Person.id)
        )
        return [(row[0], row[1], row[2]) for row in rows]


def test_of_two_administrators_who_dismiss_each_other_at_once_one_stays(
    administrators: list[tuple[int, int, int]],
) -> None:
    both_are_gone = Barrier(2)

    def dismiss(own: tuple[int, int, int], other: tuple[int, int, int]) -> str:
        try:
            with provincial() as session:
                by = people.staff(session, people.person(session, own[0], own[1]))
                session.delete(session.get_one(Appointment, (other[0], other[2])))
                session.flush()
                both_are_gone.wait(10)
                roles.check_administrable(session, by, own[0])
        except Conflict as error:
            return error.key
        return "done"

    first, second = administrators
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(dismiss, (first, second), (second, first)))
    assert sorted(done) == ["done", "roles.last_administrator"]
    with provincial() as session:
        left = session.scalars(
            select(Appointment.id).where(
                Appointment.role == "municipality_admin", Appointment.municipality_id == first[0]
            )
        ).all()
    assert len(left) == 1


def test_the_province_may_leave_a_municipality_without_an_administrator_but_not_itself(own_registry: str) -> None:
    assert own_registry
    with provincial() as session:
        rows = session.execute(
            select(Appointment, Person)
            .join(
                Person, (Person.municipality_id == Appointment.municipality_id) & (Person.id == Appointment.person_id)
            )
            .where(Appointment.role.in_(("municipality_admin", "province_admin")))
        ).all()
        by = next(people.staff(session, person) for post, person in rows if post.role == "province_admin")
        town = next(post for post, person in rows if person.email == FIRST)
        people.dismiss(session, by, town.municipality_id, town.person_id, town.id)
        person = session.get_one(Person, (by.home_id, by.person_id))
        person.is_active = False
        with pytest.raises(Conflict):
            roles.check_administrable(session, by, by.home_id)
        session.rollback()
