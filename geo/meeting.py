"""Which areas meet another one: of two covers (`geo.covers`), a cell of one holds a cell of the other.

So an area asks for the cells above its own, one by one, and for those below them, a range for each level: however many
areas there are, only those nearby are looked at. Where a cell lies wholly inside, nobody need look at the shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import shapely
from shapely.geometry.base import BaseGeometry

from geo.covers import LEVELS, covering_cells
from geo.nearby import extended_wkb
from geo.place import METRES_PER_DEGREE, PYRAMID_LEVEL, WGS84

MOST_CELLS: Final = 64
LEAST_SHARE: Final = 0.01
"""Two areas that share less than this of the smaller one only touch: borders are drawn twice, and never the same."""
SLACK_METRES: Final = 5.0
_LEVEL_SHIFT: Final = 2 * PYRAMID_LEVEL

RANGES_SQL: Final = (
    "unnest(%(firsts)s::bigint[], %(lasts)s::bigint[], %(above)s::boolean[], %(sure)s::boolean[])"
    " AS sought (first, last, is_above, is_sure)"
)
"""The ranges of an area, as rows; see `meeting_values`."""
CIRCLE_MEETS_SQL: Final = "ST_DWithin(%(flat)s::geometry, ST_MakePoint({lon} * %(shrink)s::float8, {lat}), {degrees})"
"""Whether a circle of so many degrees of latitude reaches into the area."""
SHAPE_MEETS_SQL: Final = "ST_Intersects({0}, %(area)s::geometry)"
"""Whether the shape in column `{0}` meets the area."""
MEETS_BOX_SQL: Final = f"{{0}} && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, {WGS84})"
"""Whether the box around column `{0}` meets a box."""
MEETS_AREA_SQL: Final = f"""
  (ST_Intersects({{0}}, %(area)s::geometry) AND ST_Area(ST_Intersection({{0}}, %(area)s::geometry))
   > {LEAST_SHARE} * least(ST_Area({{0}}), ST_Area(%(area)s::geometry)))
"""
"""Whether the area in column `{0}` shares more than a border with another one, as `meets` says it."""
AS_GEOJSON_SQL: Final = "ST_AsGeoJSON({0}, 6)::json"
MIDDLE_SQL: Final = "ST_X(ST_PointOnSurface({0})) AS lon, ST_Y(ST_PointOnSurface({0})) AS lat"
"""Longitude and latitude of a point inside column `{0}`."""


class CellsSought(NamedTuple):
    """Cells that may meet an area: a cell above one of its own, or a range of those below.

    `is_sure`: whatever has a cell there meets the area; above, only what holds all of the cell does for sure.
    """

    first: int
    last: int
    is_above: bool
    is_sure: bool


def cells_meeting(area: BaseGeometry) -> list[CellsSought]:
    """The cells of whatever may meet `area` (WGS84)."""
    found: dict[tuple[int, int], CellsSought] = {}
    for cover in covering_cells(area, MOST_CELLS):
        level, key = cover.cell >> _LEVEL_SHIFT, cover.cell & (1 << _LEVEL_SHIFT) - 1
        for higher in range(LEVELS[0], level):
            above = higher << _LEVEL_SHIFT | key >> 2 * (level - higher)
            found.setdefault((above, above), CellsSought(above, above, is_above=True, is_sure=False))
        found[cover.cell, cover.cell] = CellsSought(cover.cell, cover.cell, is_above=True, is_sure=cover.is_inside)
        for lower in range(level + 1, LEVELS[-1] + 1):
            shift = 2 * (lower - level)
            first = lower << _LEVEL_SHIFT | key << shift
            last = first + (1 << shift) - 1
            found[first, last] = CellsSought(first, last, is_above=False, is_sure=cover.is_inside)
    return list(found.values())


def meeting_values(area: BaseGeometry, numbers: Iterable[int]) -> dict[str, Any]:
    """The values of the statements here; `numbers` stand among the cells for what meets the area for sure."""
    sought = [*cells_meeting(area), *(CellsSought(one, one, is_above=False, is_sure=True) for one in numbers)]
    shrink = math.cos(math.radians(area.centroid.y))
    flat = shapely.transform(area, lambda degrees: degrees * (shrink, 1.0))
    return {
        "firsts": [cells.first for cells in sought],
        "lasts": [cells.last for cells in sought],
        "above": [cells.is_above for cells in sought],
        "sure": [cells.is_sure for cells in sought],
        "area": extended_wkb(area),
        "flat": shapely.to_wkb(flat, hex=True),
        "shrink": shrink,
    }


def meets(one: BaseGeometry, other: BaseGeometry) -> bool:
    """Whether two areas share more than a border."""
    if not one.intersects(other):
        return False
    shared = shapely.area(shapely.intersection(one, other))
    return bool(shared > LEAST_SHARE * min(shapely.area(one), shapely.area(other)))


def lies_in(area: BaseGeometry, others: Sequence[BaseGeometry]) -> bool:
    """Whether `area` lies wholly in the others together; by a few metres it may stick out, as borders do."""
    ground = shapely.buffer(shapely.union_all(list(others)), SLACK_METRES / METRES_PER_DEGREE)
    return bool(shapely.covers(ground, area))


def joined(areas: Sequence[BaseGeometry]) -> BaseGeometry:
    """All areas as one MultiPolygon, valid, whatever they were; empty where there is no ground in them."""
    whole = shapely.union_all([shapely.make_valid(area) for area in areas])
    parts = [part for part in shapely.get_parts(whole) if part.geom_type == "Polygon"]
    nested = [part for one in shapely.get_parts(whole) if one.geom_type == "MultiPolygon" for part in one.geoms]
    return shapely.MultiPolygon([*parts, *nested])


def simplified(area: BaseGeometry, most_corners: int) -> BaseGeometry:
    """The area with fewer corners, as near to it as may be."""
    metres = 1.0
    while shapely.get_num_coordinates(area) > most_corners:
        area = joined([shapely.simplify(area, metres / METRES_PER_DEGREE)])
        metres *= 2
    return area
