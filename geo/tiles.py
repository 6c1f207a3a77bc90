"""Vector tiles (Mapbox Vector Tile 2.1), made by PostGIS. Coordinates are those of the Web-Mercator tile grid."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from psycopg import Connection
from psycopg.types.numeric import Int8

from geo import tile_statements
from geo.cells import Bounds, tile_range
from geo.place import PYRAMID_LEVEL, Place, morton
from geo.pyramid import (
    CLUSTER_BITS,
    COARSEST_FOLDED,
    FINEST_MONTHLY,
    FINEST_SHARED,
    FINEST_YEARLY,
    FIRST_SINGLE_ZOOM,
    HEAT_BITS,
)
from geo.tile_statements import COARSE_SHIFT, MOST_SINGLES

DEEPEST_ZOOM: Final = PYRAMID_LEVEL - HEAT_BITS
SINGLE_DEEPEST_ZOOM: Final = 16
"""Deeper tiles would hold the same reports: clients enlarge these."""
STAGES: Final = ("todo", "doing", "done", "other")
"""Of a report's life, as the map counts it: nobody is on it yet, somebody is, solved, ended otherwise."""
OPEN: Final = frozenset({0, 1})
ALWAYS: Final = (0, 999_999)
GIRTH_METRES: Final = 40_075_016.686
"""Of the Web-Mercator square."""
DETAIL: Final = 6
"""Details of borders smaller than this many of a tile's 4,096 steps (under one pixel) are left out."""
JANUARY, DECEMBER = 1, 12


class Tile(NamedTuple):
    """One square of the map: zoom, column, row; row 0 is the northernmost."""

    zoom: int
    x: int
    y: int

    @property
    def exists(self) -> bool:
        """Whether there is such a tile."""
        return 0 <= self.zoom <= DEEPEST_ZOOM and 0 <= self.x < 1 << self.zoom and 0 <= self.y < 1 << self.zoom

    @classmethod
    def at(cls, place: Place, zoom: int) -> Tile:
        """The tile of `zoom` that holds `place`."""
        return cls(zoom, *place.cell(zoom))


class Choice(NamedTuple):
    """Which reports are wanted. Nothing chosen: all of them.

    `stages` are positions in STAGES, `first_month` and `last_month` (both included) yyyymm on the municipality's
    calendar, of the day the report came in.
    """

    municipality_id: int | None = None
    department_id: int | None = None
    groups: tuple[str, ...] = ()
    stages: frozenset[int] = frozenset()
    first_month: int | None = None
    last_month: int | None = None

    @property
    def months(self) -> tuple[int, int]:
        """The first and the last month; where none is named, before and after all there are."""
        return self.first_month or ALWAYS[0], self.last_month or ALWAYS[1]

    @property
    def bounds(self) -> tuple[int, int]:
        """The same as months that can be counted: from 1990 to the end of next year where none is named."""
        return self.first_month or 199001, self.last_month or (datetime.now(UTC).year + 1) * 100 + DECEMBER

    @property
    def is_always(self) -> bool:
        """Whether the period is all time."""
        return self.first_month is None and self.last_month is None

    @property
    def is_narrow(self) -> bool:
        """Whether it takes the figures of single departments, groups or stages."""
        return self.department_id is not None or bool(self.groups or self.stages)


ALL: Final = Choice()


