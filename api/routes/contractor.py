"""The contractor's errand: read what is to be done by the link of a hand-over, and say what has become of it.

No account; the secret in the link is all there is. Reading changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from api.routes.reports import jpeg, read_form
from api.schemas.handover import ActIn, OpenedHandover
from city.database import provincial, reading, writing
from city.errors import LampioneError
from city.records import handed
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.reports import photos
from city.reports.handovers import contracting
from city.reports.handovers.contracting import Act, Opened

router = APIRouter(prefix="/api/v1/handovers", tags=["handovers"])

Token = Annotated[str, Path(max_length=100, description="The secret of the link.")]


def open_link(token: str) -> tuple[MunicipalityView, Opened]:
    """Whose hand-over the link opens. Raises NotFound."""
    with provincial() as session:
        link = contracting.opened(session, token)
        return view.fresh(session).municipalities[link.municipality_id], link


def seen_by_link(token: str) -> dict[str, Any]:
    """What the link shows. Raises NotFound, Gone."""
    municipality, link = open_link(token)
    with reading(municipality.id) as session:
        return handed.by_link(session, municipality, link, token)


def _live(token: Token) -> str:
    """The secret of a link that still shows something: asked before a long body is read."""
    seen_by_link(token)
    return token


Live = Annotated[str, Depends(_live)]


async def _said(token: Live, request: Request) -> tuple[str, ActIn, list[bytes]]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json" or kind.endswith("+json"):
            return token, ActIn.model_validate_json(await request.body()), []
        if kind == "multipart/form-data":
            fields, files = await read_form(request)
            given = {name: value for name, value in fields.items() if value != ""}
            return token, ActIn.model_validate(given), [file for file in files if file]
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    raise HTTPException(415)


def do(token: str, said: ActIn, files: list[bytes]) -> None:
    """Do what they say, photos and all. Raises NotFound, Gone, Conflict, InvalidInput, UnsupportedPhoto, TooLarge."""
    municipality, link = open_link(token)
    kept = photos.take(files, municipality.id, municipality.time_zone) if files and said.act == "done" else []
    try:
        with writing(municipality.id) as session:
            act = Act(said.act, said.words, tuple(kept))
            is_new = contracting.act(session, municipality, link, token, act)
    except LampioneError:
        photos.drop(kept, municipality.id)
        raise
    if not is_new:
        photos.drop(kept, municipality.id)


@router.get("/{token}", response_model=OpenedHandover)
def show_handover(token: Token) -> Response:
    """What is to be done and where. An expired link answers 410 and says whom to ask."""
    return _json(seen_by_link(token))


@router.post(
    "/{token}",
    response_model=OpenedHandover,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/ActIn"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["act"],
                        "properties": {
                            "act": {"type": "string", "enum": list(contracting.ACTS)},
                            "words": {"type": "string", "maxLength": 4000},
                            "photos": {
                                "type": "array",
                                "maxItems": photos.MOST_PHOTOS,
                                "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                            },
                        },
                    }
                },
            },
        }
    },
)
def act_on_handover(handed_in: Annotated[tuple[str, ActIn, list[bytes]], Depends(_said)]) -> Response:
    """Take it on, say why it cannot be done, or call it done with words and photos. A repeat changes nothing."""
    token, said, files = handed_in
    do(token, said, files)
    return _json(seen_by_link(token))


@router.get(
    "/{token}/photos/{photo_id}/{size}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
def show_handover_photo(token: Token, photo_id: UUID, size: Literal["large", "medium", "small"]) -> Response:
    """A photo of the report that the link opens."""
    municipality, link = open_link(token)
    with reading(municipality.id) as session:
        handed.holds_photo(session, municipality, link, token, photo_id)
    return jpeg(photos.picture(municipality.id, photo_id, size), "private, no-store")


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), headers={"Cache-Control": "no-store"}, media_type="application/json")
