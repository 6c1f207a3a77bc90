"""What is near a place lies in the ranges that are looked at; points along a line are never far apart."""

from __future__ import annotations

import math
from itertools import pairwise

import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.nearby import flat_metres, lines_within, middle_of, points_along, ranges_near, square_of
from geo.place import METRES_PER_DEGREE, Place, morton

PLACES = st.builds(Place, st.floats(6.5, 18.5), st.floats(35.5, 47.0))
METRES = st.floats(1, 400)


def moved(place: Place, metres: float, angle: float) -> Place:
    north, east = metres * math.sin(angle), metres * math.cos(angle)
    return Place(
        place.lon + east / METRES_PER_DEGREE / math.cos(math.radians(place.lat)), place.lat + north / METRES_PER_DEGREE
    )


@given(PLACES, METRES, st.floats(0, 1), st.floats(0, 2 * math.pi))
def test_whatever_is_within_the_circle_is_in_a_range(place: Place, metres: float, share: float, angle: float) -> None:
    ranges = ranges_near(place, metres)
    assert 1 <= len(ranges) <= 9
    assert all(before.last < after.first for before, after in pairwise(ranges))
    key = morton(*moved(place, metres * share * 0.999, angle).cell())
    assert any(cells.first <= key <= cells.last for cells in ranges)


@given(PLACES, METRES)
def test_the_ranges_cover_little_more_than_the_circle(place: Place, metres: float) -> None:
    cell_metres = 40_075_017 / (1 << 24) * math.cos(math.radians(place.lat))
    square_metres = sum(cells.last - cells.first + 1 for cells in ranges_near(place, metres)) * cell_metres**2
    assert square_metres <= (6.1 * metres + 6 * cell_metres) ** 2


@given(METRES)
def test_a_square_is_a_distance(metres: float) -> None:
    assert math.isclose(flat_metres(square_of(metres)), metres)


@given(st.lists(st.tuples(st.floats(8.60, 8.62), st.floats(44.90, 44.92)), min_size=2, max_size=6, unique=True))
def test_points_along_a_line_are_a_few_steps_apart(points: list[tuple[float, float]]) -> None:
    line = shapely.MultiLineString([points])
    along = points_along(line)
    for share in (0.0, 0.13, 0.5, 0.77, 1.0):
        spot = shapely.line_interpolate_point(line.geoms[0], share, normalized=True)
        assert min(Place(spot.x, spot.y).distance_metres(place) for place in along) < 8
    middle = middle_of(line)
    assert shapely.distance(line, shapely.Point(middle)) < 1e-6


def test_of_lines_only_what_is_inside_is_kept() -> None:
    area = shapely.box(0, 0, 1, 1)
    inside = lines_within(shapely.LineString([(-1, 0.5), (0.5, 0.5)]), area)
    assert inside is not None
    assert inside.geom_type == "MultiLineString"
    assert shapely.length(inside) == 0.5
    assert lines_within(shapely.LineString([(-1, 0.5), (-0.5, 0.5)]), area) is None
    assert lines_within(shapely.LineString([(-1, 0), (0, 0)]), area) is None, "it only touches a corner"
