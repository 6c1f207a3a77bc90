"""The administrator's errand with time: office hours, the patron saint's day, closing days, and the ladder.

What is changed here counts for every deadline from then on; a deadline that was told stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StringConstraints

from api.access import Signed, administering
from api.schemas.base import Name, Named, Slug, Strict
from city.database import PROVINCE, ReadSession, provincial
from city.errors import Forbidden
from city.registry import calendars, ladder, territory
from city.registry.ladder import ALL_PERCENT, AUDIENCES, Audience, Rung
from city.registry.staff.people import Staff
from city.registry.tables import Municipality
from city.registry.working_time import Opening, minutes_of, written
from city.reports import journey

router = APIRouter(prefix="/api/v1/registry/{owner}", tags=["administration"])

FIRST_YEAR, LAST_YEAR = 1970, 2100

Origin = Annotated[
    Literal["own", "province", "standard"], Field(description="Who set it; standard: nobody, so what is usual counts")
]
Clock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
ClosingDate = Annotated[date, Field(ge=date(FIRST_YEAR, 1, 1), le=date(LAST_YEAR, 12, 31))]


class OpeningPut(Strict):
    """Office hours of a week day; 1 is Monday."""

    day: Annotated[int, Field(ge=1, le=7)]
    opens: Clock
    closes: Clock


class OfficeHoursPut(Strict):
    """The hours of the week; null: as the province has them (of the province: the usual week)."""

    hours: Annotated[list[OpeningPut], Field(max_length=28)] | None


class PatronPut(Strict):
    """The day of the patron saint, month and day; null: there is none."""

    day: Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")] | None
    name: Name | None = None


class ClosingDayPut(Strict):
    """Why the offices are closed."""

    name: Name


class OpeningListed(BaseModel):
    """Office hours of a week day; 1 is Monday."""

    day: int
    opens: str
    closes: str


class DayOffListed(BaseModel):
    """A day on which nobody works, and why."""

    day: date
    weekday: Annotated[int, Field(description="1 is Monday")]
    kind: Literal["national", "patron", "closing"]
    name: Named
    is_inherited: Annotated[bool, Field(description="A closing day of the province's")]


class CalendarOut(BaseModel):
    """A year as the offices know it."""

    year: int
    time_zone: str
    hours: list[OpeningListed]
    hours_from: Origin
    days_off: list[DayOffListed]
    working_days: Annotated[int, Field(description="How many there are that year")]


@contextmanager
def visiting(staff: Staff, owner: str) -> Iterator[tuple[ReadSession, Municipality]]:
    """A look at what `owner` has set up, for everybody who works there."""
    with provincial() as session:
        home = territory.home(session, owner)
        if home.id != PROVINCE and not staff.works_in(home.id):
            raise Forbidden("people.not_here", municipality=home.name)
        yield session, home


@router.get("/calendar")
def show_calendar(owner: Slug, staff: Signed, year: Annotated[int, Query(ge=FIRST_YEAR, le=LAST_YEAR)]) -> CalendarOut:
    """The days off of a year and the hours of the week, to be checked against the calendar on the wall."""
    with visiting(staff, owner) as (session, home):
        found = calendars.calendar(session, home, year)
        time_zone = home.time_zone
    return CalendarOut(
        year=year,
        time_zone=time_zone,
        hours=[
            OpeningListed(day=day, opens=written(opens), closes=written(closes)) for day, opens, closes in found.week
        ],
        hours_from=found.week_from,
        days_off=[
            DayOffListed(
                day=one.day,
                weekday=one.day.isoweekday(),
                kind=one.kind,
                name=Named(it=one.name_it, en=one.name_en),
                is_inherited=one.kind == "closing" and one.day in found.inherited,
            )
            for one in found.days_off
        ],
        working_days=found.working_days,
    )


@router.put("/office-hours", status_code=204)
def put_office_hours(owner: Slug, body: OfficeHoursPut, staff: Signed) -> None:
    """Set the hours of the week, by the municipality's clock."""
    hours = body.hours
    week = None if hours is None else [Opening(one.day, minutes_of(one.opens), minutes_of(one.closes)) for one in hours]
    with administering(staff, owner) as (session, home):
        calendars.put_office_hours(session, home, week)


@router.put("/patron", status_code=204)
def put_patron(owner: Slug, body: PatronPut, staff: Signed) -> None:
    """Set the day of the patron saint."""
    with administering(staff, owner) as (session, home):
        calendars.put_patron(session, home, body.day, body.name)


@router.put("/closing-days/{day}", status_code=204)
def put_closing_day(owner: Slug, day: ClosingDate, body: ClosingDayPut, staff: Signed) -> None:
    """Close the offices for a day; of the province: all of them."""
    with administering(staff, owner) as (session, home):
        calendars.put_closing_day(session, home, day, body.name)


@router.delete("/closing-days/{day}", status_code=204)
def remove_closing_day(owner: Slug, day: ClosingDate, staff: Signed) -> Response:
    """Open the offices on that day after all."""
    with administering(staff, owner) as (session, home):
        calendars.remove_closing_day(session, home, day)
    return Response(status_code=204)


class RungPut(Strict):
    """A step of the ladder: at `percent` of the time or so many `working_days` after the deadline; and whom to tell."""

    percent: Annotated[int, Field(ge=1, le=ALL_PERCENT)] | None = None
    working_days: Annotated[int, Field(ge=1, le=365)] | None = None
    to: Annotated[list[Audience], Field(min_length=1, max_length=len(AUDIENCES))]


class LadderPut(Strict):
    """The ladder; empty: nobody is told; null: as the province has it (of the province: the standard one)."""

    rungs: Annotated[list[RungPut], Field(max_length=10)] | None


class LadderOut(BaseModel):
    """Who is told of reports whose time runs out: who looks after it (else its crew, else the office), the office, its
    heads, the administrators.
    """

    rungs: list[RungPut]
    rungs_from: Origin


@router.get("/ladder")
def show_ladder(owner: Slug, staff: Signed) -> LadderOut:
    """Who is told of reports whose time runs out, and when."""
    with visiting(staff, owner) as (session, home):
        found, rungs_from = ladder.ladder_for(session, home)
    return LadderOut(
        rungs=[RungPut(percent=rung.percent, working_days=rung.working_days, to=list(rung.to)) for rung in found],
        rungs_from=rungs_from,
    )


@router.put("/ladder", status_code=204)
def put_ladder(owner: Slug, body: LadderPut, staff: Signed) -> None:
    """Set who is told of reports whose time runs out. It counts for what happens from then on."""
    rungs = body.rungs
    wanted = None if rungs is None else [Rung(one.percent, one.working_days, tuple(one.to)) for one in rungs]
    with administering(staff, owner) as (session, home):
        ladder.put_ladder(session, home, wanted)
        for municipality_id in territory.heirs(session, home):
            journey.after_ladder_change(session, municipality_id)
