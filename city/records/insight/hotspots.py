"""Hot spots of a municipality and of the province: worked out by the worker, read by everybody.

Reports of the last twelve months are counted in squares by one statement; `geo/hotspots.py` does the rest. One kind of
trouble is held against all reports, so that a busy square is a hot spot of lamps only if lamps are what is reported
there; all reports together are held against the other squares from which any reports come. Squares with fewer than
five reports are never kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import shapely

from city.database import PROVINCE, ReadSession, WriteSession
from city.records.insight import kept
from city.records.insight.insight import LEAST, VOID, Scope
from geo.hotspots import CITY_CELL_METRES, FALSE_DISCOVERY_RATE, PROVINCE_CELL_METRES, Grid, gi_star
from geo.tiles import bounds_of_municipalities

EVERYTHING: Final = ""
"""The group of all groups."""
WINDOW: Final = timedelta(days=365)
RENEWED_AFTER: Final = timedelta(hours=1)
AT_LEAST_DAILY: Final = timedelta(days=1)
"""Even where nothing was reported: the twelve months move on."""

_DUE: Final = """
SELECT municipality.id FROM municipality LEFT JOIN hotspot_run ON hotspot_run.municipality_id = municipality.id
WHERE municipality.is_active AND (hotspot_run.computed_at IS NULL OR hotspot_run.computed_at < %(now)s - %(after)s)
ORDER BY hotspot_run.computed_at NULLS FIRST, municipality.id LIMIT 1
"""
_COUNTED: Final = """
SELECT floor((lon - %(west)s) / %(column_degrees)s)::integer, floor((lat - %(south)s) / %(row_degrees)s)::integer,
  group_slug, is_public, count(*)
FROM report WHERE created_at >= %(starts_at)s AND state <> ALL(%(void)s) AND parent_id IS NULL{own} GROUP BY 1, 2, 3, 4
"""
_KEEP: Final = """
INSERT INTO hotspot (municipality_id, is_public, group_slug, cell_column, cell_row, cell_metres, shape, lon, lat,
  count, observed, expected, z, q, computed_at)
VALUES (%(municipality_id)s, %(is_public)s, %(group)s, %(column)s, %(row)s, %(cell_metres)s, %(shape)s, %(lon)s,
  %(lat)s, %(count)s, %(observed)s, %(expected)s, %(z)s, %(q)s, %(computed_at)s)
"""
_RUN: Final = """
INSERT INTO hotspot_run (municipality_id, computed_at, starts_at, cell_metres, version)
VALUES (%(municipality_id)s, %(computed_at)s, %(starts_at)s, %(cell_metres)s, %(version)s)
ON CONFLICT (municipality_id) DO UPDATE SET computed_at = excluded.computed_at, starts_at = excluded.starts_at,
  cell_metres = excluded.cell_metres, version = excluded.version
"""
_SHOWN: Final = """
SELECT group_slug, shape, count, observed, expected, z, q, cell_metres FROM hotspot
WHERE municipality_id = %(municipality_id)s AND is_public = %(is_public)s
  AND (%(group)s::text IS NULL OR group_slug = %(group)s)
