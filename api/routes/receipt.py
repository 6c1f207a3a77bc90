"""The reporter's errand afterwards, by the receipt token or signed in.

To answer the desk, to rate, to add photos, to say how to be told.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from api.access import ReportKey
from api.routes.reports import read_form
from api.schemas.receipt import AnswerIn, FeedbackIn, HolderReport, MessagesIn
from city import pacing
from city.database import reading, writing
from city.errors import InvalidInput, LampioneError
from city.records import holding
from city.registry import view
from city.reports import photos
from city.reports.dialogue.feedback import Said

router = APIRouter(prefix="/api/v1/reports/{number}", tags=["reports"])

_PHOTOS: Final = pacing.Pace("photos of a report", 10, 60)


@router.post("/answers", response_model=HolderReport)
def answer(number: str, body: AnswerIn, key: ReportKey) -> Response:
    """Answer a question of the desk; the same answer again changes nothing."""
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with writing(municipality.id) as session:
        report = holding.answer(session, municipality, number, key, question_id=body.question, words=body.text)
        seen = holding.as_seen(session, municipality, report)
    return _secret(seen)


@router.put("/feedback", response_model=HolderReport)
def rate(number: str, body: FeedbackIn, key: ReportKey) -> Response:
    """Say how it was dealt with and whether it is solved; said again, the last counts."""
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    said = Said(body.rating, body.text, body.is_solved)
    with writing(municipality.id) as session:
        report = holding.rate(session, municipality, number, key, said)
        seen = holding.as_seen(session, municipality, report)
    return _secret(seen)


@router.put("/receipt/messages", response_model=HolderReport)
def change_messages(number: str, body: MessagesIn, key: ReportKey) -> Response:
    """Say how to be told about the report: language, once a day, quiet hours; or no more."""
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with writing(municipality.id) as session:
        report = holding.hear(session, municipality, number, key, body.manner())
        seen = holding.as_seen(session, municipality, report)
    return _secret(seen)


async def _photos(request: Request) -> list[bytes]:
    """The photos of a form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise HTTPException(415)
    _, files = await read_form(request)
    return [file for file in files if file]


@router.post(
    "/receipt/photos",
    response_model=HolderReport,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["photos"],
                        "properties": {
                            "photos": {
                                "type": "array",
                                "maxItems": photos.MOST_PHOTOS,
                                "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                            },
                        },
                    }
                }
            },
        }
    },
)
def add_photos(number: str, key: ReportKey, files: Annotated[list[bytes], Depends(_photos)]) -> Response:
    """Add photos to a report that is open; the same photo again changes nothing. They are shown once cleaned."""
    if not files:
        raise InvalidInput("photos.none", field="photos")
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with reading(municipality.id) as session:
        holding.opened(session, municipality, number, key)
    pacing.take((_PHOTOS, number.upper()))
    kept = photos.take(files, municipality.id, municipality.time_zone)
    try:
        with writing(municipality.id) as session:
            report, spare = holding.add_photos(session, municipality, number, key, kept)
            seen = holding.as_seen(session, municipality, report)
    except LampioneError:
        photos.drop(kept, municipality.id)
        raise
    photos.drop(spare, municipality.id)
    return _secret(seen)


def _secret(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), headers={"Cache-Control": "no-store"}, media_type="application/json")
