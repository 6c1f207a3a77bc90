"""Many reports at once, drawn to look like towns: dense middles, thin edges. Written by COPY."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from geo import pyramid
from geo.place import PYRAMID_LEVEL

TOWNS: Final = 120
SPREAD_DEGREES: Final = 0.02
WEST, SOUTH, EAST, NORTH = 7.5, 40.5, 17.5, 46.0
"""Most of Italy."""

_INSERT: Final = """
WITH kinds AS (
  SELECT array_agg(id ORDER BY id) AS ids, array_agg(group_slug ORDER BY id) AS groups FROM category
), home AS (
  SELECT id, fallback_department_id FROM municipality WHERE kind = 'municipality' ORDER BY id LIMIT 1
)
INSERT INTO report (municipality_id, id, number, state, category_id, group_slug, decided_by, suggestions, department_id,
  routing, lon, lat, cell, cell_x, cell_y, zone_ids, description, language, answers, source, is_public, is_emergency,
  is_open, created_at, updated_at, deadline_at)
SELECT home.id, gen_random_uuid(), 'DRAWN-' || drawn.row, 'assigned', ids[1 + drawn.kind % cardinality(ids)],
  groups[1 + drawn.kind % cardinality(ids)], 'citizen', '[]', home.fallback_department_id,
  '{}', drawn.lon, drawn.lat, drawn.cell, drawn.x, drawn.y, '{}', 'drawn', 'it', '{}', 'api', true, false,
  true, now(), now(), now()
FROM drawn, kinds, home
"""


def places(count: int, seed: int = 11) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of `count` reports in and around towns of very different size."""
    chance = np.random.default_rng(seed)
    sizes = 1 / np.arange(1, TOWNS + 1)
    towns = chance.choice(TOWNS, count, p=sizes / sizes.sum())
    lons = chance.uniform(WEST, EAST, TOWNS)[towns] + chance.normal(0, SPREAD_DEGREES, count)
    lats = chance.uniform(SOUTH, NORTH, TOWNS)[towns] + chance.normal(0, SPREAD_DEGREES * 0.7, count)
    return lons, lats


def cells(
    lons: NDArray[np.float64], lats: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Column, row and Morton key of the finest level, as `Place.cell` and `morton` make them."""
    side = 1 << PYRAMID_LEVEL
    sines = np.sin(np.radians(lats))
    x = ((lons + 180.0) / 360.0 * side).astype(np.int64)
    y = ((0.5 - np.log((1 + sines) / (1 - sines)) / (4 * np.pi)) * side).astype(np.int64)
    return x, y, _spread(x) | _spread(y) << 1


def _spread(values: NDArray[np.int64]) -> NDArray[np.int64]:
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        values = (values | values << shift) & mask
    return values


def draw(connection: Connection[Any], count: int) -> None:
    """Exactly `count` drawn reports in the database and in the pyramid; as its superuser. Kept if they are there."""
    found = connection.execute("SELECT count(*) FROM report").fetchone()
    if found == (count,):
        return
    lons, lats = places(count)
    x, y, keys = cells(lons, lats)
    kinds = np.random.default_rng(13).integers(0, 1000, count)
    connection.execute("SET session_replication_role = replica")  # no triggers: the pyramid is counted at the end
    connection.execute("TRUNCATE report, tile_cell, tile_delta CASCADE")
    connection.execute(
        "CREATE TEMPORARY TABLE drawn (row integer, lon float8, lat float8, cell bigint, x integer, y integer,"
        " kind integer) ON COMMIT DROP"
    )
    with connection.cursor().copy("COPY drawn FROM STDIN") as copy:
        columns = (range(count), lons.tolist(), lats.tolist(), keys.tolist(), x.tolist(), y.tolist(), kinds.tolist())
        for row in zip(*columns, strict=True):
            copy.write("\t".join(map(str, row)) + "\n")
    connection.execute(_INSERT)
    pyramid.rebuild(connection)
    connection.execute("SET session_replication_role = origin")
    connection.commit()
    connection.autocommit = True
    connection.execute("VACUUM (ANALYZE) report")
    connection.execute("VACUUM (ANALYZE) tile_cell")
    connection.execute("VACUUM (ANALYZE) tile_delta")
    connection.autocommit = False


def promise_deltas(connection: Connection[Any], count: int) -> None:
    """Make `count` changes that no worker has folded yet, all over the place."""
    connection.execute("DELETE FROM tile_delta")
    connection.execute(
        "INSERT INTO tile_delta (cell, municipality_id, group_slug, count, x, y)"
        " SELECT cell, municipality_id, group_slug, 1, cell_x, cell_y FROM report ORDER BY id LIMIT %s",
        (count,),
    )
    connection.commit()
    connection.autocommit = True
    connection.execute("ANALYZE tile_delta")
    connection.autocommit = False
