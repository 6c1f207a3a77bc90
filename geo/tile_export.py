"""A layer's tiles in one file (PMTiles 3): for a CDN that knows nothing of us, or a tablet that is offline."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import IO, Any, Final

from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from psycopg import Connection

from geo.cells import Bounds
from geo.place import PYRAMID_LEVEL, Place, unmorton
from geo.pyramid import COARSE_LEVEL, FINEST_SHARED, FIRST_SINGLE_ZOOM, HEAT_BITS
from geo.tiles import SINGLE_DEEPEST_ZOOM, Choice, Tile, bounds_of_municipalities, heat_tile, reports_tile, zones_tile

DEEPEST: Final = {"reports": SINGLE_DEEPEST_ZOOM, "heat": FIRST_SINGLE_ZOOM, "zones": 12}
"""The last zoom of each layer: closer up, clients enlarge."""
MAKERS: Final = {"reports": reports_tile, "heat": heat_tile, "zones": zones_tile}
TENTHS_OF_MICRODEGREES: Final = 10_000_000

Progress = Callable[[int, int], None]
"""Hears how many tiles are written, and how many there are."""

_CLUSTERED: Final = """
SELECT DISTINCT cell >> %(up)s::integer FROM tile_cell
WHERE level = %(level)s AND month = 0 AND scope = %(scope)s AND (NOT %(is_open)s OR open > 0)
  AND (%(scope)s > 0 OR %(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s)
UNION
SELECT cell >> %(shift)s::integer FROM tile_delta
WHERE %(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s
"""
_SINGLE: Final = f"""
SELECT DISTINCT cell >> %(shift)s::integer FROM report
WHERE is_public AND is_open = ANY(%(openness)s::boolean[])
  AND (%(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s)
UNION
SELECT ((cell << {2 * (PYRAMID_LEVEL - COARSE_LEVEL)}) + {3 << 2 * (PYRAMID_LEVEL - COARSE_LEVEL) - 2})
       >> %(shift)s::integer FROM tile_cell
WHERE level = {COARSE_LEVEL} AND month = 0 AND scope = 0 AND coarse_open > 0
  AND (%(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s)
UNION
SELECT cell >> %(shift)s::integer FROM tile_delta WHERE is_coarse
"""  # noqa: S608


def export(
    connection: Connection[Any],
    file: IO[bytes],
    layer: str,
    *,
    municipality_id: int | None = None,
    deepest: int | None = None,
    progress: Progress = lambda _written, _all: None,
) -> int:
    """Write every tile of `layer` that shows anything, zoom 0 to `deepest`, as one snapshot; how many there are.

    To be called as the public reader, at the beginning of a transaction. Raises ValueError where there is none.
    """
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    connection.execute("SET LOCAL statement_timeout = 0")
    bounds = bounds_of_municipalities(connection, municipality_id)
    last = min(deepest if deepest is not None else DEEPEST[layer], DEEPEST[layer])
    wanted = [tile for zoom in range(last + 1) for tile in _tiles(connection, layer, zoom, municipality_id, bounds)]
    writer = Writer(file)
    with writer.tile_f:
        for done, tile in enumerate(wanted, start=1):
            data = MAKERS[layer](connection, tile, Choice(municipality_id=municipality_id))
            if data:
                writer.write_tile(zxy_to_tileid(*tile), gzip.compress(data, mtime=0))
            progress(done, len(wanted))
        if not writer.addressed_tiles or bounds is None:
            raise ValueError(layer)
        writer.finalize(_header(bounds), _metadata(layer, last))
    return int(writer.addressed_tiles)


def _tiles(
    connection: Connection[Any], layer: str, zoom: int, municipality_id: int | None, bounds: Bounds | None
) -> list[Tile]:
    """The tiles of one zoom that may show something, in the order of the file."""
    if layer == "zones":
        found = _covering(bounds, zoom) if bounds else []
    else:
        level = zoom + HEAT_BITS
        source = max(level, FINEST_SHARED) if municipality_id is not None else level
        values = {
            "level": source,
            "up": 2 * (source - zoom),
            "shift": 2 * (PYRAMID_LEVEL - zoom),
            "scope": municipality_id or 0 if source == FINEST_SHARED else 0,
            "municipality_id": municipality_id,
            "is_open": layer == "reports",
            "openness": [True] if layer == "reports" else [True, False],
        }
        rows = connection.execute(_CLUSTERED if zoom < FIRST_SINGLE_ZOOM else _SINGLE, values)
        found = [Tile(zoom, *unmorton(key)) for (key,) in rows]
    return sorted(found, key=lambda tile: int(zxy_to_tileid(*tile)))


def _covering(bounds: Bounds, zoom: int) -> list[Tile]:
    left, top = Place(bounds.west, bounds.north).cell(zoom)
    right, bottom = Place(bounds.east, bounds.south).cell(zoom)
    return [Tile(zoom, x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)]


def _header(bounds: Bounds) -> dict[str, Any]:
    west, south, east, north = (round(degrees * TENTHS_OF_MICRODEGREES) for degrees in bounds)
    return {
        "tile_type": TileType.MVT,
        "tile_compression": Compression.GZIP,
        "min_lon_e7": west,
        "min_lat_e7": south,
        "max_lon_e7": east,
        "max_lat_e7": north,
        "center_zoom": 0,
        "center_lon_e7": (west + east) // 2,
        "center_lat_e7": (south + north) // 2,
    }


def _metadata(layer: str, deepest: int) -> dict[str, Any]:
    names = ("zones", "municipalities", "names") if layer == "zones" else (layer,)
    layers = [{"id": name, "fields": {}, "minzoom": 0, "maxzoom": deepest} for name in names]
    return {"name": f"Lampione: {layer}", "format": "pbf", "type": "overlay", "vector_layers": layers}
