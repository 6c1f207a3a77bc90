"""Hot spots: the definition to the letter, planted clusters found, and no more false alarms than promised."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geo.cells import Bounds
from geo.hotspots import FALSE_DISCOVERY_RATE, Grid, Whole, false_discovery_rates, gi_star
from geo.place import Place

SIDE = 40
PESARO = Bounds(12.75, 43.80, 13.0, 43.97)

squares = st.lists(
    st.tuples(st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 9), st.integers(0, 12)),
    min_size=3,
    max_size=40,
    unique_by=lambda square: square[:2],
)


def arrays(found: list[tuple[int, int, int, int]]) -> tuple[Whole, Whole, Whole, Whole]:
    columns, rows, counts, exposure = (np.array(values, dtype=np.int64) for values in zip(*found, strict=True))
    return columns, rows, counts, exposure


def textbook(columns: Whole, rows: Whole, counts: Whole, band: float) -> list[float]:
    """Ord and Getis (1995), equation 14, square by square."""
    n, mean = len(counts), counts.mean()
    s = math.sqrt((counts**2).mean() - mean**2)
    found = []
    for i in range(n):
        w = [float(math.hypot(columns[i] - columns[j], rows[i] - rows[j]) <= band) for j in range(n)]
        above = sum(w[j] * counts[j] for j in range(n)) - mean * sum(w)
        below = s * math.sqrt(max(0.0, (n * sum(x * x for x in w) - sum(w) ** 2) / (n - 1)))
        found.append(above / below if below > 1e-7 else 0.0)
    return found


@given(squares, st.sampled_from([1.0, 1.5, 2.0, 2.9, 4.0]))
def test_without_exposure_it_is_getis_and_ords_gi_star(found: list[tuple[int, int, int, int]], band: float) -> None:
    columns, rows, counts, _ = arrays(found)
    assert gi_star(columns, rows, counts, band_cells=band).z == pytest.approx(
        textbook(columns, rows, counts, band), abs=1e-6
    )


@given(squares, st.sampled_from([1.0, 2.0, 3.0]))
def test_with_exposure_it_is_its_definition(found: list[tuple[int, int, int, int]], band: float) -> None:
    columns, rows, counts, exposure = arrays(found)
    total, weight = counts.sum(), exposure.sum()
    spots = gi_star(columns, rows, counts, exposure, band_cells=band)
    if not total or not weight:
        assert not spots.z.any()
        return
    e = exposure * total / weight
    can = e > 0
    phi = float(((counts - e)[can] ** 2 / e[can]).sum() / (can.sum() - 1)) if can.sum() > 1 else 1.0
    for i in range(len(counts)):
        near = np.hypot(columns - columns[i], rows - rows[i]) <= band
        o, expected = counts[near].sum(), e[near].sum()
        below = math.sqrt(max(0.0, phi * (expected - expected**2 / total)))
        assert spots.observed[i] == o
        assert spots.expected[i] == pytest.approx(expected)
        assert spots.z[i] == pytest.approx((o - expected) / below if below > 1e-7 else 0.0, abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_benjamini_and_hochberg_step_up(p: list[float]) -> None:
    q = false_discovery_rates(np.array(p))
    for rate in (0.01, 0.05, 0.2, 0.5):
        ranked = sorted(p)
        largest = max((k for k in range(1, len(p) + 1) if ranked[k - 1] <= rate * k / len(p)), default=0)
        accepted = q <= rate + 1e-12
        assert abs(int(accepted.sum()) - largest) <= sum(
            math.isclose(v * len(p), rate * (k + 1)) for k, v in enumerate(ranked)
        )


def field(chance: np.random.Generator, mean: float | NDArray[np.float64]) -> tuple[Whole, Whole, Whole]:
    rows, columns = (index.ravel() for index in np.indices((SIDE, SIDE)))
    return columns, rows, chance.poisson(np.broadcast_to(mean, SIDE * SIDE)).astype(np.int64)


@pytest.mark.parametrize("mean", [0.02, 0.3, 3.0, 40.0])
def test_in_noise_false_alarms_are_as_rare_as_promised(mean: float) -> None:
    alarms = 0
    for seed in range(200):
        columns, rows, counts = field(np.random.default_rng(seed), mean)
        alarms += bool((gi_star(columns, rows, counts).q <= FALSE_DISCOVERY_RATE).any())
    # In pure noise every discovery is false, so the rate is the share of maps with any. 3 standard errors of 200 maps.
    assert alarms / 200 <= FALSE_DISCOVERY_RATE + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_in_noise_of_one_kind_among_many_false_alarms_are_as_rare_too() -> None:
    town = np.exp(-np.hypot(*(np.indices((SIDE, SIDE)).reshape(2, -1) - SIDE / 2)) / 6) * 60
    alarms = 0
    for seed in range(200):
        chance = np.random.default_rng(seed)
        columns, rows, everything = field(chance, town)
        kind = chance.binomial(everything, 0.15).astype(np.int64)
        alarms += bool((gi_star(columns, rows, kind, everything).q <= FALSE_DISCOVERY_RATE).any())
    assert alarms / 200 <= FALSE_DISCOVERY_RATE + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_planted_clusters_are_found_where_they_were_planted() -> None:
    found, alarms, discoveries = 0, 0, 0
    for seed in range(40):
        chance = np.random.default_rng(seed)
        columns, rows, counts = field(chance, 2.0)
        at = chance.integers(4, SIDE - 4, 2)
        near = np.hypot(columns - at[0], rows - at[1])
        counts[near <= 1.0] += chance.poisson(12, int((near <= 1.0).sum()))
        hot = (spots := gi_star(columns, rows, counts)).q <= FALSE_DISCOVERY_RATE
        found += bool(hot[(near == 0)].all() and (spots.z[near == 0] > 0).all())
        discoveries += int(hot.sum())
        # A square is truly hot where its neighbourhood holds some of the cluster.
        alarms += int(hot[near > 3.0].sum())
    assert found == 40
    assert alarms / discoveries <= FALSE_DISCOVERY_RATE


def test_a_busy_square_is_no_hot_spot_of_a_kind_that_is_as_frequent_there_as_elsewhere() -> None:
    chance = np.random.default_rng(5)
    busy = np.where(np.arange(SIDE * SIDE) == SIDE * 20 + 20, 4000.0, 20.0)
    columns, rows, everything = field(chance, busy)
    lamps = chance.binomial(everything, 0.2).astype(np.int64)
    middle = SIDE * 20 + 20
    assert gi_star(columns, rows, lamps).q[middle] <= FALSE_DISCOVERY_RATE, "by counts alone it stands out"
    assert gi_star(columns, rows, lamps, everything).q[middle] > FALSE_DISCOVERY_RATE
    lamps[middle] = everything[middle] * 3 // 5
    assert gi_star(columns, rows, lamps, everything).q[middle] <= FALSE_DISCOVERY_RATE


def test_a_handful_of_reports_far_from_all_others_is_no_certainty() -> None:
    columns, rows, counts = field(np.random.default_rng(1), 0.002)
    counts[:] = 0
    counts[[5, 700, 1500]] = 1
    assert gi_star(columns, rows, counts).q.min() > FALSE_DISCOVERY_RATE


@pytest.mark.parametrize("size", [0, 1, 2])
def test_next_to_nothing_is_no_hot_spot(size: int) -> None:
    whole = np.arange(size, dtype=np.int64)
    spots = gi_star(whole, whole, np.full(size, 7, dtype=np.int64))
    assert not spots.z.any()
    assert (spots.q == 1).all()


def test_what_makes_no_sense_is_refused() -> None:
    one = np.ones(3, dtype=np.int64)
    with pytest.raises(ValueError, match="not negative"):
        gi_star(np.arange(3), one, -one)
    with pytest.raises(ValueError, match="for every square"):
        gi_star(np.arange(3), one, one[:2])
    with pytest.raises(ValueError, match="too small"):
        gi_star(np.array([0, 5000, 2]), np.array([0, 5000, 2]), one)


@given(st.floats(12.75, 13.0), st.floats(43.80, 43.97), st.sampled_from([100.0, 250.0, 1000.0]))
def test_a_square_holds_its_places_and_is_true_in_metres(lon: float, lat: float, metres: float) -> None:
    grid = Grid.over(PESARO, metres)
    columns, rows = grid.cells(np.array([lon]), np.array([lat]))
    column, row = int(columns[0]), int(rows[0])
    west, south, east, north = grid.square(column, row).bounds
    assert west - 1e-9 <= lon <= east + 1e-9
    assert south - 1e-9 <= lat <= north + 1e-9
    assert Place(west, south).distance_metres(Place(east, south)) == pytest.approx(metres, rel=0.01)
    assert Place(west, south).distance_metres(Place(west, north)) == pytest.approx(metres, rel=0.01)
    assert grid.middle_of(column, row).lon == pytest.approx((west + east) / 2)
