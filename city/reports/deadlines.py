"""When a report should be solved."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from city.registry.view import MunicipalityView


def deadline(received_at: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The last second of the day that is `days` calendar days after `received_at`, by the municipality's clock; UTC.

    A calendar day is counted on the wall clock, so a change to or from daylight-saving time moves nothing.
    """
    return _end_of(received_at.astimezone(zone).date() + timedelta(days=days), zone)


def resumed(due_at: datetime, paused_at: datetime, now: datetime, municipality: MunicipalityView) -> datetime:
    """The deadline after a pause, as much later by the municipality's clock as the pause was long; one missed before
    stays missed.
    """
    if due_at <= paused_at:
        return due_at
    return (municipality.local(due_at) + (now - paused_at)).astimezone(UTC)


@lru_cache(maxsize=4096)
def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(23, 59, 59), tzinfo=zone).astimezone(UTC)
