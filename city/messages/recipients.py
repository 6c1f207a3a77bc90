"""Who of the staff gets a letter: a person, an office, its heads, the administrators."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import select

from city.database import ReadSession
from city.errors import Unavailable
from city.registry.municipality import MunicipalityView
from city.registry.sign_in import fiscal_codes
from city.registry.staff.colleagues import colleagues
from city.registry.staff.rights import Right, Sight, Staff
from city.registry.tables import Department, Person
from city.reports.tables import Report, Reporter


class Recipient(NamedTuple):
    """An address, the language spoken there, and who of the staff it is (None: an office, or somebody else)."""

    address: str
    language: str
    person_id: int | None = None
    channel: str = "email"


def reporter(municipality: MunicipalityView, who: Reporter | None) -> Recipient | None:
    """Where a reporter is written to: in app IO if they wanted that and the municipality is there, else by mail."""
    if who is None:
        return None
    if who.fiscal_code is not None and municipality.has_app_io:
        with suppress(Unavailable):  # sealed with another secret: there is still the mail
            alias = fiscal_codes.alias(fiscal_codes.unsealed(who.fiscal_code))
            return Recipient(alias, who.language, channel="app_io")
    return Recipient(who.email, who.language) if who.email else None


def people(session: ReadSession, municipality: MunicipalityView, person_ids: Collection[int]) -> list[Recipient]:
    """Those of these people who still work here."""
    found = session.execute(
        select(Person.email, Person.language, Person.id)
        .where(Person.municipality_id == municipality.id, Person.id.in_(person_ids), Person.is_active)
        .order_by(Person.id)
    )
    return [Recipient(*row) for row in found]


def readers(
    session: ReadSession, municipality: MunicipalityView, person_ids: Iterable[int | None], report: Report
) -> list[Recipient]:
    """Those of these people (None: nobody) who still work here and may read the report."""
    known = colleagues(session, municipality, [key for key in person_ids if key is not None])
    return [_recipient(one) for one in _in_order(known) if one.may(Right.READ, report, municipality)]


def office(session: ReadSession, municipality: MunicipalityView, report: Report) -> list[Recipient]:
    """The address of the report's department; where it has none, all who work on its reports at the desk."""
    address = session.scalar(
        select(Department.email).where(
            Department.municipality_id == municipality.id, Department.id == report.department_id
        )
    )
    if address:
        return [Recipient(address, municipality.languages[0])]
    return _of_department(session, municipality, report, Right.DESK)


def heads(session: ReadSession, municipality: MunicipalityView, report: Report) -> list[Recipient]:
    """The heads of the report's department."""
    return _of_department(session, municipality, report, Right.OVERSEE)


def crew(session: ReadSession, municipality: MunicipalityView, report: Report) -> list[Recipient]:
    """The crew that has the report."""
    return [
        _recipient(one)
        for one in _everybody(session, municipality)
        if any(
            post.is_of_crew and post.crew_id == report.crew_id and Sight.of(municipality, [post]).holds(report)
            for post in one.posts_with(Right.READ)
        )
    ]


def administrators(
    session: ReadSession, municipality: MunicipalityView, report: Report | None = None
) -> list[Recipient]:
    """The administrators of the municipality; where it is about a report, those who may read it."""
    return [
        _recipient(one)
        for one in _everybody(session, municipality)
        if one.posts_with(Right.ADMINISTER) and (report is None or one.may(Right.READ, report, municipality))
    ]


def _of_department(
    session: ReadSession, municipality: MunicipalityView, report: Report, right: Right
) -> list[Recipient]:
    """Those who are appointed to the report's very department with this right, and not to other reports of it only."""
    return [
        _recipient(one)
        for one in _everybody(session, municipality)
        if any(
            post.department_id == report.department_id and Sight.of(municipality, [post]).holds(report)
            for post in one.posts_with(right)
            if Right.READ in post.rights
        )
    ]


def _everybody(session: ReadSession, municipality: MunicipalityView) -> list[Staff]:
    return _in_order(colleagues(session, municipality))


def _in_order(staff: Iterable[Staff]) -> list[Staff]:
    return sorted(staff, key=lambda one: one.person_id)


def _recipient(staff: Staff) -> Recipient:
    return Recipient(staff.email, staff.language, staff.person_id)
