"""The crew's errand over a bad connection: photos by tus 1.0, which go on where they were cut off.

https://tus.io/protocols/resumable-upload: the core, and the extensions creation, expiration and termination.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Coroutine
from email.utils import format_datetime
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.access import Work, Workplace
from api.limits import UPLOAD_PIECE
from api.problems import from_city, from_shape
from api.schemas.base import Slug
from city.database import reading, writing
from city.errors import InvalidInput, LampioneError, UnsupportedPhoto, VersionConflict
from city.records.field import day as field_day
from city.registry.municipality import CrewView
from city.reports.field import field_photos, uploads
from city.reports.field.uploads import LARGEST, Progress

VERSION: Final = "1.0.0"
PIECE_BYTES: Final = 512 * 1024
"""What has come is kept this often, and when the connection is cut."""


class TusRoute(APIRoute):
    """Every answer says which tus it speaks, refusals too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Answer as the route does, in tus."""
        handle = super().get_route_handler()

        async def in_tus(request: Request) -> Response:
            try:
                answer = await handle(request)
            except LampioneError as error:
                answer = from_city(request, error)
            except RequestValidationError as error:
                answer = from_shape(request, error)
            answer.headers["Tus-Resumable"] = answer.headers["Tus-Version"] = VERSION
            return answer

        return in_tus


router = APIRouter(prefix="/api/v1/crew/uploads", tags=["crew"], route_class=TusRoute)


def _version(
    _work: Workplace, tus_resumable: Annotated[str | None, Header(description="1.0.0", max_length=20)] = None
) -> None:
    if tus_resumable != VERSION:
        raise VersionConflict("uploads.version", field="Tus-Resumable", version=VERSION)


Crew = Annotated[Slug | None, Query(description="needed by those who work for several crews, or none")]


def _crew(work: Workplace, crew: Crew = None) -> CrewView:
    with work.looking() as (_, municipality):
        return field_day.crew_of(work.staff, municipality, crew)


OfCrew = Annotated[CrewView, Depends(_crew)]
Offset = Annotated[int | None, Header(alias="Upload-Offset", ge=0, le=2**40)]


@router.options("", status_code=204)
def say_what_we_speak(_work: Workplace) -> Response:
    """Which tus we speak, and how large a photo may be."""
    return Response(
        status_code=204,
        headers={
            "Tus-Max-Size": str(LARGEST),
            "Tus-Extension": "creation,expiration,termination",
        },
    )


@router.post("", status_code=201, dependencies=[Depends(_version)])
def begin(
    work: Workplace,
    crew: OfCrew,
    length: Annotated[int | None, Header(alias="Upload-Length", ge=0, le=2**40)] = None,
    metadata: Annotated[
        str | None, Header(alias="Upload-Metadata", max_length=2000, description="`id` as a UUID, in Base64")
    ] = None,
) -> Response:
    """Announce a photo. The tablet may choose its `id` while it is offline; announced again, it is the same upload."""
    if length is None:
        raise InvalidInput("uploads.length", field="Upload-Length")
    upload_id = _id_in(metadata or "")
    with work.desk() as desk:
        begun = uploads.begin(desk, crew, upload_id, length)
    return _answer(201, begun, {"Location": f"{router.prefix}/{upload_id}"})


@router.head("/{upload_id}", dependencies=[Depends(_version)])
def ask_how_far(work: Workplace, crew: OfCrew, upload_id: UUID) -> Response:
    """How much of a photo has come, so that the tablet knows where to go on."""
    with reading(work.municipality_id) as session:
        known = uploads.progress(session, work.municipality_id, crew, upload_id)
    return _answer(200, known, {"Upload-Length": str(known.length), "Cache-Control": "no-store"})


@router.patch(
    "/{upload_id}",
    status_code=204,
    dependencies=[Depends(_version)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {UPLOAD_PIECE: {"schema": {"type": "string", "contentMediaType": UPLOAD_PIECE}}},
        }
    },
)
async def go_on(request: Request, work: Workplace, crew: OfCrew, upload_id: UUID, offset: Offset = None) -> Response:
    """Send on from `Upload-Offset`. What arrived before a cut is kept; with the last byte the photo is looked at."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != UPLOAD_PIECE:
        raise UnsupportedPhoto("uploads.media_type", field="Content-Type", kind=UPLOAD_PIECE)
    if offset is None:
        raise InvalidInput("uploads.offset_needed", field="Upload-Offset")
    known = await run_in_threadpool(_checked, work, crew, upload_id, offset)
    buffer = bytearray()
    try:
        async for chunk in request.stream():
            buffer += chunk
            if len(buffer) >= PIECE_BYTES:
                known = await run_in_threadpool(_add, work, crew, known, bytes(buffer))
                buffer.clear()
    except ClientDisconnect:
        return _answer(204, await run_in_threadpool(_add, work, crew, known, bytes(buffer)))
    known = await run_in_threadpool(_add, work, crew, known, bytes(buffer))
    if known.received == known.length:
        await run_in_threadpool(_finish, work, crew, upload_id)
    return _answer(204, known)


@router.delete("/{upload_id}", status_code=204, dependencies=[Depends(_version)])
def give_up(work: Workplace, crew: OfCrew, upload_id: UUID) -> Response:
    """Give an upload up."""
    with work.desk() as desk:
        uploads.end(desk.session, work.municipality_id, crew, upload_id)
    return Response(status_code=204)


def _checked(work: Work, crew: CrewView, upload_id: UUID, offset: int) -> Progress:
    with reading(work.municipality_id) as session:
        return uploads.check(uploads.progress(session, work.municipality_id, crew, upload_id), offset)


def _add(work: Work, crew: CrewView, known: Progress, data: bytes) -> Progress:
    if not data:
        return known
    key = uploads.keep_piece(work.municipality_id, known.id, known.received, data)
    try:
        with writing(work.municipality_id) as session:
            return uploads.add(session, crew, known, key, len(data))
    except LampioneError:
        uploads.drop_piece(key)
        raise


def _finish(work: Work, crew: CrewView, upload_id: UUID) -> None:
    """Look at the photo at once, so that whoever sent what is none hears of it; the worker would do the same."""
    with work.desk() as desk:
        uploads.finish(desk.session, desk.municipality, upload_id)
    with reading(work.municipality_id) as session:
        waiting = field_photos.waiting_for(session, work.municipality_id, upload_id)
    for operation_id, report_id in waiting:
        with writing(work.municipality_id) as session:
            field_photos.bring_late(session, work.municipality_id, operation_id, report_id)
    with reading(work.municipality_id) as session:
        uploads.progress(session, work.municipality_id, crew, upload_id)


def _id_in(metadata: str) -> UUID:
    """The id the tablet has chosen, or a new one. Raises InvalidInput."""
    for pair in metadata.split(","):
        name, _, value = pair.strip().partition(" ")
        if name == "id":
            try:
                return UUID(base64.b64decode(value, validate=True).decode())
            except (binascii.Error, ValueError) as error:
                raise InvalidInput("uploads.bad_id", field="Upload-Metadata") from error
    return uuid4()


def _answer(status: int, known: Progress, more: dict[str, str] | None = None) -> Response:
    headers: dict[str, Any] = {
        "Upload-Offset": str(known.received),
        "Upload-Expires": format_datetime(known.expires_at, usegmt=True),
    }
    return Response(status_code=status, headers=headers | (more or {}))
