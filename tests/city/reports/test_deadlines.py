"""Deadlines: days end with a day of the wall clock, office hours count to the minute, a pause takes nothing away.

The reference walks from minute to minute and asks of each whether somebody works.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from city.registry.working_time import (
    CALENDAR_DAYS,
    STANDARD_WEEK,
    UNITS,
    WORKING_DAYS,
    WORKING_HOURS,
    Opening,
    Patron,
    Span,
    Unit,
    WorkingTime,
    week_of,
)
from city.reports.deadlines import counted_anew, deadline, resumed, with_left

ROME = ZoneInfo("Europe/Rome")
ZONES = [ROME, ZoneInfo("UTC"), ZoneInfo("Pacific/Apia"), ZoneInfo("America/Santiago"), ZoneInfo("Asia/Kathmandu")]
PESARO = WorkingTime(ROME, patron=Patron.of("09-24", "San Terenzio"), closing={date(2026, 12, 24): "Chiusura"})
MINUTE = timedelta(minutes=1)
BOUNDED = settings(max_examples=120, deadline=None, database=None)


def at(written: str) -> datetime:
    return datetime.fromisoformat(written)


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
    found = deadline(at(received), Span(days, CALENDAR_DAYS), PESARO)
    assert found == at(ends)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("received", "days", "ends"),
    [
        ("2026-11-27T10:00:00+01:00", 1, "2026-11-30T23:59:59+01:00"),  # a Friday
        ("2026-11-28T10:00:00+01:00", 1, "2026-11-30T23:59:59+01:00"),  # a Saturday
        ("2026-09-23T10:00:00+02:00", 1, "2026-09-25T23:59:59+02:00"),  # the patron saint is the day after
        ("2026-09-24T10:00:00+02:00", 1, "2026-09-25T23:59:59+02:00"),
        ("2026-04-02T10:00:00+02:00", 2, "2026-04-07T23:59:59+02:00"),  # Easter Monday
        ("2026-06-01T10:00:00+02:00", 1, "2026-06-03T23:59:59+02:00"),
        ("2026-12-23T10:00:00+01:00", 1, "2026-12-28T23:59:59+01:00"),  # closed, Christmas, Saint Stephen, Sunday
        ("2026-12-30T10:00:00+01:00", 3, "2027-01-05T23:59:59+01:00"),
        ("2026-03-27T10:00:00+01:00", 1, "2026-03-30T23:59:59+02:00"),  # over the night the clock is put forward
        ("2026-10-23T10:00:00+02:00", 1, "2026-10-26T23:59:59+01:00"),  # and back
    ],
)
def test_working_days_leave_out_holidays_and_the_patron_saint(received: str, days: int, ends: str) -> None:
    assert deadline(at(received), Span(days, WORKING_DAYS), PESARO) == at(ends)


@pytest.mark.parametrize(
    ("received", "hours", "ends"),
    [
        ("2026-11-25T10:00:00+01:00", 4, "2026-11-25T14:00:00+01:00"),  # a Wednesday, mornings only
        ("2026-11-25T10:01:30+01:00", 4, "2026-11-26T08:01:00+01:00"),
        ("2026-11-26T13:00:00+01:00", 2, "2026-11-26T16:00:00+01:00"),  # a Thursday with an afternoon
        ("2026-11-28T10:00:00+01:00", 1, "2026-11-30T09:00:00+01:00"),
        ("2026-09-23T13:00:00+02:00", 2, "2026-09-25T09:00:00+02:00"),
        ("2026-12-31T17:00:00+01:00", 2, "2027-01-04T09:00:00+01:00"),
    ],
)
def test_working_hours_count_to_the_minute(received: str, hours: int, ends: str) -> None:
    assert deadline(at(received), Span(hours, WORKING_HOURS), PESARO) == at(ends)


NIGHT = WorkingTime(ROME, week=tuple(Opening(day, 60, 240) for day in range(1, 8)))
"""From one to four at night, every day: two hours when the clock is put forward, four when it is put back."""
BRINK = WorkingTime(ROME, week=(Opening(7, 135, 165),))
"""Sundays from 2:15 to 2:45: not at all when the clock is put forward, twice when it is put back."""


@pytest.mark.parametrize(
    ("working_time", "start", "hours", "ends"),
    [
        (NIGHT, "2026-03-29T00:00:00+01:00", 2, "2026-03-29T04:00:00+02:00"),
        (NIGHT, "2026-03-29T00:00:00+01:00", 3, "2026-03-30T02:00:00+02:00"),
        (NIGHT, "2026-10-25T00:00:00+02:00", 4, "2026-10-25T04:00:00+01:00"),
        (NIGHT, "2026-10-25T00:00:00+02:00", 2, "2026-10-25T02:00:00+01:00"),
        (BRINK, "2026-03-29T00:00:00+01:00", 1, "2026-04-19T02:45:00+02:00"),  # nor on Easter Sunday
        (BRINK, "2026-10-25T00:00:00+02:00", 1, "2026-10-25T02:45:00+01:00"),
    ],
)
def test_office_hours_on_the_nights_of_the_changing_clock(
    working_time: WorkingTime, start: str, hours: int, ends: str
) -> None:
    assert deadline(at(start), Span(hours, WORKING_HOURS), working_time) == at(ends)


@pytest.mark.parametrize(
    ("unit", "due", "paused", "now", "ends"),
    [
        (CALENDAR_DAYS, "2026-11-27T23:59:59+01:00", "2026-11-25T10:00+01:00", "2026-12-01T09:00+01:00", "2026-12-03"),
        (CALENDAR_DAYS, "2026-11-27T23:59:59+01:00", "2026-11-27T10:00+01:00", "2026-12-01T09:00+01:00", "2026-12-01"),
        (CALENDAR_DAYS, "2026-03-30T23:59:59+02:00", "2026-03-27T10:00+01:00", "2026-03-29T09:00+02:00", "2026-04-01"),
        (CALENDAR_DAYS, "2026-10-26T23:59:59+01:00", "2026-10-23T10:00+02:00", "2026-10-27T09:00+01:00", "2026-10-30"),
        (WORKING_DAYS, "2026-11-27T23:59:59+01:00", "2026-11-25T10:00+01:00", "2026-12-05T09:00+01:00", "2026-12-09"),
        (WORKING_DAYS, "2026-11-27T23:59:59+01:00", "2026-11-27T10:00+01:00", "2026-12-05T09:00+01:00", "2026-12-07"),
        (WORKING_DAYS, "2026-09-25T23:59:59+02:00", "2026-09-23T10:00+02:00", "2026-09-25T09:00+02:00", "2026-09-28"),
    ],
)
def test_what_was_left_before_a_pause_is_left_after_it(unit: str, due: str, paused: str, now: str, ends: str) -> None:
    found = resumed(at(due), at(paused), at(now), unit, PESARO).astimezone(ROME)
    assert found.replace(tzinfo=None) == datetime.combine(date.fromisoformat(ends), time(23, 59, 59))


def test_a_pause_in_working_hours() -> None:
    due, paused = at("2026-11-26T16:00:00+01:00"), at("2026-11-26T13:30:00+01:00")
    found = resumed(due, paused, at("2026-12-08T12:00:00+01:00"), WORKING_HOURS, PESARO)  # Immaculate Conception
    assert found == at("2026-12-09T09:30:00+01:00")


def test_a_deadline_missed_before_the_pause_stays_missed() -> None:
    due = at("2026-11-20T23:59:59+01:00")
    for unit in (CALENDAR_DAYS, WORKING_DAYS, WORKING_HOURS):
        assert resumed(due, at("2026-11-21T10:00+01:00"), at("2026-11-29T10:00+01:00"), unit, PESARO) == due


def test_a_deadline_counted_anew_keeps_its_pauses() -> None:
    pauses = [
        (at("2026-11-25T09:00+01:00"), at("2026-11-27T09:00+01:00")),
        (at("2026-11-30T09:00+01:00"), at("2026-12-02T09:00+01:00")),
    ]
    found = counted_anew(at("2026-11-24T09:00+01:00"), Span(5, WORKING_DAYS), pauses, PESARO)
    assert found == at("2026-12-07T23:59:59+01:00")


def test_the_national_holidays_of_a_year_have_names_in_both_languages() -> None:
    days = {one.day: one for one in PESARO.days_off(2026)}
    assert days[date(2026, 6, 2)].name_en == "Republic Day"
    assert days[date(2026, 6, 2)].name_it == "Festa della Repubblica"
    assert days[date(2026, 10, 4)].kind == "national", "Saint Francis, from 2026 on"
    assert date(2025, 10, 4) not in {one.day for one in PESARO.days_off(2025)}
    assert (days[date(2026, 9, 24)].kind, days[date(2026, 9, 24)].name_it) == ("patron", "San Terenzio")
    assert days[date(2026, 12, 24)].kind == "closing"
    assert WorkingTime(ROME, patron=Patron.of("02-29", None)).days_off(2027) == [
        one for one in PESARO.days_off(2027) if one.kind == "national"
    ]


# --- against the reference


@cache
def days_off(working_time: WorkingTime, year: int) -> frozenset[date]:
    return frozenset(one.day for one in working_time.days_off(year))


def is_open(working_time: WorkingTime, moment: datetime) -> bool:
    """Whether somebody works in the minute that begins at `moment`."""
    local = moment.astimezone(working_time.zone)
    if local.date() in days_off(working_time, local.year):
        return False
    minute = local.hour * 60 + local.minute
    return any(one.day == local.isoweekday() and one.opens <= minute < one.closes for one in working_time.week)


def slow_deadline(start: datetime, minutes: int, working_time: WorkingTime) -> datetime:
    moment = start
    while minutes:
        minutes -= is_open(working_time, moment)
        moment += MINUTE
    return moment


def slow_between(start: datetime, end: datetime, working_time: WorkingTime) -> int:
    minutes = int((end - start) / MINUTE)
    return sum(is_open(working_time, start + minute * MINUTE) for minute in range(minutes))


@st.composite
def weeks(draw: st.DrawFn) -> tuple[Opening, ...]:
    """Office hours with at least one opening; often around two at night, where the clock is changed."""
    found = []
    for day in draw(st.sets(st.integers(1, 7), min_size=1)) | {7}:
        marks = draw(st.lists(st.integers(0, 300), min_size=2, max_size=4, unique=True).map(sorted))
        found += [Opening(day, opens, closes) for opens, closes in zip(marks[::2], marks[1::2], strict=False)]
    return tuple(sorted(found)) if draw(st.booleans()) else STANDARD_WEEK


CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2027, 3, 28, 1, tzinfo=UTC),
    datetime(2026, 12, 25, 1, tzinfo=UTC),
    datetime(2026, 9, 24, 1, tzinfo=UTC),
]
NEAR_CHANGES = st.builds(
    lambda change, minutes: change + minutes * MINUTE, st.sampled_from(CHANGES), st.integers(-4 * 1440, 2 * 1440)
)


def a_town(week: tuple[Opening, ...], zone: ZoneInfo = ROME) -> WorkingTime:
    return WorkingTime(zone, week=week, patron=PESARO.patron, closing=PESARO.closing)


@BOUNDED
@given(weeks(), NEAR_CHANGES, st.integers(1, 6), st.sampled_from(ZONES))
def test_any_deadline_in_working_hours(week: tuple[Opening, ...], start: datetime, hours: int, zone: ZoneInfo) -> None:
    town = a_town(week, zone)
    assert deadline(start, Span(hours, WORKING_HOURS), town) == slow_deadline(start, hours * 60, town)


@BOUNDED
@given(weeks(), NEAR_CHANGES, st.integers(0, 5 * 1440), st.sampled_from(ZONES))
def test_any_stretch_of_office_hours(week: tuple[Opening, ...], start: datetime, minutes: int, zone: ZoneInfo) -> None:
    town, end = a_town(week, zone), start + minutes * MINUTE
    worked = slow_between(start, end, town)
    assert town.between(start, end) == worked * 60
    if worked:
        back = town.earlier(end, worked * 60)
        assert slow_between(back, end, town) == worked
        assert town.later(start, worked * 60) == slow_deadline(start, worked, town)


@BOUNDED
@given(weeks(), NEAR_CHANGES, st.integers(1, 5), st.integers(0, 3000), st.integers(0, 9000))
def test_any_pause_in_working_hours(
    week: tuple[Opening, ...], start: datetime, hours: int, until_pause: int, pause: int
) -> None:
    town = a_town(week)
    due = deadline(start, Span(hours, WORKING_HOURS), town)
    paused = start + until_pause * MINUTE
    now = paused + pause * MINUTE
    found = resumed(due, paused, now, WORKING_HOURS, town)
    if paused >= due:
        assert found == due
    else:
        assert found == slow_deadline(now, slow_between(paused, due, town), town)
        assert found >= due


@BOUNDED
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.sampled_from(ZONES)),  # noqa: DTZ001
    st.integers(1, 400),
    st.sampled_from(ZONES),
)
def test_any_deadline_in_calendar_days(received: datetime, days: int, zone: ZoneInfo) -> None:
    town = WorkingTime(zone)
    found = deadline(received, Span(days, CALENDAR_DAYS), town)
    local = found.astimezone(zone)
    assert (local.hour, local.minute, local.second) == (23, 59, 59)
    assert local.date() == received.astimezone(zone).date() + timedelta(days=days)
    assert found > received.astimezone(UTC)
    assert deadline(received, Span(days + 1, CALENDAR_DAYS), town) > found


@BOUNDED
@given(weeks(), st.dates(date(1995, 1, 1), date(2080, 1, 1)), st.integers(0, 90))
def test_any_number_of_working_days(week: tuple[Opening, ...], start: date, number: int) -> None:
    town = a_town(week)
    open_days = {opening.day for opening in week}

    def works(day: date) -> bool:
        return day.isoweekday() in open_days and day not in days_off(town, day.year)

    day, left = start, number
    while left:
        day += timedelta(days=1)
        left -= works(day)
    while not works(day):
        day += timedelta(days=1)
    assert town.working_day(start, number) == day
    assert town.working_days(start, day) == sum(
        works(start + timedelta(days=after)) for after in range(1, (day - start).days + 1)
    )


def test_the_week_is_kept_as_people_write_it() -> None:
    assert week_of([{"day": 6, "opens": "22:30", "closes": "24:00"}]) == (Opening(6, 1350, 1440),)


@BOUNDED
@given(weeks(), NEAR_CHANGES, st.integers(1, 12), st.integers(1, 100), st.sampled_from(UNITS))
def test_any_share_of_the_time_that_is_left(
    week: tuple[Opening, ...], start: datetime, amount: int, percent: int, unit: Unit
) -> None:
    town, span = a_town(week), Span(amount, unit)
    due = deadline(start, span, town)
    moments = [with_left(due, span, 1 - share / 100, town) for share in (percent, 100)]
    assert moments[0] <= moments[1] == due
    left = amount * (1 - percent / 100)
    if unit == WORKING_HOURS:
        assert town.between(moments[0], due) == pytest.approx(left * 3600, abs=1e-3)
    if unit == CALENDAR_DAYS:
        assert abs((due - moments[0]) / timedelta(days=1) - left) <= 1 / 24 + 1e-9, "an hour, where the clock changes"
    if unit == WORKING_DAYS and left.is_integer():
        assert town.working_days(town.local_day(moments[0]), town.local_day(due)) == left


def test_three_quarters_of_ten_working_days() -> None:
    due = at("2026-12-09T23:59:59+01:00")  # a Wednesday; Tuesday is a holiday
    assert with_left(due, Span(10, WORKING_DAYS), 0.25, PESARO) == at("2026-12-04T11:59:59+01:00")
