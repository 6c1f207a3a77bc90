"""The calendar of a municipality, set up and shown: office hours, the patron saint's day, closing days.

All want a `provincial()` session, except to look. What the province sets, its municipalities inherit: its office hours
where they have none of their own, its closing days besides their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import InvalidInput, NotFound
from city.registry.tables import ClosingDay, Municipality
from city.registry.working_time import STANDARD_WEEK, DayOff, Opening, Patron, WorkingTime, rows_of, week_of, written

From = Literal["own", "province", "standard"]


@dataclass(frozen=True, slots=True)
class Calendar:
    """A year as the offices know it."""

    week: tuple[Opening, ...]
    week_from: From
    """Who set the week: the municipality itself, the province, or nobody."""
    days_off: list[DayOff]
    inherited: frozenset[date]
    """The closing days that are the province's."""
    working_days: int


def calendar(session: ReadSession, home: Municipality, year: int) -> Calendar:
    """What a clerk would check on the wall."""
    province = session.get_one(Municipality, PROVINCE)
    rows = session.scalars(select(ClosingDay).where(ClosingDay.municipality_id.in_({PROVINCE, home.id})))
    closing = {row.day: row for row in sorted(rows, key=lambda row: row.municipality_id)}
    kept, week_from = _week(home, province)
    time = WorkingTime(
        ZoneInfo(home.time_zone),
        week_of(kept) if kept else STANDARD_WEEK,
        Patron.of(home.patron_day, home.patron_name) if home.patron_day else None,
        {day: row.name for day, row in closing.items()},
    )
    return Calendar(
        week=time.week,
        week_from=week_from,
        days_off=time.days_off(year),
        inherited=frozenset(day for day, row in closing.items() if row.municipality_id != home.id),
        working_days=time.working_days(date(year, 1, 1) - timedelta(days=1), date(year, 12, 31)),
    )


def _week(home: Municipality, province: Municipality) -> tuple[list[dict[str, object]] | None, From]:
    if home.office_hours:
        return home.office_hours, "own"
    if province.office_hours:
        return province.office_hours, "province"
    return None, "standard"


def put_office_hours(session: WriteSession, home: Municipality, week: Sequence[Opening] | None) -> None:
    """Set the hours of the week; None: as the province has them (of the province: the usual week).

    Raises InvalidInput for hours that end before they begin or overlap, and for a week without any.
    """
    if week is not None and not week:
        raise InvalidInput("calendars.no_hours", field="hours")
    for one in week or ():
        if one.opens >= one.closes:
            raise InvalidInput(
                "calendars.backwards", field="hours", opens=written(one.opens), closes=written(one.closes)
            )
    for before, after in pairwise(sorted(week or ())):
        if before.day == after.day and after.opens < before.closes:
            raise InvalidInput("calendars.overlap", field="hours", day=after.day, opens=written(after.opens))
    kept = rows_of(week) if week is not None else None
    if home.office_hours != kept:
        home.office_hours = kept
    session.flush()


def put_patron(session: WriteSession, home: Municipality, day: str | None, name: str | None) -> None:
    """Set the day of the patron saint, `MM-DD`; None: there is none. Raises InvalidInput for a day of no calendar."""
    if home.id == PROVINCE:
        raise InvalidInput("calendars.no_patron", field="day")
    if day is not None:
        try:
            Patron.of(day, name)
        except ValueError:
            raise InvalidInput("calendars.no_day", field="day", value=day) from None
    home.patron_day, home.patron_name = day, name if day else None
    session.flush()


def put_closing_day(session: WriteSession, home: Municipality, day: date, name: str) -> None:
    """Close the offices for a day; of the province: all of them."""
    known = session.get(ClosingDay, (home.id, day))
    if known is None:
        session.add(ClosingDay(municipality_id=home.id, day=day, name=name))
    else:
        known.name = name
    session.flush()


def remove_closing_day(session: WriteSession, home: Municipality, day: date) -> None:
    """Open the offices on that day after all. Raises NotFound."""
    known = session.get(ClosingDay, (home.id, day))
    if known is None:
        raise NotFound("calendars.not_closed", value=day.isoformat())
    session.delete(known)
    session.flush()
