"""Deadlines end with a day of the municipality's wall clock, whatever daylight-saving time does meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from city.reports.deadlines import deadline

ROME = ZoneInfo("Europe/Rome")
ZONES = [ROME, ZoneInfo("UTC"), ZoneInfo("Pacific/Apia"), ZoneInfo("America/Santiago"), ZoneInfo("Asia/Kathmandu")]


@pytest.mark.parametrize(
    ("received", "days", "ends"),
    [
        ("2026-11-22T09:00:00+01:00", 1, "2026-11-23T23:59:59+01:00"),
        ("2026-11-22T23:59:59+01:00", 1, "2026-11-23T23:59:59+01:00"),
        ("2026-11-22T23:30:00+00:00", 1, "2026-11-24T23:59:59+01:00"),  # past midnight in Rome already
        ("2026-03-28T12:00:00+01:00", 1, "2026-03-29T23:59:59+02:00"),  # the short day
        ("2026-10-24T12:00:00+02:00", 1, "2026-10-25T23:59:59+01:00"),  # the long day
        ("2026-10-25T02:30:00+02:00", 3, "2026-10-28T23:59:59+01:00"),
        ("2028-02-28T12:00:00+01:00", 1, "2028-02-29T23:59:59+01:00"),
        ("2026-12-31T12:00:00+01:00", 3650, "2036-12-28T23:59:59+01:00"),
    ],
)
def test_the_last_second_of_the_day(received: str, days: int, ends: str) -> None:
    found = deadline(datetime.fromisoformat(received), days, ROME)
    assert found == datetime.fromisoformat(ends)
    assert found.tzinfo is UTC


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.sampled_from(ZONES)),  # noqa: DTZ001
    st.integers(1, 400),
    st.sampled_from(ZONES),
)
def test_any_deadline(received: datetime, days: int, zone: ZoneInfo) -> None:
    found = deadline(received, days, zone)
    local = found.astimezone(zone)
    assert (local.hour, local.minute, local.second) == (23, 59, 59)
    assert local.date() == received.astimezone(zone).date() + timedelta(days=days)
    assert found > received.astimezone(UTC)
    assert deadline(received, days + 1, zone) > found
