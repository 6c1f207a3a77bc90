"""A month of a municipality, for the council's report: its figures beside those of the month before and a year before.

Only numbers here; `monthly_parts` puts them into words, tables and charts, `monthly_page` on paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from city.database import ReadSession
from city.errors import InvalidInput
from city.records.insight.ageing import AgeingQuestion, ageing_and_total
from city.records.insight.figures import FIGURES, NONE_YET, Question, figures
from city.records.insight.insight import Period, Scope, Sieve, flow, months_later, read_day
from city.records.insight.lines import By, home
from city.records.monthly.sheets import fitting_layer
from city.registry.municipality import DepartmentView, Named
from city.registry.staff.people import Right

MONTHS_OF_FLOW: Final = 13
"""So that the same month a year before is among them."""
MOST_CATEGORIES: Final = 15
EVERYTHING: Final = Sieve()


def month_of(given: str | None, scope: Scope, now: datetime) -> Period:
    """The month `given` as YYYY-MM; without, the last whole one. Raises InvalidInput naming `month`."""
    this_month = now.astimezone(scope.zone).date().replace(day=1)
    if given is None:
        first = months_later(this_month, -1)
    else:
        first = read_day(given, "month").replace(day=1)
        if given.count("-") != 1:
            raise InvalidInput("monthly.bad_month", field="month", value=given)
        if first > this_month:
            raise InvalidInput("insight.future", field="month", value=given)
    return a_month(first, scope)


def a_month(first: date, scope: Scope) -> Period:
    """The month that begins on `first`."""
    return Period(first, months_later(first, 1), scope.zone, by_month=True)


class Compared(NamedTuple):
    """Figures of one line: of the month, of the month before, of the same month a year before."""

    key: str | None
    name: Named | None
    now: dict[str, Any]
    before: dict[str, Any]
    year: dict[str, Any]

    @property
    def is_told(self) -> bool:
        """Whether the month's number is told."""
        return self.now["received"] is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing came in, in any of the three."""
        return all(period["received"] == 0 for period in (self.now, self.before, self.year))


@dataclass(frozen=True, slots=True)
class Monthly:
    """All that the report tells."""

    scope: Scope
    month: Period
    sieve: Sieve
    now: datetime
    total: Compared
    departments: list[Compared]
    groups: list[Compared]
    categories: list[Compared]
    """Those with most reports."""
    zones: list[Compared]
    layer: str | None
    """Whose zones; None where the municipality has none."""
    flow: list[dict[str, Any]]
    """Thirteen months, this one last; `first` is each one's first day."""
    open: dict[str, Any]
    """What lay open when the month ended; now, where it has not ended yet."""
    open_before: dict[str, Any]
    """What lay open when the month before ended."""
    open_by_department: list[dict[str, Any]]

    @property
    def is_over(self) -> bool:
        """Whether the month has ended."""
        return self.month.end_at <= self.now

    @property
    def last_day(self) -> date:
        """The month's last day; of one that has not ended, today."""
        return min(self.month.last, self.now.astimezone(self.month.zone).date())


