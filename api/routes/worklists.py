"""The staff's errand: what there is to do, in lists of all kinds, and who there is to do it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Response

from api.access import Work, Workplace
from api.schemas.base import Line, Moment, Slug
from api.schemas.desk import (
    ColleaguesOut,
    DeskPage,
    FilterIn,
    FilterOut,
    FiltersOut,
    PersonId,
    WorklistsOut,
    conditions_of,
)
from api.schemas.search import SOUGHT
from city.database import ReadSession
from city.errors import InvalidInput
from city.records import contact, saved_filters, worklists
from city.records.contact import Why
from city.records.worklist import holds
from city.records.worklists import Order, Worklist, WorklistFilter
from city.registry.municipality import MunicipalityView
from city.registry.staff.colleagues import colleagues, handle, looks_after
from city.registry.staff.people import Right, Staff
from city.reports.checks import box
from city.reports.desk_tables import SavedFilter
from city.reports.lifecycle import State
from city.reports.tables import Report
from city.texts import text

router = APIRouter(prefix="/api/v1/desk", tags=["desk"])

COUNTING_MILLISECONDS = 500
FilterId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/reports", response_model=DeskPage)
def list_reports(
    work: Workplace,
    worklist: Annotated[Worklist | None, Query(description="a list that everybody at the desk has")] = None,
    kept: Annotated[PersonId | None, Query(alias="filter", description="a kept list, by its id")] = None,
    state: Annotated[list[State] | None, Query(max_length=20)] = None,
    is_open: Annotated[bool | None, Query()] = None,
    is_late: Annotated[bool | None, Query()] = None,
    is_emergency: Annotated[bool | None, Query()] = None,
    category: Annotated[Slug | None, Query()] = None,
    group: Annotated[Slug | None, Query()] = None,
    department: Annotated[Slug | None, Query()] = None,
    crew: Annotated[Slug | None, Query()] = None,
    person: Annotated[PersonId | None, Query(description="who looks after it, by the id of /desk/people")] = None,
    bbox: Annotated[str | None, Query(description="west,south,east,north in degrees", max_length=120)] = None,
    created_from: Annotated[Moment | None, Query()] = None,
    created_until: Annotated[Moment | None, Query()] = None,
    q: Annotated[Line | None, SOUGHT] = None,
    order: Annotated[
        Order | None, Query(description="newest, or the order of the kept list; in the others only open reports")
    ] = None,
    total: Annotated[bool, Query(description="count them too, up to a thousand")] = False,
    with_reporters: Annotated[
        bool, Query(description="say who reported too, where one may know; each such look is written down")
    ] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The reports that one may read and that fit all that is asked for."""
    chosen = WorklistFilter(
        worklist=worklist,
        states=tuple(state or ()),
        is_open=is_open,
        is_late=is_late,
        is_emergency=is_emergency,
        category=category,
        group=group,
        department=department,
        crew=crew,
        person=person,
        bounds=box(bbox),
        created_from=created_from,
        created_until=created_until,
        q=q,
    )
    with work.looking() as (session, municipality):
        row = saved_filters.found(session, municipality, work.staff, kept) if kept is not None else None
        both = [chosen, worklists.filter_from(row.conditions)] if row else [chosen]
        of = worklists.condition(municipality, work.staff, *both)
        order = order or (Order(row.sorting) if row else Order.NEWEST)
        page = worklists.page(session, municipality, work.staff, of, order=order, limit=limit, cursor=cursor)
        if total:
            page["total"] = worklists.count_within(session, of, COUNTING_MILLISECONDS)
    if with_reporters:
        _add_reporters(work, page["reports"])
    return _json(page)


def _add_reporters(work: Work, rows: list[dict[str, Any]]) -> None:
    work.staff.needs(Right.CONTACT)
    with work.desk() as desk:
        ids = [UUID(row["id"]) for row in rows]
        known = contact.shown(desk.session, desk.municipality, desk.staff, ids, Why.LIST)
    for row, key in zip(rows, ids, strict=True):
        if key in known:
            row["reporter"] = known[key]


