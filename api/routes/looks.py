"""The errand of heads, administrators and data protection officers: who has looked at whose contact data."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response

from api.access import Workplace
from api.schemas.base import Moment
from api.schemas.desk import PersonId
from api.schemas.look import LooksOut, LooksPage
from city.records import contact

router = APIRouter(prefix="/api/v1/desk", tags=["desk"])


@router.get("/reports/{report_id}/looks", response_model=LooksOut)
def list_looks_at_report(work: Workplace, report_id: UUID) -> Response:
    """Who has seen who reported this, newest first; for those who oversee the report."""
    with work.looking() as (session, municipality):
        looks = contact.looks_at(session, municipality, work.staff, report_id)
    return _json({"looks": looks})


@router.get("/looks", response_model=LooksPage)
def list_looks(
    work: Workplace,
    person: Annotated[PersonId | None, Query(description="only theirs, by the id of /desk/people")] = None,
    start: Annotated[Moment | None, Query(alias="from")] = None,
    until: Annotated[Moment | None, Query(description="before this moment")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Who has seen who reported, of all the reports that one oversees, newest first."""
    with work.looking() as (session, municipality):
        page = contact.page(
            session,
            municipality,
            work.staff,
            person_id=person,
            start_at=start,
            end_at=until,
            limit=limit,
            cursor=cursor,
        )
    return _json(page)


def _json(answer: object) -> Response:
    return Response(orjson.dumps(answer), headers={"Cache-Control": "no-store"}, media_type="application/json")
