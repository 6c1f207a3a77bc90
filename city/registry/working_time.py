"""When the offices work: the hours of the week, and the days off: national holidays, the patron saint, closing days.

All in memory, and on the wall clock of the municipality's time zone: a day that begins or ends daylight-saving time has
an hour less or more, and where office hours touch it, an hour less or more is worked.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from operator import itemgetter
from typing import Final, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

import holidays

DAY: Final = timedelta(days=1)
MINUTE_SECONDS: Final = 60
DAY_MINUTES: Final = 24 * 60
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
FARTHEST_YEARS: Final = 400
"""Whoever looks farther ahead for an office hour than that looks in vain."""


class Opening(NamedTuple):
    """Office hours of a week day (ISO: 1 is Monday), in minutes since midnight; they may end with the day, at 1440."""

    day: int
    opens: int
    closes: int


Unit = Literal["calendar_days", "working_days", "working_hours"]
UNITS: Final[tuple[Unit, ...]] = get_args(Unit)
CALENDAR_DAYS, WORKING_DAYS, WORKING_HOURS = UNITS


class Span(NamedTuple):
    """How much time there is to solve something."""

    amount: int
    unit: Unit


STANDARD_WEEK: Final = tuple(
    sorted(
        [*(Opening(day, 8 * 60, 14 * 60) for day in range(1, 6)), *(Opening(day, 15 * 60, 18 * 60) for day in (2, 4))]
    )
)
"""The week of 36 hours that most municipalities have: the mornings, and two afternoons."""


class DayOff(NamedTuple):
    """A day on which nobody works, and why."""

    day: date
    kind: Literal["national", "patron", "closing"]
    name_it: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Patron:
    """The day of the patron saint, every year; 29 February in leap years only."""

    month: int
    day: int
    name: str | None = None

    @classmethod
    def of(cls, written: str, name: str | None) -> Patron:
        """From `MM-DD`. Raises ValueError."""
        moment = date.fromisoformat(f"2000-{written}")
        return cls(moment.month, moment.day, name)

    def in_year(self, year: int) -> date | None:
        """The day that year."""
        try:
            return date(year, self.month, self.day)
        except ValueError:
            return None


class _Sheet(NamedTuple):
    """The office hours of a year: when each begins and ends (seconds since 1970, ascending), and sums up to there."""

    starts: Sequence[int]
    ends: Sequence[int]
    before: Sequence[int]
    """Seconds worked before each, since the year began."""
    after: Sequence[int]
    """Seconds worked when each ends."""

    @property
    def total(self) -> int:
        """Seconds worked all year."""
        return self.after[-1] if self.after else 0

    def worked(self, moment: float) -> float:
        """Seconds worked since the year began."""
        place = bisect_right(self.starts, moment) - 1
        if place < 0:
            return 0
        return self.before[place] + min(moment, self.ends[place]) - self.starts[place]

    def reached(self, seconds: float) -> float:
        """The first moment at which so many seconds are worked since the year began."""
        place = bisect_left(self.after, seconds)
        return self.starts[place] + seconds - self.before[place]


@dataclass(frozen=True, slots=True, eq=False)
class WorkingTime:
    """The office hours of a municipality, year by year; each year is worked out when somebody first asks."""

    zone: ZoneInfo
    week: tuple[Opening, ...] = STANDARD_WEEK
    patron: Patron | None = None
    closing: Mapping[date, str] = field(default_factory=dict)
    """Days on which the offices are closed besides, and why."""
    _days: dict[int, list[int]] = field(default_factory=dict, repr=False)
    _sheets: dict[int, _Sheet] = field(default_factory=dict, repr=False)

    def local_day(self, moment: datetime) -> date:
        """The day it is by the municipality's clock."""
        return moment.astimezone(self.zone).date()

    # --- days

    def days_off(self, year: int) -> list[DayOff]:
        """The days off of a year, in order; a week day without office hours is none of them."""
        found = list(national_holidays(year))
        if self.patron and (day := self.patron.in_year(year)):
            name = self.patron.name or ""
            found.append(DayOff(day, "patron", name, name))
        found += [DayOff(day, "closing", why, why) for day, why in self.closing.items() if day.year == year]
        return sorted(found, key=itemgetter(0))

    def working_day(self, day: date, number: int) -> date:
        """The `number`th working day after `day`; for 0 the first from `day` on."""
        year, ordinal = day.year, day.toordinal()
        if number:
            place = bisect_right(self._working_days(year), ordinal) + number - 1
        else:
            place = bisect_left(self._working_days(year), ordinal)
        while place >= len(days := self._working_days(year)):
            place -= len(days)
            year = _next(year, day.year)
        return date.fromordinal(days[place])

    def working_day_before(self, day: date, number: int) -> date:
        """The `number`th working day before the last one up to `day`; for 0 that one itself."""
        year = day.year
        place = bisect_right(self._working_days(year), day.toordinal()) - 1 - number
        while place < 0:
            year = -_next(-year, -day.year)
            place += len(self._working_days(year))
        return date.fromordinal(self._working_days(year)[place])

    def working_days(self, first: date, last: date) -> int:
        """How many working days there are after `first`, up to and with `last`."""
        count = 0
        for year in range(first.year, last.year + 1):
            days = self._working_days(year)
            count += bisect_right(days, last.toordinal()) - bisect_right(days, first.toordinal())
        return max(count, 0)

    def _working_days(self, year: int) -> list[int]:
        """The ordinals of a year's working days."""
        days = self._days.get(year)
        if days is None:
            off = {one.day.toordinal() for one in self.days_off(year)}
            open_days = {opening.day for opening in self.week}
            first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
            days = [one for one in range(first, last + 1) if (one - 1) % 7 + 1 in open_days and one not in off]
            self._days[year] = days
        return days

    # --- hours

    def later(self, moment: datetime, seconds: float) -> datetime:
        """The first moment at which so many seconds (> 0) of office hours have passed since `moment`; UTC."""
        first = year = self.local_day(moment).year
        wanted = self._sheet(year).worked(moment.timestamp()) + seconds
        while wanted > (sheet := self._sheet(year)).total:
            wanted -= sheet.total
            year = _next(year, first)
        return datetime.fromtimestamp(sheet.reached(wanted), UTC)

    def earlier(self, moment: datetime, seconds: float) -> datetime:
        """A moment from which there are so many seconds of office hours to `moment`; UTC."""
        first = year = self.local_day(moment).year
        wanted = self._sheet(year).worked(moment.timestamp()) - seconds
        while wanted <= 0:
            year = -_next(-year, -first)
            wanted += self._sheet(year).total
        return datetime.fromtimestamp(self._sheet(year).reached(wanted), UTC)

    def between(self, start: datetime, end: datetime) -> float:
        """Seconds of office hours from `start` to `end`; 0 where `end` is not later."""
        if end <= start:
            return 0.0
        first, last = self.local_day(start).year, self.local_day(end).year
        whole = sum(self._sheet(year).total for year in range(first, last))
        return whole + self._sheet(last).worked(end.timestamp()) - self._sheet(first).worked(start.timestamp())

    def _sheet(self, year: int) -> _Sheet:
        sheet = self._sheets.get(year)
        if sheet is None:
            spans = [span for ordinal in self._working_days(year) for span in self._spans(date.fromordinal(ordinal))]
            lengths = [end - start for start, end in spans]
            after = list(accumulate(lengths))
            before = [total - length for total, length in zip(after, lengths, strict=True)]
            sheet = _Sheet([start for start, _ in spans], [end for _, end in spans], before, after)
            self._sheets[year] = sheet
        return sheet

    def _spans(self, day: date) -> list[tuple[int, int]]:
        """The office hours of a day, as seconds since 1970: two spans where the clock is put back amid them."""
        midnight = (day.toordinal() - EPOCH_DAY) * DAY_MINUTES * MINUTE_SECONDS
        spans = []
        for first, last, offset in _stretches(day, self.zone):
            for opening in self.week:
                if opening.day == day.isoweekday():
                    start = max(first, midnight + opening.opens * MINUTE_SECONDS - offset)
                    end = min(last, midnight + opening.closes * MINUTE_SECONDS - offset)
                    if start < end:
                        spans.append((start, end))
        return sorted(spans)


