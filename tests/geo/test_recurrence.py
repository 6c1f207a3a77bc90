"""The same trouble again: held against the definition, pair by pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.cells import middles
from geo.place import Place, morton
from geo.recurrence import NEVER, Troubles, came_after, first_of_each, on_a_plane

reports = st.lists(
    st.tuples(
        st.integers(0, 90),
        st.integers(0, 90),
        st.integers(1, 2),
        st.integers(0, 40),
        st.one_of(st.just(None), st.integers(0, 20)),
    ),
    max_size=40,
)


def troubles(found: list[tuple[int, int, int, int, int | None]]) -> Troubles:
    return Troubles(
        np.array([x for x, *_ in found], dtype=float),
        np.array([y for _, y, *_ in found], dtype=float),
        np.array([kind for _, _, kind, _, _ in found], dtype=np.int64),
        np.array([created for *_, created, _ in found], dtype=np.int64),
        np.array([NEVER if lasted is None else created + lasted for *_, created, lasted in found], dtype=np.int64),
    )


@given(reports, st.sampled_from([5.0, 30.0, 33.3, 200.0]), st.sampled_from([1, 7, 30]))
def test_each_hangs_on_the_one_solved_last_before_it(
    found: list[tuple[int, int, int, int, int | None]], metres: float, seconds: int
) -> None:
    them = troubles(found)
    after = came_after(them, metres=metres, seconds=seconds)
    for i in range(len(found)):
        before = [
            int(them.solved[j])
            for j in range(len(found))
            if them.kind[j] == them.kind[i]
            and them.solved[j] != NEVER
            and 0 < them.created[i] - them.solved[j] <= seconds
            and math.hypot(them.x_metres[i] - them.x_metres[j], them.y_metres[i] - them.y_metres[j]) <= metres
        ]
        if not before:
            assert after[i] == -1
            continue
        j = int(after[i])
        assert them.solved[j] == max(before)
        assert them.kind[j] == them.kind[i]
        assert math.hypot(them.x_metres[i] - them.x_metres[j], them.y_metres[i] - them.y_metres[j]) <= metres


@given(reports)
def test_a_chain_has_one_first(found: list[tuple[int, int, int, int, int | None]]) -> None:
    after = came_after(troubles(found), metres=50, seconds=30)
    first = first_of_each(after)
    for i in range(len(found)):
        j = i
        while after[j] >= 0:
            j = int(after[j])
        assert first[i] == j


def test_a_lamp_that_goes_out_three_times_is_one_place() -> None:
    day = 86_400
    lamp = Troubles(
        np.array([0.0, 12.0, 0.0, 400.0]),
        np.array([0.0, 0.0, 20.0, 0.0]),
        np.ones(4, dtype=np.int64),
        np.array([0, 20, 60, 60]) * day,
        np.array([10, 40, 70, 70]) * day,
    )
    after = came_after(lamp, metres=30, seconds=90 * day)
    assert after.tolist() == [-1, 0, 1, -1]
    assert first_of_each(after).tolist() == [0, 0, 0, 3]
    assert came_after(lamp, metres=30, seconds=15 * day).tolist() == [-1, 0, -1, -1]


@given(st.floats(-179, 179), st.floats(-80, 80))
def test_the_middle_of_a_cell_is_near_every_place_in_it(lon: float, lat: float) -> None:
    place = Place(lon, lat)
    lons, lats = middles(np.array([morton(*place.cell())], dtype=np.int64))
    middle = Place(float(lons[0]), float(lats[0]))
    assert middle.cell() == place.cell()
    assert middle.distance_metres(place) < 1.7


def test_the_plane_is_true_in_metres() -> None:
    here, there = Place(12.9, 43.9), Place(12.9003, 43.9002)
    x, y = on_a_plane(np.array([here.lon, there.lon]), np.array([here.lat, there.lat]))
    assert math.hypot(x[1] - x[0], y[1] - y[0]) == pytest.approx(here.distance_metres(there), rel=1e-3)
