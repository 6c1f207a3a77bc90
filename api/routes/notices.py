"""Everybody's errand with notices: what the municipality tells just now, what it told before."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import feeds, notice_feeds
from api.feeds import Atom, Calendar, Feed, Rss, address_of, titled
from api.problems import language_of
from api.schemas.base import Line, Slug
from api.schemas.notice import Kind, NoticePage, PublicNoticeWithArea
from api.viewing import Language
from city.database import public
from city.errors import InvalidInput
from city.records import notices
from city.records.insight.area import area_of
from city.records.notices import LARGEST_PAGE, NoticeFilter, Order
from city.registry import view
from city.reports.checks import box
from city.texts import text

router = APIRouter(prefix="/api/v1", tags=["notices"])

Number = Annotated[str, Path(max_length=60)]


class _Chosen:
    """Which notices are asked for."""

    def __init__(
        self,
        municipality: Annotated[Slug | None, Query()] = None,
        bbox: Annotated[str | None, Query(description="west,south,east,north in degrees", max_length=120)] = None,
        zone: Annotated[Line | None, Query(description="`layer/code` of a zone of the municipality")] = None,
        kind: Annotated[Kind | None, Query()] = None,
        group: Annotated[Slug | None, Query(description="About this group of categories, or for everybody")] = None,
        past: Annotated[bool, Query(description="Those that have ended or were withdrawn")] = False,
    ) -> None:
        self._zone = zone
        groups = view.newest().groups
        if group is not None and group not in groups:
            raise InvalidInput("registry.unknown_group", field="group", value=group, known=", ".join(sorted(groups)))
        home = view.found(lambda registry: registry.municipality(municipality)) if municipality else None
        self.of = NoticeFilter(
            past=past,
            municipality=home,
            bounds=box(bbox),
            area=area_of(home, zone=zone),
            kind=kind,
            group=group,
        )

    def lately(self, order: Order, *, limit: int) -> dict[str, Any]:
        chosen = replace(self.of, lately_over_too=order is Order.CALENDAR)
        with public() as session:
            return notices.lately(session, view.fresh(session), chosen, order, limit=limit)

    def feed(self, request: Request, language: str, limit: int) -> Feed:
        found = notice_feeds.entries(self.lately(Order.NEWS, limit=limit), language)
        return Feed(self.title(language), language, address_of(request), [*found])

    def title(self, language: str) -> str:
        """What is listed, and of what: as far as it is asked for by name."""
        say = partial(text, language=language)
        home, kind = self.of.municipality, self.of.kind
        group = view.newest().groups[self.of.group] if self.of.group else None
        names = [
            say("notices.title"),
            home.name if home else None,
            home.zone_name(self._zone) if home and self._zone else None,
            say(f"notices.kind.{kind}") if kind else None,
            group.name(language) if group else None,
            say("notices.past") if self.of.past else None,
        ]
        return titled(names)


Chosen = Annotated[_Chosen, Depends()]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE)]


@router.get("/notices", response_model=NoticePage)
def list_notices(
    chosen: Chosen, limit: Limit = 50, cursor: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """Notices that hold now or are to come, in the order they begin; or (`past`) those that are over, last first."""
    with public() as session:
        return _json(notices.page(session, view.fresh(session), chosen.of, limit=limit, cursor=cursor))


@router.get("/notices.atom", response_class=Atom)
def list_news(request: Request, chosen: Chosen, limit: Limit = LARGEST_PAGE, language: Language = None) -> Response:
    """The same as an Atom feed with places (GeoRSS), what has changed last first, in the language asked for."""
    return feeds.atom(chosen.feed(request, language or language_of(request), limit))


@router.get("/notices.rss", response_class=Rss)
def list_news_as_rss(
    request: Request, chosen: Chosen, limit: Limit = LARGEST_PAGE, language: Language = None
) -> Response:
    """The same as an RSS 2.0 feed."""
    return feeds.rss(chosen.feed(request, language or language_of(request), limit))


@router.get("/notices.ics", response_class=Calendar)
def list_events(request: Request, chosen: Chosen, limit: Limit = LARGEST_PAGE, language: Language = None) -> Response:
    """The same as a calendar to subscribe to; those taken back or ended lately are in it too."""
    spoken = language or language_of(request)
    events = notice_feeds.events(chosen.lately(Order.CALENDAR, limit=limit), spoken)
    return feeds.calendar(chosen.title(spoken), spoken, [*events])


@router.get("/notices/{number}", response_model=PublicNoticeWithArea)
def show_notice(number: Number) -> Response:
    """One notice with its area."""
    with public() as session:
        return _json(notices.one(session, view.fresh(session), number))


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), headers={"Cache-Control": "no-cache"}, media_type="application/json")
