"""The citizen's errand: report something, follow it, look at what others have reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from api import feeds, report_feeds, visitor
from api.access import ReportKey, citizen_of
from api.feeds import Atom, Calendar, Feed, Rss, address_of, titled
from api.limits import LARGEST_JSON
from api.problems import language_of
from api.schemas.base import Line, Moment, Slug
from api.schemas.intake import ReportCreated, ReportIn, SuggestionIn, SuggestionsOut
from api.schemas.public import PublicFeatures, PublicPage, PublicReportWithTimeline
from api.schemas.receipt import HolderMoveIn, HolderReport
from api.schemas.search import SOUGHT
from api.viewing import Language
from city.database import public, reading, writing, writing_directly
from city.errors import InvalidInput, LampioneError
from city.pacing import Sparing
from city.records import holding, publication
from city.records.insight.area import area_of
from city.records.publication import LARGEST_PAGE, PublicFilter
from city.registry import view
from city.reports import intake, photos
from city.reports.checks import box, checked
from city.reports.lifecycle import State
from city.settings import settings
from city.texts import text

MOST_FILES_READ: Final = 50
"""More photos than are taken, so that the answer can say how many came."""
_PACE: Final = Sparing("reports")

router = APIRouter(prefix="/api/v1", tags=["reports"])


class GeoJson(JSONResponse):
    """RFC 7946, under its own name."""

    media_type = "application/geo+json"

    def render(self, content: Any) -> bytes:
        """The bytes of the answer."""
        return orjson.dumps(content)


async def _handed_in(request: Request) -> tuple[ReportIn, list[bytes]]:
    """The report and its photos, from JSON or from a form whose fields are those of the JSON or one field `report`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json" or kind.endswith("+json"):
            return ReportIn.model_validate_json(await request.body()), []
        if kind == "multipart/form-data":
            fields, files = await read_form(request)
            return _from_form(fields), files
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    raise HTTPException(415)


async def read_form(request: Request) -> tuple[dict[str, str], list[bytes]]:
    """The fields and the files of a form. Raises HTTPException 413 for too many or too long ones, 400 for no form."""
    try:
        async with request.form(max_files=MOST_FILES_READ, max_fields=40, max_part_size=LARGEST_JSON) as form:
            files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
            fields = {name: part for name, part in form.multi_items() if isinstance(part, str)}
            return fields, [await file.read() for file in files]
    except HTTPException as error:
        if error.detail.startswith(("Too many", "Part exceeded")):
            raise HTTPException(413) from error
        raise


def _from_form(fields: dict[str, str]) -> ReportIn:
    if "report" in fields:
        return ReportIn.model_validate_json(fields["report"])
    contact = {name: fields.pop(name) for name in ("email", "name", "phone") if name in fields}
    given: dict[str, Any] = {name: value for name, value in fields.items() if value != ""}
    if contact:
        given["contact"] = contact
    for name in ("answers", "contact", "place"):
        if isinstance(given.get(name), str):
            try:
                given[name] = orjson.loads(given[name])
            except orjson.JSONDecodeError as error:
                raise InvalidInput("shape.json_type", field=name) from error
    return ReportIn.model_validate(given, strict=False)


_FORM_SCHEMA: Final = {
    "type": "object",
    "required": ["description"],
    "properties": {
        "report": {"type": "string", "description": "All fields at once, as JSON; else one form field each."},
        "lon": {"type": "number"},
        "lat": {"type": "number"},
        "description": {"type": "string", "maxLength": 4000},
        "category": {"type": "string"},
        "address": {"type": "string"},
        "email": {"type": "string"},
        "name": {"type": "string"},
        "phone": {"type": "string"},
        "client_reference": {"type": "string", "format": "uuid"},
        "photos": {
            "type": "array",
            "maxItems": photos.MOST_PHOTOS,
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
        },
    },
}


