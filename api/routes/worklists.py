"""The staff's errand: what there is to do, and who there is to do it."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response

from api.access import Workplace
from api.desk_schemas import ColleaguesOut
from api.schemas import Slug
from city.registry.colleagues import colleagues, handle, looks_after
from city.registry.people import Right, Staff
from city.registry.view import MunicipalityView

router = APIRouter(prefix="/api/v1/desk", tags=["desk"])


@router.get("/people", response_model=ColleaguesOut)
def list_people(
    work: Workplace,
    department: Annotated[
        Slug | None, Query(description="only those to whom reports of this department may be given")
    ] = None,
) -> Response:
    """The colleagues: to whom a report may be given, and whom a note may name with @."""
    work.staff.needs(Right.FIELD)
    with work.looking() as (session, municipality):
        found = colleagues(session, municipality)
        if department is not None:
            department_id = municipality.department(department).id
            found = [colleague for colleague in found if looks_after(colleague, municipality, department_id)]
    return _json({"people": [_listed(colleague, municipality) for colleague in found]})


def _listed(colleague: Staff, municipality: MunicipalityView) -> dict[str, Any]:
    departments = {post.department_id for post in colleague.posts if post.department_id}
    crews = {post.crew_id for post in colleague.posts if post.crew_id}
    desk = colleague.posts_with(Right.DESK)
    return {
        "id": colleague.person_id,
        "name": colleague.name,
        "handle": handle(colleague),
        "roles": sorted({post.role for post in colleague.posts}),
        "departments": sorted(municipality.by_id[key].slug for key in departments if key in municipality.by_id),
        "crews": sorted(municipality.crew_ids[key].slug for key in crews if key in municipality.crew_ids),
        "looks_after_all": any(post.department_id in (None, municipality.fallback.id) for post in desk),
    }


def _json(answer: object) -> Response:
    return Response(orjson.dumps(answer), headers={"Cache-Control": "no-store"}, media_type="application/json")
