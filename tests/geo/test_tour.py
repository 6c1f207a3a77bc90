"""The order to visit places in: every place once, never longer than by nearest alone, near the best there is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from geo.place import Place
from geo.tour import tour

places = st.builds(Place, st.floats(12.5, 13.2), st.floats(43.6, 44.0))


def by_nearest(start: Place, stops: list[Place]) -> list[Place]:
    way, left = [start], list(stops)
    while left:
        nearest = min(left, key=way[-1].distance_metres)
        left.remove(nearest)
        way.append(nearest)
    return way[1:]


def length_metres(start: Place, places: Sequence[Place]) -> float:
    stops = [start, *places]
    return sum(here.distance_metres(there) for here, there in pairwise(stops))


@settings(deadline=None, max_examples=200)
@given(places, st.lists(places, max_size=25))
def test_every_place_is_visited_once_and_no_way_is_longer_than_by_nearest(start: Place, stops: list[Place]) -> None:
    order = tour(start, stops)
    assert sorted(order) == list(range(len(stops)))
    way = [stops[position] for position in order]
    assert length_metres(start, way) <= length_metres(start, by_nearest(start, stops)) * 1.001 + 1
    assert tour(start, stops) == order


@settings(deadline=None, max_examples=60)
@given(places, st.lists(places, min_size=2, max_size=6))
def test_the_way_is_near_the_best_there_is(start: Place, stops: list[Place]) -> None:
    best = min(length_metres(start, list(way)) for way in permutations(stops))
    way = [stops[position] for position in tour(start, stops)]
    assert length_metres(start, way) <= best * 1.6 + 1


def test_a_row_of_houses_is_visited_one_after_the_other() -> None:
    row = [Place(12.9 + step / 1000, 43.9) for step in (4, 1, 3, 0, 2)]
    assert tour(Place(12.899, 43.9), row) == [3, 1, 4, 2, 0]


def test_many_places_at_one_spot_keep_their_order() -> None:
    spot = Place(12.9, 43.9)
    assert tour(spot, [spot] * 50) == list(range(50))
    assert tour(spot, []) == []
