"""By when a report should be solved, counted in the unit of its category.

`calendar_days` and `working_days` count from the day after and end with a day of the municipality's clock;
`working_hours` count office hours to the minute. A pause stops the clock: what was left then is left afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from city.registry.working_time import CALENDAR_DAYS, WORKING_HOURS, Span, Unit, WorkingTime
from city.reports.lifecycle import State

HOUR_SECONDS: Final = 3600
SHORTEST_SECONDS: Final = 60
DATED: Final = frozenset({State.ASSIGNED, State.PLANNED})
"""The states of which what comes next is told with a date."""


def late(now: str = "now()") -> str:
    """SQL: whether a row of `report` is late; `now` is an expression."""
    return f"(report.is_open AND report.deadline_at < coalesce(report.paused_at, {now}))"


LATE: Final = late()


def deadline(received_at: datetime, span: Span, working_time: WorkingTime) -> datetime:
    """The last second of a day, so many calendar or working days after `received_at`; or the minute at which so many
    office hours have passed since. By the municipality's clock; in UTC.

    Days are counted on the wall clock, so a change to or from daylight-saving time moves nothing.
    """
    if span.unit == WORKING_HOURS:
        return working_time.later(_to_the_minute(received_at), span.amount * HOUR_SECONDS)
    day = working_time.local_day(received_at)
    return end_of(_days_later(day, span.amount, span.unit, working_time), working_time.zone)


def resumed(due_at: datetime, paused_at: datetime, now: datetime, unit: Unit, working_time: WorkingTime) -> datetime:
    """The deadline after a pause: as many days, or office hours, as were left when it began are left from `now`.

    One missed before stays missed.
    """
    if due_at <= paused_at:
        return due_at
    if unit == WORKING_HOURS:
        left = working_time.between(_to_the_minute(paused_at), due_at)
        return max(due_at, working_time.later(_to_the_minute(now), max(left, SHORTEST_SECONDS)))
    due = due_at.astimezone(working_time.zone)
    began = working_time.local_day(paused_at)
    days = (due.date() - began).days if unit == CALENDAR_DAYS else working_time.working_days(began, due.date())
    day = _days_later(working_time.local_day(now), days, unit, working_time)
    return max(due_at, datetime.combine(day, due.timetz()).astimezone(UTC))


def with_left(due_at: datetime, span: Span, share: float, working_time: WorkingTime) -> datetime:
    """The moment from which `share` (0 to 1) of the span is left until `due_at`; days count as 24 hours here. UTC."""
    amount = share * span.amount
    if not amount:
        return due_at
    if span.unit == WORKING_HOURS:
        return working_time.earlier(due_at, amount * HOUR_SECONDS)
    days, rest = int(amount), amount % 1
    due = due_at.astimezone(working_time.zone)
    if span.unit == CALENDAR_DAYS:
        day = due.date() - timedelta(days=days)
    else:
        day = working_time.working_day_before(due.date(), days)
    return datetime.combine(day, due.timetz()).astimezone(UTC) - timedelta(days=rest)


def next_step(state: State, told_at: datetime, now: datetime) -> str:
    """The key of the sentence that says what comes next, where `told_at` is the date that was told."""
    return "next.overdue" if state in DATED and told_at < now else f"next.{state.value}"


def counted_anew(
    received_at: datetime, span: Span, pauses: Iterable[tuple[datetime, datetime]], working_time: WorkingTime
) -> datetime:
    """The deadline of a report that has had these pauses (begin, end; in order) before."""
    due = deadline(received_at, span, working_time)
    for began, ended in pauses:
        due = resumed(due, began, ended, span.unit, working_time)
    return due


def _days_later(day: date, number: int, unit: Unit, working_time: WorkingTime) -> date:
    return day + timedelta(days=number) if unit == CALENDAR_DAYS else working_time.working_day(day, number)


def _to_the_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


@lru_cache(maxsize=4096)
def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The last second of a day of the wall clock; UTC."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=zone).astimezone(UTC)