@dataclass(frozen=True, slots=True)
class _Look:
    session: ReadSession
    scope: Scope
    month: Period
    sieve: Sieve
    now: datetime
    layer: str | None

    def compared(self, by: By) -> list[Compared]:
        """The lines in which anything came in, most reports first."""
        layer = self.layer if by == "zone" else None
        year = a_month(months_later(self.month.first, -12), self.scope)
        rows = figures(self.session, self.scope, Question(by, layer, self.month, self.sieve, self.now))
        then = Question(by, layer, year, self.sieve, self.now, has_before=False)
        a_year_ago = {row["key"]: row for row in figures(self.session, self.scope, then)}
        names = {row["key"]: row["name"] for row in (*a_year_ago.values(), *rows)}
        here = {row["key"]: row for row in rows}
        found = [
            Compared(
                key,
                names[key] and Named(**names[key]),
                here.get(key, NOTHING),
                here[key]["before"] if key in here else NOTHING,
                a_year_ago.get(key, NOTHING),
            )
            for key in dict.fromkeys([*here, *a_year_ago])
        ]
        return [line for line in found if by == "total" or not line.is_empty]

    def open_at(self, day: date) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What lay open when the day ended, by department and in all."""
        asked = AgeingQuestion("department", None, day, self.sieve, self.now)
        return ageing_and_total(self.session, self.scope, asked)


NOTHING: Final[dict[str, Any]] = {
    name: 0 if name in {"received", "open", "solved", "confirmed", "reopened", "late", "late_open", "rated"} else None
    for name in FIGURES
} | {"reasons": dict.fromkeys(FIGURES, NONE_YET)}
"""The figures of a line in which nothing came in."""


def gather(
    session: ReadSession,
    scope: Scope,
    month: Period,
    now: datetime,
    *,
    layer: str | None = None,
    sieve: Sieve = EVERYTHING,
) -> Monthly:
    """All numbers of the report of those that pass the `sieve`, a fixed number of statements.

    Raises InvalidInput where the municipality is not said or has no such `layer`; Forbidden.
    """
    municipality = home(scope)
    look = _Look(session, scope, month, sieve, now, fitting_layer(municipality, layer))
    today = now.astimezone(month.zone).date()
    last_day = min(month.last, today)
    year_and_month = Period(months_later(month.first, 1 - MONTHS_OF_FLOW), month.after, month.zone, by_month=True)
    by_department, lying = look.open_at(last_day)
    return Monthly(
        scope=scope,
        month=month,
        sieve=sieve,
        now=now,
        total=look.compared("total")[0],
        departments=look.compared("department"),
        groups=look.compared("group"),
        categories=look.compared("category")[:MOST_CATEGORIES],
        zones=look.compared("zone") if look.layer else [],
        layer=look.layer,
        flow=[
            row | {"first": first}
            for row, first in zip(flow(session, scope, year_and_month, sieve), year_and_month.months(), strict=True)
        ],
        open=lying,
        open_before=look.open_at(month.first - timedelta(days=1))[1],
        open_by_department=[row for row in by_department if row["open"] != 0],
    )


def departments_of(scope: Scope) -> list[DepartmentView] | None:
    """Whose reports are counted, where it is not those of all departments (None)."""
    if scope.staff is None:
        return None
    municipality = home(scope)
    sight = scope.staff.sight(Right.READ, municipality)
    if sight.is_whole:
        return None
    crews = municipality.crew_ids.values()
    return [
        department
        for department in municipality.departments.values()
        if sight.has(department.id)
        or any(sight.has(0, crew.id) for crew in crews if crew.department_id == department.id)
    ]


def is_narrowed(scope: Scope) -> bool:
    """Whether only reports of some categories or zones are counted."""
    return scope.staff is not None and scope.staff.sight(Right.READ, home(scope)).is_narrowed


TABLE_HEAD: Final = ("section", "key", "name", "figure", "value", "month_before", "year_before", "reason")


def table(seen: Monthly, language: str, said: Callable[[str], str]) -> Iterable[list[object]]:
    """The report as one long table: a row for each figure of each line, by `TABLE_HEAD`; `said` names sections."""
    sections = {
        "total": [seen.total],
        "department": seen.departments,
        "group": seen.groups,
        "category": seen.categories,
        "zone": seen.zones,
    }
    for section, compared in sections.items():
        for line in compared:
            for figure in FIGURES:
                yield [
                    said(section),
                    line.key,
                    line.name and line.name(language),
                    figure,
                    line.now[figure],
                    line.before[figure],
                    line.year[figure],
                    line.now["reasons"].get(figure),
                ]
    for row in seen.flow:
        for name in ("received", "solved", "reopened"):
            yield [said("flow"), row["month"], None, name, row[name], None, None, None]
    for row in (seen.open, *seen.open_by_department):
        for name in ("open", "late", "median_days", "p90_days", "oldest_days"):
            named = row["name"] and row["name"][language]
            before = seen.open_before[name] if row is seen.open else None
            yield [said("open"), row["key"], named, name, row[name], before, None, None]
