"""Areas as few cells of different sizes, so that a place finds all areas that hold it by a handful of equal numbers.

A cell is one number: its level and its Morton key together. A place lies in one cell of each level; whoever asks by all
of these finds every area that has one of them among its own. Cells wholly inside an area need no second look.
"""

from __future__ import annotations

import heapq
import math
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.nearby import extended_wkb
from geo.place import METRES_PER_DEGREE, PYRAMID_LEVEL, WGS84, Place, morton

LEVELS: Final = range(4, 20)
"""Cells from 1,800 km down to 55 m, in Italy."""
MOST_CELLS: Final = 16
HOLDS_SQL: Final = f"ST_Covers({{0}}, ST_SetSRID(ST_MakePoint(%(lon)s::float8, %(lat)s::float8), {WGS84}))"
"""Whether the area in column `{0}` holds a place."""
_LEVEL_SHIFT: Final = 2 * PYRAMID_LEVEL


class Cover(NamedTuple):
    """One cell of an area: its number, and whether the area holds all of it."""

    cell: int
    is_inside: bool

    def span(self) -> str:
        """The condition that a row lies in the cell, by its key `cell` of the finest level."""
        level, key = self.cell >> _LEVEL_SHIFT, self.cell & (1 << _LEVEL_SHIFT) - 1
        shift = 2 * (PYRAMID_LEVEL - level)
        return f"{{0}}.cell BETWEEN {key << shift} AND {((key + 1) << shift) - 1}"


class _Cell(NamedTuple):
    level: int
    column: int
    row: int

    @property
    def number(self) -> int:
        return self.level << _LEVEL_SHIFT | morton(self.column, self.row)

    def quarters(self) -> list[_Cell]:
        return [
            _Cell(self.level + 1, 2 * self.column + right, 2 * self.row + down) for right in (0, 1) for down in (0, 1)
        ]

    def box(self) -> BaseGeometry:
        side = 1 << self.level
        west, east = (edge / side * 360.0 - 180.0 for edge in (self.column, self.column + 1))
        north, south = (
            math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * edge / side)))) for edge in (self.row, self.row + 1)
        )
        return shapely.box(west, south, east, north)


def cells_holding(place: Place) -> list[int]:
    """The numbers of the cells that hold `place`, one for each level."""
    column, row = place.cell()
    return [_Cell(level, column >> PYRAMID_LEVEL - level, row >> PYRAMID_LEVEL - level).number for level in LEVELS]


def circle(place: Place, metres: float) -> BaseGeometry:
    """The circle around `place`, WGS84, as a polygon of 64 corners; its border is right to a quarter of a per cent."""
    angles = np.linspace(0.0, 2 * math.pi, 64, endpoint=False)
    dy = metres / METRES_PER_DEGREE
    dx = dy / max(0.01, math.cos(math.radians(place.lat)))
    return shapely.Polygon(np.column_stack([place.lon + dx * np.cos(angles), place.lat + dy * np.sin(angles)]))


def in_area(area: BaseGeometry, row: str) -> tuple[str, dict[str, Any]]:
    """A condition that `row`, which has `cell`, `lon` and `lat`, lies in `area` (WGS84), and its values.

    Ranges of cells for the index; near the border the shape itself.
    """
    near = f"ST_Covers(%(area)s::geometry, ST_SetSRID(ST_MakePoint({row}.lon, {row}.lat), {WGS84}))"
    spans = [
        cover.span().format(row) if cover.is_inside else f"({cover.span().format(row)} AND {near})"
        for cover in covering_cells(area)
    ]
    return f"({' OR '.join(spans)})", {"area": extended_wkb(area)}


def covering_cells(area: BaseGeometry, most: int = MOST_CELLS) -> list[Cover]:
    """At most `most` cells that together cover `area` (WGS84; no larger than a country).

    The cell with the most ground outside is cut into smaller ones first, as long as there is room.
    """
    shapely.prepare(area)
    done: list[Cover] = []
    open_cells: list[tuple[float, _Cell]] = []
    for cell in _coarsest(area):
        _sort_in(area, cell, done, open_cells)
    while open_cells and len(done) + len(open_cells) < most:
        _, cell = heapq.heappop(open_cells)
        finer: list[Cover] = []
        still_open: list[tuple[float, _Cell]] = []
        if cell.level < LEVELS[-1]:
            for quarter in cell.quarters():
                _sort_in(area, quarter, finer, still_open)
        if not finer + still_open or len(done) + len(open_cells) + len(finer) + len(still_open) > most:
            done.append(Cover(cell.number, is_inside=False))
            continue
        done += finer
        for one in still_open:
            heapq.heappush(open_cells, one)
    return done + [Cover(cell.number, is_inside=False) for _, cell in open_cells]


def _coarsest(area: BaseGeometry) -> list[_Cell]:
    west, south, east, north = shapely.bounds(area)
    left, top = Place(west, north).cell(LEVELS[0])
    right, bottom = Place(east, south).cell(LEVELS[0])
    return [_Cell(LEVELS[0], x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)]


def _sort_in(area: BaseGeometry, cell: _Cell, done: list[Cover], open_cells: list[tuple[float, _Cell]]) -> None:
    """Put a cell where it belongs: nowhere, among the inner ones, or among those to be cut, the emptiest first."""
    box = cell.box()
    if not area.intersects(box):
        return
    if area.contains(box):
        done.append(Cover(cell.number, is_inside=True))
        return
    outside = shapely.area(box) - shapely.area(shapely.intersection(area, box))
    heapq.heappush(open_cells, (-float(outside), cell))
