"""Monthly reports by mail: who gets them, and when the next one is due.

The month whose letters were promised is noted on the schedule in the very transaction that promises them, under a lock
on its row: no month goes out twice. One whose day was missed is sent late; after a long pause only the newest is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import InvalidInput, NotFound
from city.registry.schedule_tables import ReportSchedule
from city.registry.tables import CategoryGroup, Department, Municipality, Person

MOST: Final = 50
"""Schedules of one municipality, and addresses of one schedule."""
AT: Final = time(7)
"""By the municipality's clock: the letter is there when the office opens."""
AT_ONCE: Final = 20

_DUE: Final = """
WITH due AS (
  SELECT schedule.municipality_id, schedule.id, sendable.month
  FROM report_schedule AS schedule JOIN municipality ON municipality.id = schedule.municipality_id
  CROSS JOIN LATERAL (SELECT (date_trunc('month', %(now)s AT TIME ZONE municipality.time_zone
    - (schedule.day - 1) * interval '1 day' - %(at)s) - interval '1 month')::date AS month) AS sendable
  WHERE schedule.is_active AND municipality.is_active AND schedule.noted_month < sendable.month
  ORDER BY schedule.municipality_id, schedule.id LIMIT %(most)s FOR UPDATE OF schedule SKIP LOCKED
)
UPDATE report_schedule SET noted_month = due.month FROM due
WHERE report_schedule.municipality_id = due.municipality_id AND report_schedule.id = due.id
RETURNING report_schedule.municipality_id, report_schedule.id, due.month
"""


@dataclass(frozen=True, slots=True)
class ScheduleFields:
    """A schedule, as it should be."""

    name: str
    day: int
    recipients: list[str]
    department: str | None
    group: str | None
    language: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule whose letters are to be promised now, and of which month."""

    municipality_id: int
    schedule_id: int
    month: date


def listed(session: ReadSession, home: Municipality) -> list[ReportSchedule]:
    """The schedules of a municipality."""
    return list(
        session.scalars(
            select(ReportSchedule).where(ReportSchedule.municipality_id == home.id).order_by(ReportSchedule.id)
        )
    )


def one(session: ReadSession, home: Municipality, schedule_id: int, *, locked: bool = False) -> ReportSchedule:
    """The schedule. Raises NotFound."""
    found = session.get(ReportSchedule, (home.id, schedule_id), with_for_update=locked)
    if found is None:
        raise NotFound("schedules.not_found", value=schedule_id)
    return found


def add(session: WriteSession, home: Municipality, fields: ScheduleFields, now: datetime) -> ReportSchedule:
    """A new schedule: its first letters go out on the next of its days. Raises InvalidInput."""
    _check(session, home, fields)
    many = session.scalar(
        select(func.count()).select_from(ReportSchedule).where(ReportSchedule.municipality_id == home.id)
    )
    if (many or 0) >= MOST:
        raise InvalidInput("schedules.too_many", field="name", most=MOST)
    schedule = ReportSchedule(municipality_id=home.id, noted_month=_sendable(home, fields.day, now))
    _fill(schedule, fields)
    session.add(schedule)
    session.flush()
    return schedule


def change(
    session: WriteSession, home: Municipality, schedule_id: int, fields: ScheduleFields, now: datetime
) -> ReportSchedule:
    """The schedule, changed. One that rested begins again with the next of its days. Raises NotFound, InvalidInput."""
    schedule = one(session, home, schedule_id, locked=True)
    _check(session, home, fields)
    if (fields.is_active and not schedule.is_active) or fields.day != schedule.day:
        schedule.noted_month = max(schedule.noted_month, _sendable(home, fields.day, now))
    _fill(schedule, fields)
    schedule.updated_at = now
    session.flush()
    return schedule


def take_due(session: WriteSession, now: datetime) -> list[Due]:
    """Those whose day has come, at most twenty; their month is noted as promised. Needs `provincial()`."""
    rows = session.raw.execute(_DUE, {"now": now, "at": timedelta(hours=AT.hour, minutes=AT.minute), "most": AT_ONCE})
    return [Due(*row) for row in rows]


def next_on(schedule: ReportSchedule, home: Municipality, now: datetime) -> date | None:
    """On which day the next letters go out, or should have; None where the schedule rests."""
    if not schedule.is_active:
        return None
    month = max(_month_after(schedule.noted_month), _sendable(home, schedule.day, now))
    return _month_after(month).replace(day=schedule.day)


def last_month(home: Municipality, now: datetime) -> date:
    """The first day of the last whole month there."""
    return _month_before(_local(home, now).date().replace(day=1))


def colleagues(session: ReadSession, municipality_id: int, addresses: list[str]) -> dict[str, Person]:
    """Of these addresses those of people who work here, by the address in small letters."""
    found = session.scalars(
        select(Person).where(
            Person.municipality_id == municipality_id,
            Person.is_active,
            func.lower(Person.email).in_([address.lower() for address in addresses]),
        )
    )
    return {person.email.lower(): person for person in found}


def _check(session: ReadSession, home: Municipality, fields: ScheduleFields) -> None:
    if home.id == PROVINCE:
        raise InvalidInput("schedules.of_a_municipality", field="owner")
    for table, slug, owners, field, key in (
        (Department, fields.department, {home.id}, "department", "registry.no_department"),
        (CategoryGroup, fields.group, {home.id, PROVINCE}, "group", "schedules.no_group"),
    ):
        if slug is not None and not session.scalar(
            select(func.count()).select_from(table).where(table.municipality_id.in_(owners), table.slug == slug)
        ):
            raise InvalidInput(key, field=field, value=slug)


def _fill(schedule: ReportSchedule, fields: ScheduleFields) -> None:
    schedule.name, schedule.day, schedule.language = fields.name, fields.day, fields.language
    schedule.recipients = list({address.lower(): address for address in fields.recipients}.values())
    schedule.department_slug, schedule.group_slug = fields.department, fields.group
    schedule.is_active = fields.is_active


def _sendable(home: Municipality, day: int, now: datetime) -> date:
    """The newest month whose day has come: last month, or the one before while this month's day is still to come."""
    local = _local(home, now)
    this_month = local.date().replace(day=1)
    last = _month_before(this_month)
    begins = datetime.combine(this_month.replace(day=day), AT)
    return last if local.replace(tzinfo=None) >= begins else _month_before(last)


def _local(home: Municipality, now: datetime) -> datetime:
    return now.astimezone(UTC).astimezone(ZoneInfo(home.time_zone))


def _month_before(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)


def _month_after(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
