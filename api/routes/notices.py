"""Everybody's errand with notices: what the municipality tells just now, what it told before."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import notice_feeds
from api.notice_schemas import Kind, NoticePage, PublicNoticeWithArea
from api.problems import language_of
from api.routes.reports import Atom, Calendar
from api.schemas import Slug
from city.database import public
from city.records import notices
from city.records.notices import LARGEST_PAGE, NoticeFilter
from city.registry import view
from city.reports.checks import box

router = APIRouter(prefix="/api/v1", tags=["notices"])

Number = Annotated[str, Path(max_length=60)]


class _Filters:
    """The query of public lists of notices."""

    def __init__(
        self,
        municipality: Annotated[Slug | None, Query()] = None,
        bbox: Annotated[str | None, Query(description="west,south,east,north in degrees", max_length=120)] = None,
        kind: Annotated[Kind | None, Query()] = None,
        past: Annotated[bool, Query(description="Those that have ended or were withdrawn")] = False,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> None:
        self.limit, self.cursor = limit, cursor
        self.chosen = NoticeFilter(
            past=past,
            municipality=view.found(lambda registry: registry.municipality(municipality)) if municipality else None,
            bounds=box(bbox),
            kind=kind,
        )

    def page(self, *, for_calendar: bool = False) -> dict[str, Any]:
        chosen = replace(self.chosen, lately_over_too=for_calendar)
        with public() as session:
            return notices.page(session, view.fresh(session), chosen, limit=self.limit, cursor=self.cursor)


Filters = Annotated[_Filters, Depends()]


@router.get("/notices", response_model=NoticePage)
def list_notices(filters: Filters) -> Response:
    """Notices that hold now or are to come, in the order they begin; or (`past`) those that are over, last first."""
    return _json(filters.page())


@router.get("/notices.atom", response_class=Atom)
def list_news(request: Request, filters: Filters) -> Response:
    """The same as an Atom feed with places (GeoRSS), in the language asked for."""
    language = language_of(request)
    query = f"?{request.url.query}" if request.url.query else ""
    return Atom(notice_feeds.atom(filters.page(), language, request.url.path + query), headers=_spoken(language))


@router.get("/notices.ics", response_class=Calendar)
def list_events(request: Request, filters: Filters) -> Response:
    """The same as a calendar to subscribe to; those taken back lately are in it as cancelled."""
    language = language_of(request)
    return Calendar(notice_feeds.calendar(filters.page(for_calendar=True), language), headers=_spoken(language))


@router.get("/notices/{number}", response_model=PublicNoticeWithArea)
def show_notice(number: Number) -> Response:
    """One notice with its area."""
    with public() as session:
        return _json(notices.one(session, view.fresh(session), number))


def _spoken(language: str) -> dict[str, str]:
    return {"Cache-Control": "no-cache", "Content-Language": language}


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), headers={"Cache-Control": "no-cache"}, media_type="application/json")
