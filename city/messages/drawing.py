"""What people draw on a map comes as GeoJSON, and is looked at here before anything is made of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from shapely import from_geojson, get_num_coordinates
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from city.errors import InvalidInput

AREAS: Final = ("Polygon", "MultiPolygon")
LINES: Final = ("LineString", "MultiLineString")
_FARTHEST_NORTH: Final = 85
"""Degrees: a map in Web Mercator goes no farther."""


def drawn(geojson: str, kinds: Collection[str], *, field: str, most_corners: int) -> BaseGeometry:
    """The shape (WGS84), at most one degree wide and high. Raises InvalidInput naming `field`."""
    try:
        shape = from_geojson(geojson)
    except ShapelyError:
        raise InvalidInput("drawing.none", field=field, kinds=", ".join(kinds)) from None
    if shape.geom_type not in kinds or shape.is_empty:
        raise InvalidInput("drawing.none", field=field, kinds=", ".join(kinds))
    west, south, east, north = shape.bounds
    if not (west >= -180 and east <= 180 and south >= -_FARTHEST_NORTH and north <= _FARTHEST_NORTH):  # noqa: PLR2004
        raise InvalidInput("drawing.none", field=field, kinds=", ".join(kinds))
    if get_num_coordinates(shape) > most_corners or max(east - west, north - south) > 1:
        raise InvalidInput("drawing.too_large", field=field, most=most_corners)
    return shape
