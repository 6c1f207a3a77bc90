"""The plainest tile there is: every open report as a point, however many. The measure of what the pyramid saves."""

from __future__ import annotations

from typing import Any, Final

from psycopg import Connection

from geo.cells import tile_range
from geo.place import PYRAMID_LEVEL
from geo.tile_statements import EXTENT
from geo.tiles import Tile

_POINTS: Final = f"""
SELECT ST_AsMVT(feature, 'reports', {EXTENT}, 'geom') FROM (
  SELECT ST_MakePoint((cell_x - %(left)s) * {EXTENT}.0 / %(side)s, (cell_y - %(top)s) * {EXTENT}.0 / %(side)s) AS geom,
         number, group_slug AS "group", state
  FROM report WHERE is_public AND is_open AND cell BETWEEN %(first)s AND %(last)s
) AS feature
"""  # noqa: S608


def points_tile(connection: Connection[Any], tile: Tile) -> bytes:
    """All open public reports of one tile, each with number, group and state."""
    shift = PYRAMID_LEVEL - tile.zoom
    cells = tile_range(tile.zoom, tile.x, tile.y)
    values = {
        "first": cells.first,
        "last": cells.last,
        "left": tile.x << shift,
        "top": tile.y << shift,
        "side": 1 << shift,
    }
    row = connection.execute(_POINTS, values).fetchone()
    return bytes(row[0] or b"") if row else b""
