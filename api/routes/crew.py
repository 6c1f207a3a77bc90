"""The crew's errand: the day's jobs, to be taken where there is no network."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request, Response

from api.access import Workplace
from api.crew_schemas import DayOut
from api.schemas import Degrees, Slug
from city.errors import InvalidInput
from city.records import field_day
from city.reports.checks import checked
from geo.place import Place

SAME: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "Nothing has changed"}}

router = APIRouter(prefix="/api/v1/crew", tags=["crew"])


@router.get("/day", response_model=DayOut, responses=SAME)
def show_day(
    request: Request,
    work: Workplace,
    crew: Annotated[Slug | None, Query(description="needed by those who work for several crews, or none")] = None,
    lon: Annotated[Degrees | None, Query(description="where the crew starts from, in degrees")] = None,
    lat: Annotated[Degrees | None, Query()] = None,
) -> Response:
    """The open jobs of a crew: emergencies first, else nearest-first from a place, each with all it takes offline.

    The ETag is of the whole answer: whoever sends it back as `If-None-Match` gets a 304 while nothing has changed.
    """
    start = _start(lon, lat)
    with work.looking() as (session, municipality):
        chosen = field_day.crew_of(work.staff, municipality, crew)
        body = orjson.dumps(field_day.day(session, municipality, chosen, start))
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _start(lon: float | None, lat: float | None) -> Place | None:
    if lon is None and lat is None:
        return None
    if lon is None or lat is None:
        raise InvalidInput("crew.place_half", field="lon" if lon is None else "lat")
    return checked(Place(lon, lat))
