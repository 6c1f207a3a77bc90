"""The zone index: point → zones in microseconds, in memory. PostGIS stays the truth, and the referee in tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from geo.place import METRES_PER_DEGREE, Place

OVERLAP_DEGREES2: Final = 1e-10
"""About one square metre: less than this two zones only touch."""


class ZoneShape(NamedTuple):
    """What goes into the index: a key of the caller's, a WGS84 shape, and for road lines half their width in metres."""

    key: int
    shape: BaseGeometry
    half_width_metres: float | None = None


class ZoneIndex:
    """Answers which shapes hold a place. Borders belong to both sides; corridors are roads widened to areas."""

    def __init__(self, zones: Iterable[ZoneShape]) -> None:
        taken = list(zones)
        self.keys: list[int] = [zone.key for zone in taken]
        self.areas: NDArray[np.object_] = np.array([_area(zone) for zone in taken], dtype=object)
        shapely.prepare(self.areas)
        self._west, self._south, self._east, self._north = shapely.bounds(self.areas).reshape(-1, 4).T.copy()
        self._tree = STRtree(self.areas)
        self._position = {key: position for position, key in enumerate(self.keys)}

    def __len__(self) -> int:
        return len(self.keys)

    def holding(self, place: Place) -> list[int]:
        """The keys of all shapes that hold `place`, in the order they were given."""
        if not self.keys:
            return []
        lon, lat = place
        # For one point and some hundred boxes this is quicker than to make a geometry and to ask the tree.
        boxed = (self._west <= lon) & (lon <= self._east) & (self._south <= lat) & (lat <= self._north)
        near = boxed.nonzero()[0]
        if not near.size:
            return []
        inside = shapely.intersects_xy(self.areas[near], lon, lat)
        return [self.keys[position] for position in near[inside].tolist()]

    def holding_many(self, lons: NDArray[np.float64], lats: NDArray[np.float64]) -> list[list[int]]:
        """The same for many places at once: arrays of degrees, shape (n,)."""
        found: list[list[int]] = [[] for _ in range(len(lons))]
        for place, position in zip(*(pairs.tolist() for pairs in self.pairs(lons, lats)), strict=True):
            found[place].append(self.keys[position])
        return found

    def pairs(self, lons: NDArray[np.float64], lats: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Which places (shape (n,)) lie in which shapes: two arrays, positions of places and positions of shapes.

        Ordered by place, then shape. Places must be finite.
        """
        if not self.keys:
            return np.empty(0, np.intp), np.empty(0, np.intp)
        places, positions = self._tree.query(shapely.points(lons, lats))
        # The shapes are prepared, which the tree's own predicates would not make use of.
        inside = shapely.intersects_xy(self.areas[positions], lons[places], lats[places])
        places, positions = places[inside], positions[inside]
        order = np.lexsort((positions, places))
        return places[order], positions[order]

    def nearest(self, place: Place) -> tuple[int, float] | None:
        """The nearest shape and how many metres away its border is; None where the index is empty."""
        if not self.keys:
            return None
        stretched = math.cos(math.radians(place.lat))
        best: tuple[int, float] | None = None
        for key, area in zip(self.keys, self.areas, strict=True):
            if best is not None and _box_metres(area.bounds, place, stretched) > best[1]:
                continue
            # In bare degrees a step east would count for more than it is, and another border seem the nearest.
            plane = shapely.transform(area, lambda degrees: degrees * (stretched, 1.0))
            line = shapely.shortest_line(shapely.Point(place.lon * stretched, place.lat), plane)
            x, y = line.coords[-1]
            metres = place.distance_metres(Place(x / stretched, y))
            if best is None or metres < best[1]:
                best = key, metres
        return best

    def overlap(self, one: int, other: int) -> bool:
        """Whether two shapes share more than a border."""
        shared = shapely.intersection(self.areas[self._position[one]], self.areas[self._position[other]])
        return bool(shapely.area(shared) > OVERLAP_DEGREES2)


def _box_metres(bounds: Sequence[float], place: Place, stretched: float) -> float:
    """At most how near a box can be, in metres."""
    west, south, east, north = bounds
    dx = max(west - place.lon, 0.0, place.lon - east) * stretched
    dy = max(south - place.lat, 0.0, place.lat - north)
    return math.hypot(dx, dy) * METRES_PER_DEGREE * 0.98


def area_of(zone: ZoneShape) -> ZoneShape:
    """The same zone as an area: once widened, a road can be put into many indexes."""
    return ZoneShape(zone.key, _area(zone))


def _area(zone: ZoneShape) -> BaseGeometry:
    if zone.half_width_metres is None:
        return zone.shape
    return corridor(zone.shape, zone.half_width_metres)


def corridor(line: BaseGeometry, half_width_metres: float) -> BaseGeometry:
    """A road line widened by `half_width_metres` on both sides, WGS84.

    The line is laid out on a plane true to scale at its middle latitude; over a province the width errs by < 1 %.
    """
    _, south, _, north = line.bounds
    stretched = math.cos(math.radians((south + north) / 2))
    plane = shapely.transform(line, lambda degrees: degrees * (stretched, 1.0))
    widened = shapely.buffer(plane, half_width_metres / METRES_PER_DEGREE, quad_segs=16)
    return shapely.transform(widened, lambda degrees: degrees / (stretched, 1.0))
