"""When a report should be solved."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def deadline(received_at: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The last second of the day that is `days` calendar days after `received_at`, by the municipality's clock; UTC.

    A calendar day is counted on the wall clock, so a change to or from daylight-saving time moves nothing.
    """
    last_day = received_at.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(last_day, time(23, 59, 59), tzinfo=zone).astimezone(UTC)
