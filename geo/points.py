"""Numbers in columns as places: which system they are in, and moved to WGS84, any number of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geo.cells import Bounds
from geo.reading import SWAPPED, is_wgs84, to_wgs84
from geo.zones import ZoneIndex


def moved_points(points: NDArray[np.float64], crs: str | None) -> NDArray[np.float64]:
    """Points (n, 2) in `crs` as longitudes and latitudes (n, 2), rounded to a centimetre; NaN where none can be.

    Raises geo.reading.UnreadableLayer for a system that is not known.
    """
    if is_wgs84(crs):
        moved = points.copy()
    elif crs == SWAPPED:
        moved = points[:, ::-1].copy()
    else:
        shapes = to_wgs84(np.array([shapely.Point(point) for point in points], dtype=object), str(crs))
        moved = np.column_stack([_coordinate(shapely.get_x, shapes), _coordinate(shapely.get_y, shapes)])
    moved[(np.abs(moved) > (180, 90)).any(axis=1)] = np.nan
    return np.round(moved, 7)


def share_within(points: NDArray[np.float64], area: BaseGeometry) -> float:
    """Which share of the points (degrees) lies in `area`."""
    if len(points) == 0:
        return 0.0
    return float(shapely.contains_xy(area, points[:, 0], points[:, 1]).mean())


def which_within(points: NDArray[np.float64], area: BaseGeometry) -> Sequence[bool]:
    """For each of the points whether it lies in `area`; NaN does not."""
    shapely.prepare(area)
    return [bool(inside) for inside in shapely.contains_xy(area, points[:, 0], points[:, 1])]


def inner_point(shape: BaseGeometry | None) -> tuple[float, float]:
    """A point of the shape: itself, or one that surely lies on it; NaN where there is none."""
    if shape is None or shape.is_empty:
        return (np.nan, np.nan)
    middle = shape if shape.geom_type == "Point" else shapely.point_on_surface(shape)
    return float(shapely.get_x(middle)), float(shapely.get_y(middle))


def _coordinate(which: Callable[..., Any], shapes: Sequence[BaseGeometry | None]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = which(np.array(shapes, dtype=object))
    return found


def bounds_of(index: ZoneIndex, keys: Sequence[int] | None = None) -> Bounds | None:
    """The box around the areas of an index, or around those of some keys; None where there are none."""
    chosen = [area for key, area in zip(index.keys, index.areas, strict=True) if keys is None or key in keys]
    return Bounds(*(float(side) for side in shapely.total_bounds(chosen))) if chosen else None
