"""The crew's errand: the day's jobs, to be taken where there is no network, and what was done there."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.access import Work, Workplace
from api.problems import faults_of, language_of
from api.schemas.base import Degrees, Slug
from api.schemas.crew import OPERATION, DayOut, EnvelopeIn, SyncOut
from city.errors import InvalidInput, LampioneError
from city.records.field import day as field_day
from city.registry.municipality import CrewView
from city.reports.checks import checked
from city.reports.field import field_operations
from city.reports.field.field_operations import Operation, Taken
from city.texts import text
from geo.place import Place

SAME: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "Nothing has changed"}}

router = APIRouter(prefix="/api/v1/crew", tags=["crew"])


Crew = Annotated[Slug | None, Query(description="needed by those who work for several crews, or none")]


@router.get("/day", response_model=DayOut, responses=SAME)
def show_day(
    request: Request,
    work: Workplace,
    crew: Crew = None,
    lon: Annotated[Degrees | None, Query(description="where the crew starts from, in degrees")] = None,
    lat: Annotated[Degrees | None, Query()] = None,
) -> Response:
    """The open jobs of a crew: emergencies first, else nearest-first from a place, each with all it takes offline.

    The ETag is of the whole answer: whoever sends it back as `If-None-Match` gets a 304 while nothing has changed.
    """
    start = _start(lon, lat)
    with work.looking() as (session, municipality):
        chosen = field_day.crew_of(work.staff, municipality, crew)
        body = orjson.dumps(field_day.day(session, municipality, work.staff, chosen, start))
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


async def _envelope(request: Request) -> EnvelopeIn:
    """The batch, its operations not yet looked at."""
    try:
        return EnvelopeIn.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


@router.post(
    "/sync",
    response_model=SyncOut,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/SyncIn"}}},
        }
    },
)
def sync(
    request: Request, work: Workplace, batch: Annotated[EnvelopeIn, Depends(_envelope)], crew: Crew = None
) -> Response:
    """Hand in what was done offline: notes, work and finds are added, deeds take their place in the report's life.

    Every operation is kept by itself, in the order it happened, so a batch that was cut off may be sent again, in other
    parts, by and by: what came before is `already_applied`. One that cannot be right is `refused`, and says why; the
    others count. A `conflict` is shown with what each side holds, and waits for the desk; nothing said in it is lost.
    """
    received_at, language = datetime.now(UTC), language_of(request)
    with work.looking() as (_, municipality):
        chosen = field_day.crew_of(work.staff, municipality, crew)
    results: list[dict[str, Any]] = [{}] * len(batch.operations)
    dated = []
    for position, given in enumerate(batch.operations):
        try:
            operation = OPERATION.validate_json(orjson.dumps(given)).operation(batch.device)
        except ValidationError as error:
            fault = faults_of(error.errors(), language)[0]
            results[position] = _refused(_id_of(given), f"{fault['field']}: {fault['message']}", fault["field"])
            continue
        happened = field_operations.happened_at(operation.device_at, batch.sent_at, received_at)
        dated.append(_Dated(happened, operation.sequence, position, operation))
    for one in sorted(dated, key=lambda one: one[:3]):
        try:
            results[one.position] = _taken(work, chosen, one, language)
        except LampioneError as error:
            sentence = error.sentence(language)
            results[one.position] = _refused(str(one.operation.id), sentence, error.field)
    answer = {"crew": {"slug": chosen.slug, "name": chosen.name}, "results": results}
    return Response(orjson.dumps(answer), headers={"Cache-Control": "no-store"}, media_type="application/json")


class _Dated(NamedTuple):
    """An operation, when it happened, and where its result goes."""

    happened_at: datetime
    sequence: int
    position: int
    operation: Operation


def _taken(work: Work, crew: CrewView, one: _Dated, language: str) -> dict[str, Any]:
    with work.desk() as desk:
        taken = field_operations.take(desk, crew, one.operation, one.happened_at)
        return _told(taken, language)


def _told(taken: Taken, language: str) -> dict[str, Any]:
    kept, report = taken.operation, taken.report
    problem = kept.payload.get("problem")
    return {
        "id": str(kept.id),
        "result": "already_applied" if taken.is_repeat else kept.outcome,
        "first": kept.first,
        "outcome": kept.outcome,
        "report": {
            "id": str(report.id),
            "number": report.number,
            "version": report.version,
            "state": report.state,
        },
        "conflict": kept.conflict,
        "why": text(problem["key"], language=language, **problem["values"]) if problem else None,
        "field": None,
    }


def _refused(operation_id: str | None, why: str, field: str | None) -> dict[str, Any]:
    return {
        "id": operation_id,
        "result": "refused",
        "first": None,
        "outcome": "refused",
        "report": None,
        "conflict": None,
        "why": why,
        "field": field,
    }


def _id_of(given: Any) -> str | None:
    """The id of an operation that is no good otherwise."""
    try:
        return str(UUID(given["id"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
