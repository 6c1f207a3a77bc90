"""When the monthly report goes out: on its day at seven by the town's clock, each month once, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from city.database import provincial
from city.errors import InvalidInput, NotFound
from city.registry import schedules, territory
from city.registry.schedules import Due, ScheduleFields

ROME = ZoneInfo("Europe/Rome")
FIELDS = ScheduleFields("Consiglio", 5, ["a@example.org"], None, None, "it", is_active=True)


@pytest.fixture
def empty(database: str) -> Iterator[None]:
    """No schedule before, none after."""
    yield
    with psycopg.connect(database) as admin:
        admin.execute("DELETE FROM report_schedule")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ROME)


def made(now: datetime, fields: ScheduleFields = FIELDS) -> int:
    with provincial() as session:
        return schedules.add(session, territory.home(session, "pesaro"), fields, now).id


def taken(now: datetime) -> list[tuple[int, date]]:
    with provincial() as session:
        return [(due.schedule_id, due.month) for due in schedules.take_due(session, now)]


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("made_at", "asked_at", "month"),
    [
        ("2026-10-01T12:00", "2026-10-05T06:59", None),
        ("2026-10-01T12:00", "2026-10-05T07:00", date(2026, 9, 1)),
        ("2026-10-05T08:00", "2026-10-31T23:59", None),
        ("2026-10-05T08:00", "2026-11-05T07:00", date(2026, 10, 1)),
        ("2026-12-20T12:00", "2027-01-05T07:01", date(2026, 12, 1)),
        ("2026-03-20T12:00", "2026-04-05T07:00", date(2026, 3, 1)),
        ("2026-01-20T12:00", "2026-06-20T12:00", date(2026, 5, 1)),
    ],
)
def test_a_schedule_begins_with_the_next_of_its_days(made_at: str, asked_at: str, month: date | None) -> None:
    schedule_id = made(at(made_at))
    assert taken(at(asked_at)) == ([(schedule_id, month)] if month else [])
    assert taken(at(asked_at)) == [], "each month once"


@pytest.mark.usefixtures("empty")
def test_one_that_rests_sends_nothing_and_makes_up_for_nothing() -> None:
    schedule_id = made(at("2026-01-01T00:00"))
    resting = ScheduleFields("Consiglio", 5, ["a@example.org"], None, None, "it", is_active=False)
    with provincial() as session:
        home = territory.home(session, "pesaro")
        schedules.change(session, home, schedule_id, resting, at("2026-01-02T00:00"))
        assert schedules.next_on(schedules.one(session, home, schedule_id), home, at("2026-01-02T00:00")) is None
    assert taken(at("2026-03-10T12:00")) == []
    with provincial() as session:
        home = territory.home(session, "pesaro")
        changed = schedules.change(session, home, schedule_id, FIELDS, at("2026-03-10T12:00"))
        assert schedules.next_on(changed, home, at("2026-03-10T12:00")) == date(2026, 4, 5)
    assert taken(at("2026-03-10T12:01")) == []
    assert taken(at("2026-04-05T07:00")) == [(schedule_id, date(2026, 3, 1))]


@pytest.mark.usefixtures("empty")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    day=st.integers(1, 28),
    begin=st.integers(0, 500 * 24),
    steps=st.lists(st.integers(1, 40 * 24), min_size=5, max_size=20),
)
def test_however_seldom_it_is_asked_no_month_comes_twice_and_the_day_is_kept(
    day: int, begin: int, steps: list[int]
) -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=begin)
    fields = ScheduleFields("Consiglio", day, ["a@example.org"], None, None, "it", is_active=True)
    schedule_id = made(now, fields)
    sent: list[date] = []
    for hours in steps:
        with provincial() as session:
            home = territory.home(session, "pesaro")
            expected = schedules.next_on(schedules.one(session, home, schedule_id), home, now)
        now += timedelta(hours=hours)
        found = [month for one, month in taken(now) if one == schedule_id]
        local = now.astimezone(ROME)
        assert expected is not None
        assert bool(found) == (local.replace(tzinfo=None) >= datetime.combine(expected, schedules.AT)), local
        sent += found
    assert sent == sorted(set(sent))
    with provincial() as session:
        session.delete(schedules.one(session, territory.home(session, "pesaro"), schedule_id))


@pytest.mark.usefixtures("empty")
def test_of_two_workers_at_once_one_takes_it() -> None:
    made(at("2026-10-01T12:00"))
    found: list[Due] = []
    both = threading.Barrier(2)

    def work() -> None:
        with provincial() as session:
            both.wait(10)
            found.extend(schedules.take_due(session, at("2026-10-05T07:00")))
            both.wait(10)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert len(found) == 1


@pytest.mark.usefixtures("empty")
def test_what_is_promised_is_noted_only_if_it_is_kept() -> None:
    schedule_id = made(at("2026-10-01T12:00"))

    def break_off() -> None:
        with provincial() as session:
            assert schedules.take_due(session, at("2026-10-05T07:00"))
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        break_off()
    assert taken(at("2026-10-05T07:00")) == [(schedule_id, date(2026, 9, 1))]


@pytest.mark.usefixtures("empty")
def test_what_is_not_there_cannot_be_scheduled() -> None:
    now = at("2026-10-01T12:00")
    for field, value in (("department", "no-such"), ("group", "no-such")):
        fields = ScheduleFields(**{f: getattr(FIELDS, f) for f in FIELDS.__slots__} | {field: value})
        with pytest.raises(InvalidInput) as raised:
            made(now, fields)
        assert raised.value.field == field
    with provincial() as session, pytest.raises(NotFound):
        schedules.one(session, territory.home(session, "fano"), made(now))
