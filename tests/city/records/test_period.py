"""Periods: whole days of the municipality's calendar, and the ones just before."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from city.errors import InvalidInput
from city.records.insight.insight import Period
from city.records.monthly.sheets import counted_classes, even_classes

ROME = ZoneInfo("Europe/Rome")
NOW = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)
"""Already the first of April in Rome."""


def read(start: str | None, end: str | None) -> Period:
    return Period.read(start, end, ROME, NOW)


def test_without_a_wish_it_is_the_last_twelve_months() -> None:
    period = read(None, None)
    assert (period.first, period.last) == (date(2025, 5, 1), date(2026, 4, 30))
    assert period.months()[0] == date(2025, 5, 1)
    assert len(period.months()) == 12


def test_months_begin_at_the_municipalitys_midnight() -> None:
    period = read("2026-03", "2026-04")
    assert period.start_at == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert period.end_at == datetime(2026, 4, 30, 22, tzinfo=UTC), "summer time has come"


def test_days_and_months_can_be_mixed_and_both_ends_count() -> None:
    assert (read("2026-01-15", "2026-02").first, read("2026-01-15", "2026-02").last) == (
        date(2026, 1, 15),
        date(2026, 2, 28),
    )
    assert read("2026-01-15", "2026-01-15").months() == [date(2026, 1, 1)]


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2026-03", "2026-03", date(2026, 2, 1), date(2026, 2, 28)),
        ("2026-01", "2026-06", date(2025, 7, 1), date(2025, 12, 31)),
        ("2026-03-10", "2026-03-16", date(2026, 3, 3), date(2026, 3, 9)),
    ],
)
def test_the_period_before_is_as_long(start: str, end: str, first: date, last: date) -> None:
    before = read(start, end).before()
    assert (before.first, before.last) == (first, last)


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("2026-13", None, "from"),
        ("gennaio", None, "from"),
        ("2026-02-30", None, "from"),
        (None, "2026-00", "to"),
        ("2026-05", "2026-03", "to"),
        ("1999-01", "2026-01", "from"),
        (None, "9999-12", "to"),
        ("0001-01", "0001-02", "to"),
        ("2026-W01-1", None, "from"),
        ("2026-1", None, "from"),
    ],
)
def test_what_is_no_period_is_refused_by_name(start: str | None, end: str | None, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(start, end)
    assert refused.value.field == field


@given(st.lists(st.integers(5, 100_000), min_size=1))
def test_classes_of_counts_hold_every_count_once(values: list[int]) -> None:
    found = counted_classes(values)
    assert len(found) <= 5
    assert (found[0][0], found[-1][1]) == (min(values), max(values))
    for value in values:
        assert sum(least <= value <= most for least, most in found) == 1


@given(st.lists(st.floats(0, 50_000), min_size=1))
def test_classes_of_figures_are_equally_wide_and_hold_every_figure_once(values: list[float]) -> None:
    found = even_classes(values)
    assert len(found) <= 5
    assert len({most - least for least, most in found}) == 1
    for value in values:
        assert sum(least <= round(value) <= most for least, most in found) == 1
