"""Column types of places and shapes, so that no other room needs to know an SRID."""

from __future__ import annotations

from typing import Any

import shapely
from geoalchemy2 import Geometry
from geoalchemy2.shape import to_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Computed

from geo.place import WGS84


def point_type() -> Geometry:
    """One place, WGS84; found by its cell, so it needs no spatial index."""
    return Geometry("POINT", srid=WGS84, spatial_index=False)


def point_from(lon: str, lat: str) -> Computed:
    """The place made by the database from two columns of degrees."""
    return Computed(f"ST_SetSRID(ST_MakePoint({lon}, {lat}), {WGS84})", persisted=True)


def lines_type() -> Geometry:
    """The lines of a street, WGS84; found by points along them (`geo.nearby`), so they need no spatial index."""
    return Geometry("MULTILINESTRING", srid=WGS84, spatial_index=False)


def area_column() -> Geometry:
    """An area of one or more parts, WGS84."""
    return Geometry("MULTIPOLYGON", srid=WGS84)


def shape_column() -> Geometry:
    """An area or the lines of a road, WGS84."""
    return Geometry("GEOMETRY", srid=WGS84)


def plain_shape_column() -> Geometry:
    """An area, WGS84; found by its cells (`geo.covers`), so it needs no spatial index."""
    return Geometry("GEOMETRY", srid=WGS84, spatial_index=False)


def polygon_column() -> Geometry:
    """One area, WGS84; written in bulk and found by its key, so it needs no spatial index."""
    return Geometry("POLYGON", srid=WGS84, spatial_index=False)


def plain_area_column() -> Geometry:
    """An area of one or more parts, WGS84; there are few, so it needs no spatial index."""
    return Geometry("MULTIPOLYGON", srid=WGS84, spatial_index=False)


def read_shape(value: object) -> BaseGeometry | None:
    """The shape of a row's column, as it was read or is about to be written; None where it is empty."""
    if isinstance(value, str):
        return shapely.from_wkb(value)
    return None if value is None else to_shape(value)  # type: ignore[arg-type]  # what the driver gives


def areas(shape: BaseGeometry) -> shapely.MultiPolygon | None:
    """The shape as a column of areas holds it: flat, and always of many; None where it is no area."""
    if shape.is_empty or shape.geom_type not in {"Polygon", "MultiPolygon"}:
        return None
    return shapely.MultiPolygon(list(shapely.get_parts(shapely.force_2d(shape))))


def same(stored: Any, shape: BaseGeometry) -> bool:
    """Whether a column holds just that shape."""
    return bool(shapely.equals_exact(to_shape(stored), shape))
