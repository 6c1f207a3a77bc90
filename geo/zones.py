"""The zone index: point → zones in microseconds, in memory. PostGIS stays the truth, and the referee in tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from geo.place import METRES_PER_DEGREE, Place
from geo.squares import Grid, Squares

OVERLAP_DEGREES2: Final = 1e-10
"""About one square metre: less than this two zones only touch."""


LEAST_SQUARES, MOST_SQUARES = 4, 512
"""How fine the grid is over which many places are looked up: as fine as there are places to make it worth while."""
SLACK: Final = 1.02
"""A first look reaches this much farther than the exact one after it."""


class ZoneShape(NamedTuple):
    """What goes into the index: a key of the caller's, a WGS84 shape, and for road lines half their width in metres."""

    key: int
    shape: BaseGeometry
    half_width_metres: float | None = None


class Found(NamedTuple):
    """Which of many places lie in which shapes: positions of both, pair by pair, sorted by place, then by shape."""

    places: NDArray[np.intp]
    shapes: NDArray[np.intp]


class ZoneIndex:
    """Answers which shapes hold a place. Borders belong to both sides; corridors are roads widened to areas."""

    def __init__(self, zones: Iterable[ZoneShape]) -> None:
        taken = list(zones)
        self.keys: list[int] = [zone.key for zone in taken]
        self.areas: NDArray[np.object_] = np.array([_area(zone) for zone in taken], dtype=object)
        shapely.prepare(self.areas)
        self._west, self._south, self._east, self._north = shapely.bounds(self.areas).reshape(-1, 4).T.copy()
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

    def lookup(self, lons: NDArray[np.float64], lats: NDArray[np.float64]) -> Found:
        """Which places lie in which shapes: arrays of degrees, shape (n,). A million take about a tenth of a second.

        Shapes are positions in `keys` and `areas`. Places that are no numbers lie nowhere.
        """
        east, north = np.ascontiguousarray(lons, dtype=float), np.ascontiguousarray(lats, dtype=float)
        if not self.keys or not len(east):
            return Found(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp))
        # One number for place and shape, because numbers are sorted faster than pairs.
        found = np.sort(np.concatenate(list(self._pairs(east, north))))
        places, shapes = np.divmod(found, len(self.keys))
        return Found(places, shapes)

    def _pairs(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> Iterator[NDArray[np.intp]]:
        """Pairs of place and shape as place × number of shapes + shape, in no order."""
        side = int(min(MOST_SQUARES, max(LEAST_SQUARES, math.sqrt(len(east)) / 4)))
        bounds = self._west.min(), self._south.min(), self._east.max(), self._north.max()
        grid = Grid((float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3])), side)
        shares = [grid.share(area) for area in self.areas]
        within, squares = grid.squares(east, north)
        places, shapes = _spread(squares, [share.inside for share in shares], side)
        yield within[places] * len(self.keys) + shapes
        # Only places near a border are asked for one by one; all of one shape together, because it is prepared.
        places, shapes = _spread(squares, [share.crossed for share in shares], side)
        order = np.argsort(shapes, kind="stable")
        asked = within[places[order]]
        ends = np.searchsorted(shapes[order], np.arange(len(self.keys) + 1))
        for position, area in enumerate(self.areas):
            near = asked[ends[position] : ends[position + 1]]
            inside = near[shapely.intersects_xy(area, east[near], north[near])]
            yield inside * len(self.keys) + position

    def nearest(self, place: Place) -> tuple[int, float] | None:
        """The nearest shape and how many metres away its border is; None where the index is empty."""
        return self._nearest(place, dict.fromkeys(range(len(self.keys)), math.inf))

    def just_outside(self, place: Place, tolerances: Mapping[int, float]) -> int | None:
        """Of the shapes in `tolerances` (key → metres) the nearest of those no farther away than that; None: none."""
        within = {self._position[key]: metres for key, metres in tolerances.items() if key in self._position}
        near = self._nearest(place, within)
        return None if near is None else near[0]

    def just_outside_many(
        self, lons: NDArray[np.float64], lats: NDArray[np.float64], tolerances: Mapping[int, float]
    ) -> NDArray[np.intp]:
        """The same for many places: for each the position of the shape, or -1; shape (n,)."""
        within = {self._position[key]: metres for key, metres in tolerances.items() if key in self._position}
        found = np.full(len(lons), -1, dtype=np.intp)
        if not within or not len(lons):
            return found
        metres = max(within.values()) * SLACK
        stretched = math.cos(math.radians(float(np.abs(lats).max())))
        near = np.zeros(len(lons), dtype=bool)
        for position in within:
            dx, dy = metres / METRES_PER_DEGREE / stretched, metres / METRES_PER_DEGREE
            near |= (
                (lons >= self._west[position] - dx)
                & (lons <= self._east[position] + dx)
                & (lats >= self._south[position] - dy)
                & (lats <= self._north[position] + dy)
            )
        candidates = near.nonzero()[0]
        tree = STRtree(_flattened(self.areas[list(within)], stretched))
        points = shapely.points(lons[candidates] * stretched, lats[candidates])
        # The tree looks in a plane where a step east counts for too little at most: nobody near enough is missed.
        met = np.unique(tree.query(points, predicate="dwithin", distance=metres / METRES_PER_DEGREE)[0])
        for one in candidates[met].tolist():
            nearest = self._nearest(Place(float(lons[one]), float(lats[one])), within)
            found[one] = -1 if nearest is None else self._position[nearest[0]]
        return found

    def _nearest(self, place: Place, within: Mapping[int, float]) -> tuple[int, float] | None:
        """The nearest of the shapes at these positions, none farther away than its metres."""
        stretched = math.cos(math.radians(place.lat))
        best: tuple[int, float] | None = None
        for position, most in within.items():
            limit = most if best is None else min(most, best[1])
            area = self.areas[position]
            if _box_metres(area.bounds, place, stretched) > limit:
                continue
            # In bare degrees a step east would count for more than it is, and another border seem the nearest.
            line = shapely.shortest_line(shapely.Point(place.lon * stretched, place.lat), _flattened(area, stretched))
            x, y = line.coords[-1]
            metres = place.distance_metres(Place(x / stretched, y))
            if metres <= most and (best is None or metres < best[1]):
                best = self.keys[position], metres
        return best

    def area(self, key: int) -> BaseGeometry | None:
        """The area of a shape, a road widened; None for a key that is not in the index."""
        position = self._position.get(key)
        return None if position is None else self.areas[position]

    def overlap(self, one: int, other: int) -> bool:
        """Whether two shapes share more than a border."""
        shared = shapely.intersection(self.areas[self._position[one]], self.areas[self._position[other]])
        return bool(shapely.area(shared) > OVERLAP_DEGREES2)