@router.get("/worklists", response_model=WorklistsOut)
def list_worklists(work: Workplace) -> Response:
    """What there is to do: the lists that everybody has and the kept ones, each with how many reports it holds."""
    with work.looking() as (session, municipality):
        named = [
            {
                "name": worklist.value,
                "title": {language: text(f"worklist.{worklist.value}", language=language) for language in ("it", "en")},
                "count": _counted(session, municipality, work.staff, worklist),
            }
            for worklist in Worklist
        ]
        rows = saved_filters.usable(session, municipality, work.staff)
        filters = [_filter(row, municipality, work.staff) for row in rows]
        numbers = saved_filters.numbered(session, municipality, work.staff, rows)
    kept = [one | {"count": numbers.get(one["id"])} for one in filters]
    return _json({"worklists": named, "filters": kept})


@router.get("/filters", response_model=FiltersOut)
def list_filters(work: Workplace) -> Response:
    """The lists one keeps, and those shared with one's departments."""
    with work.looking() as (session, municipality):
        rows = saved_filters.usable(session, municipality, work.staff)
        filters = [_filter(row, municipality, work.staff) for row in rows]
    return _json({"filters": filters})


@router.post("/filters", response_model=FilterOut, status_code=201)
def keep_filter(work: Workplace, body: FilterIn) -> Response:
    """Keep a list under a name."""
    return _kept(work, None, body, 201)


@router.put("/filters/{filter_id}", response_model=FilterOut)
def change_filter(work: Workplace, filter_id: FilterId, body: FilterIn) -> Response:
    """Change a list that one keeps."""
    return _kept(work, filter_id, body, 200)


@router.delete("/filters/{filter_id}", status_code=204)
def drop_filter(work: Workplace, filter_id: FilterId) -> Response:
    """Keep a list no longer."""
    with work.desk() as desk:
        saved_filters.drop(desk, filter_id)
    return Response(status_code=204)


@router.get("/people", response_model=ColleaguesOut)
def list_people(
    work: Workplace,
    department: Annotated[
        Slug | None, Query(description="only those to whom reports of this department may be given")
    ] = None,
    report: Annotated[UUID | None, Query(description="only those to whom this report may be given")] = None,
) -> Response:
    """The colleagues: to whom a report may be given, and whom a note may name with @."""
    work.staff.needs(Right.FIELD)
    with work.looking() as (session, municipality):
        found = colleagues(session, municipality)
        if report is not None:
            holds(session, municipality, work.staff, report)
            given = session.get_one(Report, (municipality.id, report))
            found = [colleague for colleague in found if colleague.may(Right.DESK, given, municipality)]
        if department is not None:
            department_id = municipality.department(department).id
            found = [colleague for colleague in found if looks_after(colleague, municipality, department_id)]
    return _json({"people": [_listed(colleague, municipality) for colleague in found]})


def _listed(colleague: Staff, municipality: MunicipalityView) -> dict[str, Any]:
    departments = {post.department_id for post in colleague.posts if post.department_id}
    crews = {post.crew_id for post in colleague.posts if post.crew_id}
    return {
        "id": colleague.person_id,
        "name": colleague.name,
        "handle": handle(colleague),
        "roles": colleague.roles,
        "departments": sorted(municipality.by_id[key].slug for key in departments if key in municipality.by_id),
        "crews": sorted(municipality.crew_ids[key].slug for key in crews if key in municipality.crew_ids),
        "looks_after_all": colleague.sight(Right.DESK, municipality).is_whole,
    }


def _counted(session: ReadSession, municipality: MunicipalityView, staff: Staff, worklist: Worklist) -> int | None:
    of = worklists.condition(municipality, staff, WorklistFilter(worklist=worklist))
    return worklists.count_within(session, of, COUNTING_MILLISECONDS)


def _kept(work: Work, filter_id: int | None, body: FilterIn, status: int) -> Response:
    with work.desk() as desk:
        row = saved_filters.save(
            desk,
            filter_id,
            name=body.name,
            chosen=body.conditions.chosen(),
            order=body.order,
            department=body.department,
        )
        seen = _filter(row, desk.municipality, desk.staff)
    return _json(seen, status)


def _filter(row: SavedFilter, municipality: MunicipalityView, staff: Staff) -> dict[str, Any]:
    try:
        conditions = conditions_of(worklists.filter_from(row.conditions))
    except InvalidInput:
        conditions = None
    return saved_filters.as_seen(row, municipality, staff) | {"conditions": conditions}


def _json(answer: object, status: int = 200) -> Response:
    return Response(orjson.dumps(answer), status, headers={"Cache-Control": "no-store"}, media_type="application/json")
