"""Lists that staff have put together themselves, for their own use or for a department's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError

from city.database import ReadSession
from city.errors import Conflict, Forbidden, InvalidInput, NotFound
from city.records.worklists import Order, WorklistFilter, condition, count_within, filter_from, own_departments
from city.registry.municipality import MunicipalityView
from city.registry.staff.people import Right, Staff
from city.reports.changing import Desk
from city.reports.checks import cleaned
from city.reports.desk_tables import SavedFilter

MOST: Final = 50
"""Filters of one person."""
MOST_COUNTED_AT_ONCE: Final = 20
LONGEST_NAME: Final = 80
COUNTING_MILLISECONDS: Final = 250


def usable(session: ReadSession, municipality: MunicipalityView, staff: Staff) -> list[SavedFilter]:
    """The own ones and those shared with a department of theirs, by name."""
    shared = own_departments(municipality, staff)
    return list(
        session.scalars(
            select(SavedFilter)
            .where(
                SavedFilter.municipality_id == municipality.id,
                or_(SavedFilter.person_id == staff.person_id, SavedFilter.department_id.in_(shared)),
            )
            .order_by(func.lower(SavedFilter.name), SavedFilter.id)
        )
    )


def found(session: ReadSession, municipality: MunicipalityView, staff: Staff, filter_id: int) -> SavedFilter:
    """One that they may use. Raises NotFound."""
    row = session.get(SavedFilter, (municipality.id, filter_id))
    if row is None or (
        row.person_id != staff.person_id and row.department_id not in own_departments(municipality, staff)
    ):
        raise NotFound("worklists.no_filter", field="filter", value=filter_id)
    return row


def save(
    desk: Desk,
    filter_id: int | None,
    *,
    name: str,
    chosen: WorklistFilter,
    order: Order,
    department: str | None,
) -> SavedFilter:
    """Keep a new one (None), or change one's own.

    Raises InvalidInput for what no list can be made of, NotFound, Forbidden for a department that is not theirs,
    Conflict for a name they have already or too many.
    """
    _check_employed(desk)
    condition(desk.municipality, desk.staff, chosen).understood(desk.session)
    title = cleaned(name, field="name", longest=LONGEST_NAME)
    if title is None:
        raise InvalidInput("worklists.name_needed", field="name")
    shared = desk.municipality.department(department) if department else None
    if shared and not desk.staff.sight(Right.DESK, desk.municipality).has(shared.id):
        raise Forbidden("worklists.not_your_department", field="department", department=shared.slug)
    row = _own(desk, filter_id) if filter_id is not None else _new(desk)
    row.name, row.conditions, row.sorting = title, chosen.as_json(), order.value
    row.department_id, row.updated_at = shared.id if shared else None, datetime.now(UTC)
    desk.session.add(row)
    try:
        desk.session.flush()
    except IntegrityError as error:
        raise Conflict("worklists.name_taken", field="name", name=title) from error
    return row


def drop(desk: Desk, filter_id: int) -> None:
    """Throw away one's own. Raises NotFound."""
    desk.session.delete(_own(desk, filter_id))


def as_seen(row: SavedFilter, municipality: MunicipalityView, staff: Staff) -> dict[str, Any]:
    """As JSON values, but for the conditions."""
    department = municipality.by_id.get(row.department_id) if row.department_id else None
    return {
        "id": row.id,
        "name": row.name,
        "own": row.person_id == staff.person_id,
        "department": department.slug if department else None,
        "order": row.sorting,
    }


def numbered(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, rows: list[SavedFilter]
) -> dict[int, int | None]:
    """How many reports each of the first twenty holds; None where that takes too long, or cannot be said any more."""
    numbers: dict[int, int | None] = {}
    for key, written in [(row.id, row.conditions) for row in rows[:MOST_COUNTED_AT_ONCE]]:
        try:
            of = condition(municipality, staff, filter_from(written))
        except InvalidInput:
            numbers[key] = None
        else:
            numbers[key] = count_within(session, of, COUNTING_MILLISECONDS)
    return numbers


def _new(desk: Desk) -> SavedFilter:
    own = desk.session.scalar(
        select(func.count())
        .select_from(SavedFilter)
        .where(SavedFilter.municipality_id == desk.municipality.id, SavedFilter.person_id == desk.staff.person_id)
    )
    if (own or 0) >= MOST:
        raise Conflict("worklists.too_many", most=MOST)
    return SavedFilter(municipality_id=desk.municipality.id, person_id=desk.staff.person_id)


def _own(desk: Desk, filter_id: int) -> SavedFilter:
    row = found(desk.session, desk.municipality, desk.staff, filter_id)
    if row.person_id != desk.staff.person_id:
        raise Forbidden("worklists.not_your_filter", name=row.name)
    return row


def _check_employed(desk: Desk) -> None:
    desk.staff.needs(Right.READ)
    if desk.staff.home_id != desk.municipality.id:
        raise Conflict("colleagues.not_employed", municipality=desk.municipality.name)