def periods(choice: Choice, level: int) -> tuple[list[int], list[int]]:
    """Which rows of the pyramid make up the period on `level`, and which months must be counted from the reports.

    Rows are named as in `tile_cell.month`. A period without beginning or end takes in all years that can be.
    """
    if choice.is_always:
        return [0], []
    first, last = choice.bounds
    rows: list[int] = []
    singles: list[int] = []
    for year in range(first // 100, last // 100 + 1):
        months = _single_months(max(first, year * 100 + JANUARY), min(last, year * 100 + DECEMBER))
        if len(months) == DECEMBER and level <= FINEST_YEARLY:
            rows.append(year * 100)
        elif level <= FINEST_MONTHLY:
            rows += months
        else:
            singles += months
    return rows, singles


def _single_months(first: int, last: int) -> list[int]:
    """All months between two, both included."""
    return [
        year * 100 + month
        for year in range(first // 100, last // 100 + 1)
        for month in range(JANUARY, DECEMBER + 1)
        if first <= year * 100 + month <= last
    ]


def reports_tile(connection: Connection[Any], tile: Tile, choice: Choice = ALL) -> bytes:
    """The open public reports of one tile: clusters with counts per category group, or single reports close up.

    Layer `reports`. A cluster has `count`, `group` (the most frequent) and one count per group under the group's
    slug, and lies in the middle of its reports; a single report has `count` 1, `number`, `category`, `group`, `state`
    and `since` (the day it came, UTC). A number of coarse reports close up has nothing but its `count`.
    """
    chosen = choice._replace(stages=choice.stages & OPEN) if choice.stages else choice
    if choice.stages and not chosen.stages:
        return b""
    values = _values(tile, chosen, chosen.stages or OPEN, CLUSTER_BITS)
    if tile.zoom < FIRST_SINGLE_ZOOM:
        is_plain = chosen.is_always and not chosen.is_narrow
        if not values["nodes"]:
            return _bytes(connection, tile_statements.COUNTED_CLUSTERS[False], values)
        return _bytes(connection, tile_statements.CLUSTERS if is_plain else tile_statements.CHOSEN_CLUSTERS, values)
    row = connection.execute(tile_statements.SINGLES[choice.is_always], values).fetchone()
    if row is not None and row[1] > MOST_SINGLES:
        return _bytes(connection, tile_statements.COUNTED_CLUSTERS[choice.is_always], values)
    return bytes(row[0] or b"") if row else b""


def heat_tile(connection: Connection[Any], tile: Tile, choice: Choice = ALL) -> bytes:
    """All public reports ever, or of a period, by cells. Layer `heat`: `count`, and how many are `open`.

    A feature lies in the middle of its cell; a tile has at most 16 by 16 of them.
    """
    values = _values(tile, choice, choice.stages or frozenset(range(len(STAGES))), HEAT_BITS)
    if tile.zoom >= FIRST_SINGLE_ZOOM or not values["nodes"]:
        return _bytes(connection, tile_statements.COUNTED_HEAT[choice.is_always], values)
    return _bytes(connection, tile_statements.CHOSEN_HEAT if choice.is_narrow else tile_statements.HEAT, values)


def counted_tile(connection: Connection[Any], tile: Tile, choice: Choice = ALL, *, layer: str = "reports") -> bytes:
    """The same tile counted on the fly, without the pyramid: its referee in tests, its peer in `bench`."""
    everything = OPEN if layer == "reports" else frozenset(range(len(STAGES)))
    queries = tile_statements.COUNTED_CLUSTERS if layer == "reports" else tile_statements.COUNTED_HEAT
    bits = CLUSTER_BITS if layer == "reports" else HEAT_BITS
    values = _values(tile, choice, choice.stages or everything, bits)
    values["single_months"] = _single_months(*choice.bounds)
    return _bytes(connection, queries[choice.is_always], values)


def zones_tile(connection: Connection[Any], tile: Tile, choice: Choice = ALL) -> bytes:
    """Zones in force (layer `zones`: code, name, layer, kind) and boundaries (layer `municipalities`: slug, name).

    Layer `names` has one point inside each of them (`name`, `kind`), so that a map of many tiles names each once.
    """
    values = {
        "zoom": tile.zoom,
        "x": tile.x,
        "y": tile.y,
        "municipality_id": choice.municipality_id,
        "detail_metres": GIRTH_METRES / (1 << tile.zoom) / tile_statements.EXTENT * DETAIL,
    }
    return _bytes(connection, tile_statements.ZONES, values)


def notices_tile(connection: Connection[Any], tile: Tile, choice: Choice = ALL) -> bytes:
    """Areas of current and coming notices, of the province or of one municipality.

    Layer `notices`: `number`, `kind`, `title_it`, `title_en`, `starts_at`, `ends_at`, `is_urgent`.
    Layer `titles` has one point inside each (`number`, `title_it`, `title_en`), so that a map of many tiles names each
    once.
    """
    values = {
        "zoom": tile.zoom,
        "x": tile.x,
        "y": tile.y,
        "municipality_id": choice.municipality_id,
        "detail_metres": GIRTH_METRES / (1 << tile.zoom) / tile_statements.EXTENT * DETAIL,
    }
    return _bytes(connection, tile_statements.NOTICES, values)


def hotspots_tile(connection: Connection[Any], tile: Tile, choice: Choice = ALL) -> bytes:
    """Squares where more was reported in twelve months than chance explains: of the province, or of one municipality.

    Layer `hotspots`: `group` ("" for all together; only what is chosen, else all together), `count`, `expected`, `z`
    and `q`, the share of false alarms.
    """
    values = {
        "zoom": tile.zoom,
        "x": tile.x,
        "y": tile.y,
        "municipality_id": choice.municipality_id or 0,
        "groups": list(choice.groups) or [""],
    }
    return _bytes(connection, tile_statements.HOTSPOTS, values)


def _values(tile: Tile, choice: Choice, stages: frozenset[int], bits: int) -> dict[str, Any]:
    shift = PYRAMID_LEVEL - tile.zoom
    cells = tile_range(tile.zoom, tile.x, tile.y)
    level = tile.zoom + bits
    source = max(level, COARSEST_FOLDED if choice.municipality_id is None else FINEST_SHARED)
    rows, single_months = periods(choice, source)
    first_month, last_month = choice.months
    coarse = _coarse_cells(tile) if choice.is_always and stages >= OPEN else []
    values = {
        "first": cells.first,
        "last": cells.last,
        "level": source,
        "source_shift": 2 * (PYRAMID_LEVEL - source),
        "gathering": 2 * (source - level),
        "shift": 2 * (PYRAMID_LEVEL - level),
        "left": tile.x << shift,
        "top": tile.y << shift,
        "side": 1 << shift,
        "scope": choice.municipality_id or 0 if source == FINEST_SHARED else 0,
        "municipality_id": choice.municipality_id,
        "department_id": choice.department_id,
        "groups": list(choice.groups),
        "stages": sorted(stages),
        **{f"stage_{stage}": int(stage in stages) for stage in range(len(STAGES))},
        "openness": [flag for flag, part in ((True, OPEN), (False, {2, 3})) if stages & part],
        "nodes": rows,
        "single_months": single_months,
        "first_month": first_month,
        "last_month": last_month,
        "coarse_cells": [cell for cell, _, _ in coarse],
        "coarse_xs": [x for _, x, _ in coarse],
        "coarse_ys": [y for _, _, y in coarse],
    }
    # One type for every size of number: else each statement would be planned for each mixture of sizes.
    return {name: Int8(value) if type(value) is int else value for name, value in values.items()}


def _coarse_cells(tile: Tile) -> Iterable[tuple[int, int, int]]:
    """Key, and middle (column and row of the finest level), of the cells of coarse reports that are in the tile."""
    if tile.zoom < FIRST_SINGLE_ZOOM:
        return []
    size = COARSE_SHIFT // 2
    shift = PYRAMID_LEVEL - tile.zoom
    left, top, side = tile.x << shift, tile.y << shift, 1 << shift
    found = []
    for column in range(left >> size, (left + side - 1 >> size) + 1):
        for row in range(top >> size, (top + side - 1 >> size) + 1):
            x, y = (part << size | 1 << size - 1 for part in (column, row))
            if left <= x < left + side and top <= y < top + side:
                found.append((morton(column, row), x, y))
    return found


def bounds_of_municipalities(connection: Connection[Any], municipality_id: int | None = None) -> Bounds | None:
    """The box around all hosted municipalities, or one of them; None where there is none."""
    row = connection.execute(
        "SELECT ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box)"
        " FROM (SELECT ST_Extent(boundary) AS box FROM municipality"
        "       WHERE is_active AND (%(id)s::integer IS NULL OR id = %(id)s)) AS extent",
        {"id": municipality_id},
    ).fetchone()
    return Bounds(*row) if row and row[0] is not None else None


def _bytes(connection: Connection[Any], query: str, values: dict[str, Any]) -> bytes:
    row = connection.execute(query, values).fetchone()
    return bytes(row[0] or b"") if row else b""