ORDER BY group_slug, z DESC, cell_column, cell_row
"""

Cell = tuple[int, int]
Counts = dict[Cell, int]


@dataclass(frozen=True, slots=True)
class Spot:
    """A square that stands out, by column and row of its grid, and how it does."""

    column: int
    row: int
    count: int
    observed: int
    expected: float
    z: float
    q: float


def most_due(session: ReadSession, now: datetime) -> int | None:
    """The municipality (0: the province) whose hot spots are the oldest and more than an hour old; None if none is."""
    row = session.raw.execute(_DUE, {"now": now, "after": RENEWED_AFTER}).fetchone()
    return int(row[0]) if row else None


def renew(session: WriteSession, municipality_id: int, now: datetime | None = None) -> int | None:
    """Work the hot spots of a municipality (0: of the province) out anew; how many there are.

    None where nothing has happened since. Needs a session that sees all municipalities (`provincial()`).
    """
    now = now or datetime.now(UTC)
    version = repr(hash(kept.version_seen_by(session, municipality_id or None)))
    if _is_current(session, municipality_id, version, now):
        session.raw.execute(
            "UPDATE hotspot_run SET computed_at = %s WHERE municipality_id = %s", (now, municipality_id)
        )
        return None
    cell_metres = PROVINCE_CELL_METRES if municipality_id == PROVINCE else CITY_CELL_METRES
    run = {
        "municipality_id": municipality_id,
        "computed_at": now,
        "starts_at": now - WINDOW,
        "cell_metres": cell_metres,
        "version": version,
    }
    # The run first: of two who do this at once the second waits here, and then finds all rows of the first.
    session.raw.execute(_RUN, run)
    session.raw.execute("DELETE FROM hotspot WHERE municipality_id = %s", [municipality_id])
    bounds = bounds_of_municipalities(session.raw, municipality_id or None)
    if bounds is None:
        return 0
    grid = Grid.over(bounds, cell_metres)
    rows = [run | row for row in _found(grid, _counted(session, grid, run))]
    with session.raw.cursor() as cursor:
        cursor.executemany(_KEEP, rows)
    return len(rows)


def forget(session: WriteSession, municipality_id: int) -> None:
    """Forget the public hot spots of a municipality and of the province: they count what is public no more, or not
    what has become so. The worker finds them anew at its next turn.
    """
    both = [municipality_id, PROVINCE]
    session.raw.execute("DELETE FROM hotspot WHERE municipality_id = ANY(%s) AND is_public", [both])
    session.raw.execute("DELETE FROM hotspot_run WHERE municipality_id = ANY(%s)", [both])


def _is_current(session: ReadSession, municipality_id: int, version: str, now: datetime) -> bool:
    found = session.raw.execute(
        "SELECT 1 FROM hotspot_run WHERE municipality_id = %s AND version = %s AND starts_at > %s",
        (municipality_id, version, now - WINDOW - AT_LEAST_DAILY),
    ).fetchone()
    return found is not None


def _counted(session: ReadSession, grid: Grid, run: dict[str, Any]) -> dict[tuple[bool, str], Counts]:
    """Reports by square; for each group and for all together, of the public ones and of all."""
    own = "" if run["municipality_id"] == PROVINCE else " AND municipality_id = %(municipality_id)s"
    found = session.raw.execute(
        _COUNTED.format(own=own),
        run
        | {
            "west": grid.west,
            "south": grid.south,
            "column_degrees": grid.column_degrees,
            "row_degrees": grid.row_degrees,
            "void": list(VOID),
        },
    )
    counted: defaultdict[tuple[bool, str], Counts] = defaultdict(lambda: defaultdict(int))
    for column, row, group, is_public, count in found:
        for of_public in (True, False) if is_public else (False,):
            for of_group in (group, EVERYTHING):
                counted[of_public, of_group][column, row] += count
    return dict(counted)


def _found(grid: Grid, counted: dict[tuple[bool, str], Counts]) -> Iterator[dict[str, Any]]:
    for (is_public, group), counts in counted.items():
        everything = counted[is_public, EVERYTHING]
        for spot in spots(counts, None if group == EVERYTHING else everything):
            middle = grid.middle_of(spot.column, spot.row)
            yield {
                "is_public": is_public,
                "group": group,
                "column": spot.column,
                "row": spot.row,
                "shape": grid.square_ewkt(spot.column, spot.row),
                "lon": middle.lon,
                "lat": middle.lat,
                "count": spot.count,
                "observed": spot.observed,
                "expected": spot.expected,
                "z": spot.z,
                "q": spot.q,
            }


def spots(counts: Counts, exposure: Counts | None) -> Iterable[Spot]:
    """The squares that stand out at a false discovery rate of 5 % and hold at least five reports."""
    cells = sorted(counts if exposure is None else exposure)
    columns, rows = np.array(cells, dtype=np.int64).reshape(-1, 2).T
    here = np.array([counts.get(cell, 0) for cell in cells], dtype=np.int64)
    all_of_them = None if exposure is None else np.array([exposure[cell] for cell in cells], dtype=np.int64)
    found = gi_star(columns, rows, here, all_of_them)
    for at in np.nonzero((found.q <= FALSE_DISCOVERY_RATE) & (here >= LEAST))[0].tolist():
        yield Spot(
            *cells[at],
            count=int(here[at]),
            observed=int(found.observed[at]),
            expected=float(found.expected[at]),
            z=float(found.z[at]),
            q=float(found.q[at]),
        )


def features(session: ReadSession, scope: Scope, group: str | None) -> dict[str, Any]:
    """The hot spots as GeoJSON (RFC 7946): of all reports together, or of one category group.

    Those of hidden reports too are for staff who may read all of them. With `computed_at` and `from`, both None where
    the worker has not come to it yet. Raises Forbidden.
    """
    scope.clause()  # whether they may read reports at all
    municipality_id = scope.municipality.id if scope.municipality else PROVINCE
    run = session.raw.execute(
        "SELECT computed_at, starts_at, cell_metres FROM hotspot_run WHERE municipality_id = %s", [municipality_id]
    ).fetchone()
    rows = session.raw.execute(
        _SHOWN, {"municipality_id": municipality_id, "is_public": not scope.is_whole, "group": group or EVERYTHING}
    )
    return {
        "type": "FeatureCollection",
        "computed_at": run[0].isoformat() if run else None,
        "from": run[1].isoformat() if run else None,
        "cell_metres": run[2] if run else None,
        "false_discovery_rate": FALSE_DISCOVERY_RATE,
        "least": LEAST,
        "features": [_feature(row) for row in rows],
    }


def _feature(row: tuple[Any, ...]) -> dict[str, Any]:
    group, shape, count, observed, expected, z, q, _ = row
    ring = shapely.get_coordinates(shapely.from_wkb(shape)).round(6).tolist()
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "group": group or None,
            "kind": "hot" if z > 0 else "cold",
            "count": count,
            "observed": observed,
            "expected": round(expected, 2),
            "z": round(z, 2),
            "q": float(f"{q:.2g}"),
        },
    }
