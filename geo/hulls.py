"""A boundary made of places: for trying the program on reports of somewhere with no boundary at hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.place import Place
from geo.zones import corridor


def hull_around(places: Sequence[Place], margin_metres: float) -> BaseGeometry:
    """The ground around `places`, WGS84: each cluster's convex hull, widened by `margin_metres`.

    Places less than two margins apart are of one cluster, so that reports of far-away towns do not claim the land
    between them. Raises ValueError for no places.
    """
    if not places:
        raise ValueError("there are no places")
    points = np.array([shapely.Point(place) for place in sorted(set(places))], dtype=object)
    circles = np.array([corridor(point, margin_metres) for point in points], dtype=object)
    clusters = shapely.get_parts(shapely.union_all(circles))
    owners, members = shapely.STRtree(points).query(clusters, predicate="intersects")
    hulls = [
        corridor(shapely.convex_hull(shapely.MultiPoint(list(points[members[owners == number]]))), margin_metres)
        for number in range(len(clusters))
    ]
    return shapely.union_all(np.array(hulls, dtype=object))


def without(shape: BaseGeometry, others: Sequence[BaseGeometry]) -> BaseGeometry:
    """`shape` less what others hold; areas only."""
    left = shapely.difference(shape, shapely.union_all(np.array(others, dtype=object))) if others else shape
    return shapely.MultiPolygon([part for part in shapely.get_parts(left) if part.geom_type == "Polygon"])
