"""The spatial join with PostGIS's own means: what looking up zones in memory is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg import Connection
from shapely.geometry.base import BaseGeometry

_TABLES: Final[LiteralString] = """
DROP TABLE IF EXISTS joined_place, joined_zone;
CREATE TEMP TABLE joined_place (id integer, place geometry(Point));
CREATE TEMP TABLE joined_zone (id integer, shape geometry);
"""
_READY: Final[LiteralString] = """
CREATE INDEX ON joined_place USING gist (place);
CREATE INDEX ON joined_zone USING gist (shape);
ANALYZE joined_place; ANALYZE joined_zone;
"""
_JOIN: Final[LiteralString] = (
    "SELECT count(*) FROM joined_zone AS zone JOIN joined_place AS point ON ST_Intersects(zone.shape, point.place)"
)
_ONE: Final[LiteralString] = "SELECT id FROM joined_zone WHERE ST_Intersects(shape, ST_MakePoint(%s, %s)) ORDER BY id"


def lay_out(
    connection: Connection[Any],
    areas: Sequence[BaseGeometry],
    lons: NDArray[np.float64],
    lats: NDArray[np.float64],
) -> None:
    """Put zones and places (degrees, shape (n,)) into tables of this connection, both with a spatial index."""
    connection.execute(_TABLES)
    with connection.cursor() as cursor:
        with cursor.copy("COPY joined_place FROM STDIN") as rows:
            for number, (lon, lat) in enumerate(zip(lons.tolist(), lats.tolist(), strict=True)):
                rows.write_row((number, shapely.to_wkb(shapely.Point(lon, lat), hex=True)))
        with cursor.copy("COPY joined_zone FROM STDIN") as rows:
            for number, area in enumerate(areas):
                rows.write_row((number, shapely.to_wkb(area, hex=True)))
    connection.execute(_READY)


def join(connection: Connection[Any]) -> int:
    """How many pairs of place and zone the join finds; none of them leaves the server."""
    row = connection.execute(_JOIN).fetchone()
    assert row is not None
    return int(row[0])


def holding(connection: Connection[Any], lon: float, lat: float) -> list[int]:
    """The zones that hold one place."""
    return [row[0] for row in connection.execute(_ONE, (lon, lat), prepare=True)]
