"""The links of letters, where openings are noted: count, then lead on to a page of ours."""

from __future__ import annotations

import psycopg
import structlog
from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import RedirectResponse, Response

from api.pages.showing import error_page
from city.database import writing
from city.errors import NotFound
from city.messages.fates import opening
from city.messages.fates.opening import Way
from city.settings import settings

router = APIRouter(include_in_schema=False)

log = structlog.get_logger()


@router.head("/l/{token}")
def look(request: Request, token: str) -> Response:
    """Where it leads; a look is no opening."""
    try:
        return _on(opening.way_of(token))
    except NotFound as error:
        return error_page(request, error)


@router.get("/l/{token}")
def open_link(request: Request, token: str) -> Response:
    """Lead on, and count it; whatever goes wrong with counting, the reader gets there."""
    try:
        way = opening.way_of(token)
    except NotFound as error:
        return error_page(request, error)
    is_ahead = "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", ""))
    if settings().note_opened_links and not is_ahead:
        try:
            with writing(way.municipality_id) as session:
                opening.note(session, way)
        except (SQLAlchemyError, psycopg.Error) as error:
            log.warning("opening_not_noted", kind=type(error).__name__)
    return _on(way)


def _on(way: Way) -> Response:
    there = settings().public_url.rstrip("/") + way.path
    return RedirectResponse(there, 302, headers={"Cache-Control": "no-store"})
