"""The map's errand: vector tiles and their TileJSON. They are read as the public reader: only what anyone may see."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlencode

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import StringConstraints

from api.schemas.base import Slug
from api.tile_front import MEDIA_TYPE, Asked, answer
from api.tile_keeping import Order, TileKeeper
from city.database import public, public_directly
from city.errors import InvalidInput, NotFound
from city.registry import view
from city.registry.municipality import Registry
from city.settings import settings
from geo.tile_shelf import square_of
from geo.tiles import (
    DEEPEST_ZOOM,
    SINGLE_DEEPEST_ZOOM,
    STAGES,
    Choice,
    Tile,
    bounds_of_municipalities,
    heat_tile,
    hotspots_tile,
    notices_tile,
    reports_tile,
    zones_tile,
)

Layer = Literal["reports", "heat", "zones", "notices", "hotspots"]
Found = TypeVar("Found")

_MAKERS: Final = {
    "reports": reports_tile,
    "heat": heat_tile,
    "zones": zones_tile,
    "notices": notices_tile,
    "hotspots": hotspots_tile,
}
_OF_REPORTS: Final = frozenset({"reports", "heat"})
_FIELDS: Final = {
    "reports": {
        "count": "Number",
        "group": "String",
        "number": "String",
        "category": "String",
        "state": "String",
        "since": "String",
    },
    "heat": {"count": "Number", "open": "Number"},
    "zones": {"code": "String", "name": "String", "layer": "String", "kind": "String"},
    "municipalities": {"slug": "String", "name": "String"},
    "names": {"name": "String", "kind": "String"},
    "notices": {
        "number": "String",
        "kind": "String",
        "title_it": "String",
        "title_en": "String",
        "starts_at": "String",
        "ends_at": "String",
        "is_urgent": "Boolean",
    },
    "titles": {"number": "String", "title_it": "String", "title_en": "String"},
    "hotspots": {"group": "String", "count": "Number", "expected": "Number", "z": "Number", "q": "Number"},
}
_LAYERS: Final = {"zones": ("zones", "municipalities", "names"), "notices": ("notices", "titles")}

router = APIRouter(prefix="/tiles", tags=["tiles"])

Month = Annotated[str, StringConstraints(pattern=r"^[12]\d{3}-(0[1-9]|1[0-2])$")]
Stage = Literal["todo", "doing", "done", "other"]


class Filter:
    """Which reports the map shows, as asked for in the query."""

    def __init__(
        self,
        municipality: Annotated[Slug | None, Query(description="Only this municipality")] = None,
        department: Annotated[Slug | None, Query(description="Only this department; needs `municipality`")] = None,
        group: Annotated[list[Slug] | None, Query(description="Only these category groups", max_length=50)] = None,
        state: Annotated[
            list[Stage] | None,
            Query(description="todo: nobody is on it yet; doing; done; other: rejected, duplicate, withdrawn"),
        ] = None,
        first: Annotated[Month | None, Query(alias="from", description="First month, by the day it came")] = None,
        last: Annotated[Month | None, Query(alias="to", description="Last month, included")] = None,
    ) -> None:
        self.municipality, self.department, self.groups = municipality, department, sorted(set(group or ()))
        self.states, self.first, self.last = sorted(set(state or ())), first, last

    def choice(self, registry: Registry) -> Choice:
        """The filter in keys. Raises NotFound, InvalidInput that names the field."""
        here = registry.municipality(self.municipality) if self.municipality else None
        if self.department and here is None:
            raise InvalidInput("tiles.whose_department", field="municipality")
        for slug in self.groups:
            if slug not in registry.groups:
                raise InvalidInput("tiles.no_group", field="group", value=slug, known=", ".join(registry.groups))
        if self.first and self.last and self.first > self.last:
            raise InvalidInput("tiles.no_period", field="to", first=self.first, last=self.last)
        return Choice(
            here.id if here else None,
            here.department(self.department).id if here and self.department else None,
            tuple(self.groups),
            frozenset(STAGES.index(state) for state in self.states),
            _number(self.first),
            _number(self.last),
        )

    def query(self) -> str:
        """The filter as it stands in an address; "" where nothing is filtered."""
        given = {"municipality": self.municipality, "department": self.department, "from": self.first, "to": self.last}
        pairs = [(name, value) for name, value in given.items() if value]
        pairs += [("group", group) for group in self.groups] + [("state", state) for state in self.states]
        return f"?{urlencode(pairs)}" if pairs else ""


def _number(month: str | None) -> int | None:
    return int(month.replace("-", "")) if month else None


Filtered = Annotated[Filter, Depends()]


@router.get("/{layer}.json")
def describe(layer: Layer, wanted: Filtered) -> dict[str, Any]:
    """The TileJSON 3.0 of a layer, of all municipalities or of one, with the filter that was asked for."""
    choice = view.found(wanted.choice)
    with public() as session:
        bounds = bounds_of_municipalities(session.raw, choice.municipality_id)
    return {
        "tilejson": "3.0.0",
        "name": f"Lampione: {layer}",
        "scheme": "xyz",
        "tiles": [f"{settings().public_url.rstrip('/')}/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt{wanted.query()}"],
        "minzoom": 0,
        "maxzoom": SINGLE_DEEPEST_ZOOM,
        "bounds": list(bounds) if bounds else [-180.0, -85.0, 180.0, 85.0],
        "vector_layers": [{"id": name, "fields": _FIELDS[name]} for name in _LAYERS.get(layer, (layer,))],
    }


@router.get(
    "/{layer}/{z}/{x}/{y}.mvt",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {}}}, 304: {"description": "The tile is still the same"}},
)
async def tile(request: Request, layer: Layer, z: int, x: int, y: int, wanted: Filtered) -> Response:
    """One vector tile (Mapbox Vector Tile 2.1). A report just accepted is already on it."""
    there = Tile(z, x, y)
    if not there.exists:
        raise NotFound("tiles.no_such_tile", z=z, x=x, y=y, deepest=DEEPEST_ZOOM)
    keeper: TileKeeper = request.state.tiles
    seen = await keeper.catch_up()
    choice = await _found(wanted.choice)
    asked = Asked(layer, there, choice)
    square = square_of(there) if layer in _OF_REPORTS else None
    kept = await keeper.tile(Order(asked.key(seen), square, partial(_make, layer, there, choice)))
    request.state.learn(seen.registry_version, asked)
    given = request.headers
    known, accepted = (given.get(name, "").encode("latin-1") for name in ("if-none-match", "accept-encoding"))
    status, headers, body = answer(layer, kept, known, accepted)
    response = Response(body, status)
    response.raw_headers = headers
    return response


async def _found(look: Callable[[Registry], Found]) -> Found:
    """As `view.found`; without a thread where the registry at hand has it."""
    try:
        return look(view.held())
    except (InvalidInput, NotFound):
        return await to_thread.run_sync(view.found, look)


def _make(layer: str, there: Tile, choice: Choice) -> bytes:
    with public_directly() as connection:
        return _MAKERS[layer](connection, there, choice)
