"""Which ranges of Morton keys cover a piece of ground: how places are searched for with nothing but integers."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.place import METRES_PER_DEGREE, PYRAMID_LEVEL, Place, morton

MOST_RANGES: Final = 16


class Bounds(NamedTuple):
    """A box in WGS84 degrees: west, south, east, north."""

    west: float
    south: float
    east: float
    north: float

    def holds(self, place: Place) -> bool:
        """Whether `place` is inside or on the border."""
        return self.west <= place.lon <= self.east and self.south <= place.lat <= self.north


class CellRange(NamedTuple):
    """Keys of the finest level, both ends included."""

    first: int
    last: int


def around(place: Place, metres: float) -> Bounds:
    """The box that holds the circle of `metres` around `place`."""
    dy = metres / METRES_PER_DEGREE
    dx = dy / max(0.01, math.cos(math.radians(place.lat)))
    return Bounds(place.lon - dx, place.lat - dy, place.lon + dx, place.lat + dy)


def tile_range(zoom: int, x: int, y: int) -> CellRange:
    """The keys inside one map tile: exactly one range."""
    shift = 2 * (PYRAMID_LEVEL - zoom)
    first = morton(x, y) << shift
    return CellRange(first, first + (1 << shift) - 1)


def covering(bounds: Bounds) -> list[CellRange]:
    """At most 16 ranges that together cover `bounds` (and a little more): check the box again afterwards."""
    left, top = Place(bounds.west, bounds.north).cell()
    right, bottom = Place(bounds.east, bounds.south).cell()
    level = PYRAMID_LEVEL
    while level > 0:
        shift = PYRAMID_LEVEL - level
        if ((right >> shift) - (left >> shift) + 1) * ((bottom >> shift) - (top >> shift) + 1) <= MOST_RANGES:
            break
        level -= 1
    shift = PYRAMID_LEVEL - level
    keys = sorted(
        tile_range(level, x, y)
        for x in range(left >> shift, (right >> shift) + 1)
        for y in range(top >> shift, (bottom >> shift) + 1)
    )
    return _joined(keys)


def _joined(ranges: list[CellRange]) -> list[CellRange]:
    joined = ranges[:1]
    for here in ranges[1:]:
        if here.first == joined[-1].last + 1:
            joined[-1] = CellRange(joined[-1].first, here.last)
        else:
            joined.append(here)
    return joined


def middles(keys: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of the middles of cells of the finest level; keys and both arrays of shape (n,)."""
    side = 1 << PYRAMID_LEVEL
    lons = (_gathered(keys) + 0.5) / side * 360.0 - 180.0
    lats = np.degrees(np.arctan(np.sinh(math.pi * (1 - 2 * (_gathered(keys >> 1) + 0.5) / side))))
    return lons, lats


def _gathered(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every other bit of each key, pushed together: the reverse of what `morton` does to a column."""
    values = keys & 0x5555555555555555
    for shift, mask in (
        (1, 0x3333333333333333),
        (2, 0x0F0F0F0F0F0F0F0F),
        (4, 0x00FF00FF00FF00FF),
        (8, 0x0000FFFF0000FFFF),
        (16, 0x00000000FFFFFFFF),
    ):
        values = (values | values >> shift) & mask
    return values
