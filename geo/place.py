"""A place on the ground: longitude first, latitude second, degrees, WGS84. Never two bare floats in an unsaid order."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

WGS84: Final = 4326

EARTH_RADIUS_METRES: Final = 6_371_008.8
METRES_PER_DEGREE: Final = EARTH_RADIUS_METRES * math.pi / 180

PYRAMID_LEVEL: Final = 24
"""The finest level of the tile pyramid: a cell is 2.4 m wide at the equator, 1.7 m in Italy."""


class Place(NamedTuple):
    """A point in WGS84 degrees."""

    lon: float
    lat: float

    def distance_metres(self, other: Place) -> float:
        """Great-circle distance on the mean sphere (haversine); within 0.5 % of the ellipsoid."""
        lat1, lat2 = math.radians(self.lat), math.radians(other.lat)
        half = (
            math.sin((lat2 - lat1) / 2) ** 2
            + math.cos(lat1) * math.cos(lat2) * math.sin(math.radians(other.lon - self.lon) / 2) ** 2
        )
        return 2 * EARTH_RADIUS_METRES * math.asin(math.sqrt(half))

    def wkt(self) -> str:
        """Extended WKT, as PostGIS reads it."""
        return f"SRID={WGS84};POINT({self.lon!r} {self.lat!r})"

    def cell(self, level: int = PYRAMID_LEVEL) -> tuple[int, int]:
        """Column and row of the Web-Mercator cell at `level` that holds this place; row 0 is the northernmost."""
        side = 1 << level
        x = (self.lon + 180.0) / 360.0
        sine = math.sin(math.radians(max(-85.051128, min(85.051128, self.lat))))
        y = 0.5 - math.log((1 + sine) / (1 - sine)) / (4 * math.pi)
        return min(side - 1, max(0, int(x * side))), min(side - 1, max(0, int(y * side)))


def morton(x: int, y: int) -> int:
    """Interleave column and row (24 bits each) into one key: cells near on the ground are near in the index."""
    return _spread(x) | _spread(y) << 1


def unmorton(key: int) -> tuple[int, int]:
    """Column and row of a Morton key."""
    return _gather(key), _gather(key >> 1)


def _gather(value: int) -> int:
    value &= 0x5555555555555555
    value = (value | value >> 1) & 0x3333333333333333
    value = (value | value >> 2) & 0x0F0F0F0F0F0F0F0F
    value = (value | value >> 4) & 0x00FF00FF00FF00FF
    value = (value | value >> 8) & 0x0000FFFF0000FFFF
    return (value | value >> 16) & 0xFFFFFFFF


def _spread(value: int) -> int:
    value &= 0xFFFFFFFF
    value = (value | value << 16) & 0x0000FFFF0000FFFF
    value = (value | value << 8) & 0x00FF00FF00FF00FF
    value = (value | value << 4) & 0x0F0F0F0F0F0F0F0F
    value = (value | value << 2) & 0x3333333333333333
    return (value | value << 1) & 0x5555555555555555