@router.post(
    "/reports",
    status_code=201,
    response_model=ReportCreated,
    responses={200: {"model": ReportCreated, "description": "A repeat: the first answer again"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/ReportIn"}},
                "multipart/form-data": {"schema": _FORM_SCHEMA},
            },
        }
    },
)
def report_something(
    request: Request, handed: Annotated[tuple[ReportIn, list[bytes]], Depends(_handed_in)]
) -> Response:
    """Take a report in: placed, classified, routed and kept in one transaction.

    A repeat under the same `client_reference` answers 200 with the first answer. A network that sends too
    many is asked to come back later (429, Retry-After). With a citizen's bearer token the report is theirs, and what
    they do not say of themselves is taken from what is known; no one needs a token.
    """
    network, per_hour = visitor.network(request), settings().reports_per_hour
    if network and per_hour:
        _PACE.take(network, per_hour)
    report, files = handed
    citizen = citizen_of(request)
    municipality = view.found(lambda registry: registry.at(checked(report.where)))
    kept = photos.take(files, municipality.id, municipality.time_zone) if files else []
    try:
        with writing_directly(municipality.id) as session:
            received = intake.receive(session, report.submission(kept, citizen), municipality)
    except LampioneError:
        # Refused for sure. After any other error the report may have been kept all the same: what is left of one that
        # was not, a chore sweeps away.
        photos.drop(kept, municipality.id)
        raise
    if received.is_repeat:
        photos.drop(kept, municipality.id)
    answer = _with_advice(received.answer, language_of(request)) | {"links": _links(received.answer)}
    headers = {"Location": f"/api/v1/reports/{answer['number']}", "Cache-Control": "no-store"}
    return Response(orjson.dumps(answer), 200 if received.is_repeat else 201, headers, media_type="application/json")


def _with_advice(answer: dict[str, Any], language: str) -> dict[str, Any]:
    if not answer["emergency"]:
        return answer
    return answer | {"emergency": answer["emergency"] | {"advice": text("emergency.advice", language=language)}}


def _links(answer: dict[str, Any]) -> dict[str, str]:
    root = settings().public_url.rstrip("/")
    number = answer["number"]
    place = answer["place"]
    return {
        "self": f"{root}/api/v1/reports/{number}",
        "status": f"{root}/r/{number}?token={answer['receipt_token']}",
        "map": f"{root}/#17/{place['lat']:.6f}/{place['lon']:.6f}",
    }


@router.post("/suggestions", response_model=SuggestionsOut)
def suggest(request: Request, asked: SuggestionIn) -> Response:
    """Category, department, near duplicates and words of danger for a text being typed. Nothing is kept."""
    municipality = view.found(lambda registry: registry.at(checked(asked.where)))
    with reading(municipality.id) as session:
        answer = intake.suggest(session, asked.where, asked.text)
    return _json(_with_advice(answer, language_of(request)))


