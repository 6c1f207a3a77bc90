"""The map's errand: vector tiles and their TileJSON. They are read as the public reader: only what anyone may see."""

from __future__ import annotations

import gzip
import hashlib
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from api.schemas import Slug
from city.database import public
from city.errors import NotFound
from city.registry import view
from city.settings import settings
from geo.tiles import (
    DEEPEST_ZOOM,
    SINGLE_DEEPEST_ZOOM,
    Tile,
    bounds_of_municipalities,
    reports_tile,
    zones_tile,
)

MEDIA_TYPE: Final = "application/vnd.mapbox-vector-tile"
_MAKERS: Final = {"reports": reports_tile, "zones": zones_tile}
_CACHING: Final = {
    "reports": "public, max-age=0, must-revalidate",
    "zones": "public, max-age=300, stale-while-revalidate=3600",
}
_FIELDS: Final = {
    "reports": {"count": "Number", "number": "String", "category": "String", "group": "String", "state": "String"},
    "zones": {"code": "String", "name": "String", "layer": "String", "kind": "String"},
    "municipalities": {"slug": "String", "name": "String"},
    "names": {"name": "String", "kind": "String"},
}

router = APIRouter(prefix="/tiles", tags=["tiles"])

Layer = Literal["reports", "zones"]


@router.get("/{layer}.json")
def describe(layer: Layer, municipality: Annotated[Slug | None, Query()] = None) -> dict[str, Any]:
    """The TileJSON 3.0 of a layer, of all municipalities or of one."""
    municipality_id = view.found(lambda registry: registry.municipality(municipality)).id if municipality else None
    with public() as session:
        bounds = bounds_of_municipalities(session.raw, municipality_id)
    chosen = f"?municipality={municipality}" if municipality else ""
    layers = ["reports"] if layer == "reports" else ["zones", "municipalities", "names"]
    return {
        "tilejson": "3.0.0",
        "name": f"Lampione: {layer}",
        "scheme": "xyz",
        "tiles": [f"{settings().public_url.rstrip('/')}/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt{chosen}"],
        "minzoom": 0,
        "maxzoom": SINGLE_DEEPEST_ZOOM,
        "bounds": list(bounds) if bounds else [-180.0, -85.0, 180.0, 85.0],
        "vector_layers": [{"id": name, "fields": _FIELDS[name]} for name in layers],
    }


@router.get(
    "/{layer}/{z}/{x}/{y}.mvt",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {}}}, 304: {"description": "The tile is still the same"}},
)
def tile(
    request: Request,
    layer: Layer,
    z: int,
    x: int,
    y: int,
    municipality: Annotated[Slug | None, Query()] = None,
) -> Response:
    """One vector tile (Mapbox Vector Tile 2.1). A report just accepted is already on it."""
    wanted = Tile(z, x, y)
    if not wanted.exists:
        raise NotFound("tiles.no_such_tile", z=z, x=x, y=y, deepest=DEEPEST_ZOOM)
    municipality_id = view.found(lambda registry: registry.municipality(municipality)).id if municipality else None
    with public() as session:
        data = _MAKERS[layer](session.raw, wanted, municipality_id)
    headers = {
        "ETag": f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"',
        "Cache-Control": _CACHING[layer],
        "Vary": "Accept-Encoding",
        "Access-Control-Allow-Origin": "*",
    }
    if _is_known(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", "") and len(data) > 200:  # noqa: PLR2004
        data = gzip.compress(data, compresslevel=5, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(data, headers=headers, media_type=MEDIA_TYPE)


def _is_known(sent: str, tag: str) -> bool:
    """Whether the client has this version already (RFC 9110, 13.1.2: a list, compared weakly, or any version)."""
    return any(known.strip().removeprefix("W/") in {tag, "*"} for known in sent.split(","))