def _next(year: int, first: int) -> int:
    """The year after. Raises OverflowError where there is no end to it."""
    if year - first >= FARTHEST_YEARS:
        raise OverflowError("an office that never opens")
    return year + 1


def _stretches(day: date, zone: ZoneInfo) -> Iterator[tuple[int, int, int]]:
    """The parts of a day between which the clock is put forward or back: first and last second, and its offset."""
    first, last = _midnight(day, zone), _midnight(day + DAY, zone)
    before = _offset(first, zone)
    after = _offset(last - 1, zone)
    if first >= last:
        return
    if before == after:
        yield first, last, before
        return
    here, there = first, last - 1
    while there - here > 1:
        middle = (here + there) // 2
        here, there = (middle, there) if _offset(middle, zone) == before else (here, middle)
    yield first, there, before
    yield there, last, after


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(0), tzinfo=zone).timestamp())


def _offset(moment: int, zone: ZoneInfo) -> int:
    return int((datetime.fromtimestamp(moment, zone).utcoffset() or timedelta(0)).total_seconds())


@lru_cache(maxsize=256)
def national_holidays(year: int) -> tuple[DayOff, ...]:
    """The Italian national holidays of a year."""
    english = holidays.country_holidays("IT", years=year, language="en_US")
    italian = holidays.country_holidays("IT", years=year, language="it_IT")
    return tuple(DayOff(day, "national", italian[day], english[day]) for day in sorted(italian))


# --- as kept and written ---------------------------------------------------------------------------------------------


def written(minutes: int) -> str:
    """Minutes since midnight as people write them: `08:30`, `24:00`."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def week_of(rows: Iterable[Mapping[str, object]]) -> tuple[Opening, ...]:
    """The week as the registry keeps it: rows of `day`, `opens` and `closes`."""
    return tuple(
        sorted(
            Opening(int(str(row["day"])), minutes_of(str(row["opens"])), minutes_of(str(row["closes"]))) for row in rows
        )
    )


def rows_of(week: Iterable[Opening]) -> list[dict[str, object]]:
    """The same the other way round."""
    return [{"day": day, "opens": written(opens), "closes": written(closes)} for day, opens, closes in sorted(week)]


def minutes_of(moment: str) -> int:
    """Minutes since midnight of what `written` writes."""
    hours, minutes = moment.split(":")
    return int(hours) * 60 + int(minutes)
