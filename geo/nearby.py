"""What is nearest to a place, by ranges of cells; and points along lines, so that lines are found the same way.

Distances are those on a plane that touches the Earth at the place: within a few hundred metres right to the centimetre.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.cells import CellRange, around
from geo.place import METRES_PER_DEGREE, WGS84, Place, morton

STEP_METRES: Final = 15.0
"""From one point to the next along a line: what is near the line is at most 2 m farther from one of its points."""

FLAT_SQL: Final = (
    "(({0}.lon - %(lon)s::float8) * %(shrink)s::float8) * (({0}.lon - %(lon)s::float8) * %(shrink)s::float8)"
    " + ({0}.lat - %(lat)s::float8) * ({0}.lat - %(lat)s::float8)"
)
"""The square of the distance in degrees of latitude, of a row `{0}` with `lon` and `lat`; see `flat_values`."""


def ranges_near(place: Place, metres: float) -> list[CellRange]:
    """At most nine ranges of cells that cover the circle, in order: for the busiest path, a tenth of the work of
    `geo.cells.covering`, and a little more ground.
    """
    box = around(place, metres)
    left, top = Place(box.west, box.north).cell()
    right, bottom = Place(box.east, box.south).cell()
    # Cells at least half as wide as the box: it touches three of them at most each way.
    shift = max(0, max(right - left, bottom - top).bit_length() - 1)
    columns = [morton(x, 0) for x in range(left >> shift, (right >> shift) + 1)]
    rows = [morton(0, y) for y in range(top >> shift, (bottom >> shift) + 1)]
    ranges: list[CellRange] = []
    for key in sorted(column | row for column in columns for row in rows):
        first, last = key << 2 * shift, ((key + 1) << 2 * shift) - 1
        if ranges and ranges[-1].last + 1 == first:
            ranges[-1] = CellRange(ranges[-1].first, last)
        else:
            ranges.append(CellRange(first, last))
    return ranges


def square_of(metres: float) -> float:
    """The square that FLAT_SQL gives at this distance."""
    return (metres / METRES_PER_DEGREE) ** 2


def flat_values(place: Place) -> dict[str, Any]:
    """The values of FLAT_SQL."""
    return {"lon": place.lon, "lat": place.lat, "shrink": math.cos(math.radians(place.lat))}


def flat_metres(square: float) -> float:
    """The distance whose square FLAT_SQL gave."""
    return math.sqrt(square) * METRES_PER_DEGREE


def points_along(line: BaseGeometry, step_metres: float = STEP_METRES) -> list[Place]:
    """Points along lines (WGS84), ends included, at most `step_metres` apart."""
    if line.is_empty:
        return []
    shrink = math.cos(math.radians(float(shapely.get_coordinates(line)[:, 1].mean())))
    flat = shapely.transform(line, lambda points: points * (shrink, 1.0))
    dense = shapely.segmentize(flat, step_metres / METRES_PER_DEGREE)
    points = shapely.get_coordinates(dense) / (shrink, 1.0)
    return [Place(float(lon), float(lat)) for lon, lat in np.unique(np.round(points, 7), axis=0)]


def middle_of(line: BaseGeometry) -> Place:
    """A point in the middle of the longest of the lines."""
    parts = shapely.get_parts(line)
    longest = parts[int(np.argmax(shapely.length(parts)))]
    point = shapely.line_interpolate_point(longest, 0.5, normalized=True)
    return Place(round(float(point.x), 7), round(float(point.y), 7))


def lines_within(shape: BaseGeometry, area: BaseGeometry | None) -> BaseGeometry | None:
    """The lines of `shape` inside `area`, as a MultiLineString; None where there are none."""
    inside = shape if area is None else shapely.intersection(shape, area)
    nested = [line for part in shapely.get_parts(inside) for line in shapely.get_parts(part)]
    lines = [line for line in nested if line.geom_type == "LineString" and not line.is_empty]
    return shapely.MultiLineString(lines) if lines else None


def joined_lines(shapes: list[BaseGeometry]) -> BaseGeometry:
    """All lines of several shapes as one MultiLineString."""
    return shapely.MultiLineString([part for shape in shapes for part in shapely.get_parts(shape)])


def extended_wkb(shape: BaseGeometry) -> str:
    """The shape as PostGIS reads it, its system included."""
    return shapely.to_wkb(shapely.set_srid(shape, WGS84), hex=True, include_srid=True)
