"""How long people wait: the plain quantile where nobody waits any more, and no flattery where some do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from city.records.insight.figures import SHORTEST_HOURS, STEPS, hours_of
from city.records.insight.waiting import Waits

lengths = st.lists(st.integers(0, 30), min_size=1, max_size=40)
shares = st.sampled_from([0.1, 0.25, 0.5, 0.9, 1.0])


@given(lengths, shares)
def test_where_nobody_waits_it_is_the_shortest_that_so_many_had(ended: list[int], share: float) -> None:
    waits = Waits()
    for length in ended:
        waits.add(length, 1, is_over=True)
    expected = min(one for one in ended if sum(other <= one for other in ended) >= share * len(ended) - 1e-9)
    assert waits.until(share) == expected


@given(lengths, lengths, shares)
def test_it_is_kaplan_and_meiers_product(ended: list[int], lasting: list[int], share: float) -> None:
    waits = Waits()
    for length in ended:
        waits.add(length, 1, is_over=True)
    for length in lasting:
        waits.add(length, 1, is_over=False)
    surviving, found = 1.0, None
    for moment in sorted(set(ended)):
        at_risk = sum(length >= moment for length in [*ended, *lasting])
        surviving *= 1 - ended.count(moment) / at_risk
        if found is None and surviving <= 1 - share + 1e-12:
            found = moment
    assert waits.until(share) == found
    assert len(waits) == len(ended) + len(lasting)


def test_reports_that_lie_make_the_median_longer_and_never_shorter() -> None:
    waits = Waits()
    for length in (1, 2, 3, 4, 5):
        waits.add(length, 1, is_over=True)
    assert waits.until(0.5) == 3
    waits.add(100, 4, is_over=False)
    assert waits.until(0.5) == 5
    waits.add(100, 4, is_over=False)
    assert waits.until(0.5) is None, "not even half have been answered"


@pytest.mark.parametrize("hours", [0.05, 0.5, 3, 24, 24 * 30, 24 * 365])
def test_a_step_is_right_to_about_one_per_cent(hours: float) -> None:
    step = math.floor(math.log1p(hours / SHORTEST_HOURS) * STEPS)
    assert hours_of(step) == pytest.approx(hours, rel=0.011, abs=0.003)