def _spread(squares: Squares, owned: Sequence[Squares], side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of place and shape for places in `squares` and shapes that own squares."""
    owners = np.repeat(np.arange(len(owned)), [len(own) for own in owned])
    all_owned = np.concatenate(owned)
    order = np.argsort(all_owned, kind="stable")
    owners = owners[order]
    count = np.bincount(all_owned, minlength=side * side)
    first = np.cumsum(count) - count
    of_place = count[squares]
    places = np.repeat(np.arange(len(squares)), of_place)
    number = np.arange(len(places)) - np.repeat(np.cumsum(of_place) - of_place, of_place)
    return places, owners[np.repeat(first[squares], of_place) + number]


def _flattened(shapes: Any, stretched: float) -> Any:
    """Shapes on a plane where a degree east is as long as a degree north."""
    return shapely.transform(shapes, lambda degrees: degrees * (stretched, 1.0))


def _box_metres(bounds: Sequence[float], place: Place, stretched: float) -> float:
    """At most how near a box can be, in metres."""
    west, south, east, north = bounds
    dx = max(west - place.lon, 0.0, place.lon - east) * stretched
    dy = max(south - place.lat, 0.0, place.lat - north)
    return math.hypot(dx, dy) * METRES_PER_DEGREE * 0.98


def box_around(shape: BaseGeometry, metres: float) -> BaseGeometry:
    """The box around a shape (WGS84), wider by at least `metres` on all sides."""
    west, south, east, north = shape.bounds
    high = metres / METRES_PER_DEGREE * SLACK
    wide = high / max(0.01, math.cos(math.radians(max(abs(south), abs(north)))))
    return shapely.box(west - wide, south - high, east + wide, north + high)


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