class _Filters:
    """The query of public lists."""

    def __init__(
        self,
        bbox: Annotated[str | None, Query(description="west,south,east,north in degrees", max_length=120)] = None,
        municipality: Annotated[Slug | None, Query()] = None,
        category: Annotated[Slug | None, Query()] = None,
        group: Annotated[Slug | None, Query()] = None,
        state: Annotated[State | None, Query()] = None,
        status: Annotated[Literal["open", "closed"] | None, Query()] = None,
        created_from: Annotated[Moment | None, Query()] = None,
        created_until: Annotated[Moment | None, Query()] = None,
        q: Annotated[Line | None, SOUGHT] = None,
        zone: Annotated[Line | None, Query(description="`layer/code` of a zone of the municipality")] = None,
        lon: Annotated[float | None, Query(description="The middle of a circle, with `lat` and `metres`")] = None,
        lat: Annotated[float | None, Query()] = None,
        metres: Annotated[float | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> None:
        self.limit, self.cursor, self._zone, self._metres = limit, cursor, zone, metres
        home = view.found(lambda registry: registry.municipality(municipality)) if municipality else None
        self.chosen = PublicFilter(
            bounds=box(bbox),
            area=area_of(home, zone=zone, place=(lon, lat), metres=metres),
            municipality=home,
            category=category,
            group=group,
            state=state,
            is_open=None if status is None else status == "open",
            created_from=created_from,
            created_until=created_until,
            words=q,
        )

    def page(self, *, is_promised: bool = False) -> dict[str, Any]:
        chosen = replace(self.chosen, is_promised=is_promised)
        with public() as session:
            return publication.page(session, chosen, limit=self.limit, cursor=self.cursor)

    def feed(self, request: Request, language: str) -> Feed:
        found = report_feeds.entries(self.page(), view.newest(), language)
        return Feed(self.title("feeds.reports", language), language, address_of(request), [*found])

    def title(self, key: str, language: str) -> str:
        """What is listed, and of what: as far as it is asked for by name."""
        chosen, registry = self.chosen, view.newest()
        home, words = chosen.municipality, chosen.words
        towns = [home] if home else registry.municipalities.values()
        categories = (town.categories.get(chosen.category or "") for town in towns)
        category = next(filter(None, categories), None)
        group = registry.groups.get(chosen.group or "")
        names = [
            text(key, language=language),
            home.name if home else None,
            home.zone_name(self._zone) if home and self._zone else None,
            text("feeds.circle", language=language, metres=round(self._metres)) if self._metres else None,
            group.name(language) if group else None,
            category.name(language) if category else None,
            text(f"state.{chosen.state.value}", language=language) if chosen.state else None,
            f"«{words}»" if words else None,
        ]
        return titled(names)


Filters = Annotated[_Filters, Depends()]


@router.get("/reports", response_model=PublicPage)
def list_reports(filters: Filters) -> Response:
    """Public reports, newest first."""
    return _json(filters.page())


@router.get("/reports.geojson", response_model=PublicFeatures, response_class=GeoJson)
def list_features(filters: Filters) -> Response:
    """Public reports as GeoJSON, newest first."""
    return GeoJson(publication.geojson(filters.page()), headers={"Cache-Control": "no-cache"})


@router.get("/reports.atom", response_class=Atom)
def list_news(request: Request, filters: Filters, language: Language = None) -> Response:
    """Public reports as an Atom feed with places (GeoRSS), newest first, in the language asked for."""
    return feeds.atom(filters.feed(request, language or language_of(request)))


@router.get("/reports.rss", response_class=Rss)
def list_news_as_rss(request: Request, filters: Filters, language: Language = None) -> Response:
    """The same as an RSS 2.0 feed."""
    return feeds.rss(filters.feed(request, language or language_of(request)))


@router.get("/reports.ics", response_class=Calendar)
def list_planned(request: Request, filters: Filters, language: Language = None) -> Response:
    """Public reports for which a day was promised, as a calendar to subscribe to (iCalendar)."""
    spoken = language or language_of(request)
    events = report_feeds.events(filters.page(is_promised=True), view.newest(), spoken)
    return feeds.calendar(filters.title("feeds.planned_title", spoken), spoken, [*events])


@router.get("/reports/{number}", response_model=PublicReportWithTimeline)
def show_report(number: str) -> Response:
    """One public report and what happened to it."""
    with public() as session:
        return _json(publication.one(session, number.upper()))


@router.get("/reports/{number}/receipt", response_model=HolderReport)
def show_to_holder(number: str, key: ReportKey) -> Response:
    """The report as its reporter sees it, opened by the receipt token or by the sign-in of whose it is."""
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with reading(municipality.id) as session:
        report = holding.opened(session, municipality, number, key)
        return _json(holding.as_seen(session, municipality, report), secret=True)


@router.post("/reports/{number}/receipt/moves", response_model=HolderReport)
def move_by_holder(number: str, move: HolderMoveIn, key: ReportKey) -> Response:
    """Withdraw the report, or reopen what was called solved."""
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with writing(municipality.id) as session:
        report = holding.move(session, municipality, number, key, State(move.to), reason=move.reason)
        answer = holding.as_seen(session, municipality, report)
    return _json(answer, secret=True)


@router.get(
    "/reports/{number}/receipt/photos/{photo_id}/{size}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
def show_photo_to_holder(
    number: str, photo_id: UUID, size: Literal["large", "medium", "small"], key: ReportKey
) -> Response:
    """A photo of one's own report."""
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with reading(municipality.id) as session:
        report = holding.opened(session, municipality, number, key)
        holding.holds_photo(session, report, photo_id)
    return jpeg(photos.picture(municipality.id, photo_id, size), "private, no-store")


@router.get("/photos/{photo_id}/{size}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def show_photo(photo_id: UUID, size: Literal["large", "medium", "small"]) -> Response:
    """A photo that the office has released."""
    with public() as session:
        municipality_id = publication.photo_is_public(session, photo_id)
    return jpeg(photos.picture(municipality_id, photo_id, size), "public, max-age=300")


def jpeg(data: bytes, caching: str) -> Response:
    """A picture."""
    return Response(data, headers={"Cache-Control": caching}, media_type="image/jpeg")


def _json(value: Any, *, secret: bool = False) -> Response:
    headers = {"Cache-Control": "no-store" if secret else "no-cache"}
    return Response(orjson.dumps(value), headers=headers, media_type="application/json")
