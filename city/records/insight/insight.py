"""What the council looks at: whose reports, of when, and how many there were month by month.

The public's figures are counted as `lampione_reader`, to whom hidden reports do not exist; and a number of one to four
is not told, because it may point at somebody. Staff count all that they may read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from city.database import ReadSession
from city.errors import InvalidInput
from city.records.insight.withholding import LEAST as LEAST
from city.records.insight.withholding import of_line, of_table
from city.registry.municipality import GroupView, MunicipalityView, Registry
from city.registry.staff.people import Right, Staff
from city.reports.lifecycle import State

SOLVED: Final = (State.RESOLVED.value, State.CLOSED.value)
VOID: Final = (State.REJECTED.value, State.DUPLICATE.value, State.WITHDRAWN.value)
"""States of what was no trouble of its own."""
MOST_MONTHS: Final = 120
USUAL_MONTHS: Final = 12
HOME: Final = ZoneInfo("Europe/Rome")
EARLIEST_YEAR, LATEST_YEAR = 1900, 2200
_DAY: Final = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose reports (of one municipality, or None: of all), for whose eyes (None: anybody's).

    A part of another report's work is no report of a citizen: it is never public, and counts for nobody.
    """

    registry: Registry
    municipality: MunicipalityView | None
    staff: Staff | None = None

    @property
    def is_public(self) -> bool:
        """Whether anybody may see what is counted."""
        return self.staff is None

    @property
    def is_whole(self) -> bool:
        """Whether every report is counted, hidden ones too."""
        if self.staff is None or self.municipality is None:
            return False
        return self.staff.sight(Right.READ, self.municipality).is_whole

    @property
    def zone(self) -> ZoneInfo:
        """The clock by which months begin."""
        return self.municipality.time_zone if self.municipality else HOME

    @property
    def groups(self) -> dict[str, GroupView]:
        """The groups of categories."""
        return self.registry.groups

    def clause(self) -> tuple[str, dict[str, Any]]:
        """The condition on `report` and its values. Raises Forbidden where staff may not read reports."""
        if self.staff is None:
            own = "report.municipality_id = %(municipality_id)s AND " if self.municipality else ""
            values = {"municipality_id": self.municipality.id} if self.municipality else {}
            return f"{own}report.is_public", values
        assert self.municipality is not None
        self.staff.needs(Right.READ)
        scope, values = self.staff.sight(Right.READ, self.municipality).clause()
        return (
            f"report.municipality_id = %(municipality_id)s AND report.parent_id IS NULL AND {scope}",
            values | {"municipality_id": self.municipality.id},
        )

    def key(self) -> tuple[object, ...]:
        """Equal for those who see the same."""
        clause, values = self.clause()
        return clause, self.is_public, repr(sorted(values.items())), self.municipality and self.municipality.id


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days of a municipality's calendar, from the `first` to before `after`."""

    first: date
    after: date
    zone: ZoneInfo
    by_month: bool

    @classmethod
    def read(cls, start: str | None, end: str | None, zone: ZoneInfo, now: datetime) -> Period:
        """From `YYYY-MM` or `YYYY-MM-DD` to the same, both included; else the last twelve months, this one too.

        Raises InvalidInput naming `from` or `to`.
        """
        today = now.astimezone(zone).date()
        after = _after(end) if end else months_later(today.replace(day=1), 1)
        first = _first(start, "from") if start else months_later(_month_of(after), -USUAL_MONTHS)
        by_month = first.day == 1 and after.day == 1
        if not first < after:
            raise InvalidInput("insight.backwards", field="to", first=start or first, last=end or today)
        if first < months_later(after, -MOST_MONTHS):
            raise InvalidInput("insight.too_long", field="from", most=MOST_MONTHS)
        return cls(first, after, zone, by_month)

    @property
    def start_at(self) -> datetime:
        """The first moment of it."""
        return datetime.combine(self.first, time(), self.zone).astimezone(UTC)

    @property
    def end_at(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.after, time(), self.zone).astimezone(UTC)

    @property
    def last(self) -> date:
        """Its last day."""
        return self.after - timedelta(days=1)

    def before(self) -> Period:
        """The period just before, as long as this one: as many months, or as many days."""
        if self.by_month:
            months = (self.after.year - self.first.year) * 12 + self.after.month - self.first.month
            return Period(months_later(self.first, -months), self.first, self.zone, self.by_month)
        return Period(self.first - (self.after - self.first), self.first, self.zone, self.by_month)

    def months(self) -> list[date]:
        """The first day of each of its months."""
        found = [self.first.replace(day=1)]
        while (following := months_later(found[-1], 1)) < self.after:
            found.append(following)
        return found

    def as_json(self) -> dict[str, str]:
        """Its first and last day."""
        return {"from": self.first.isoformat(), "to": self.last.isoformat()}


@dataclass(frozen=True, slots=True)
class Sieve:
    """Which of the reports in scope; None: any."""

    group: str | None = None
    category: str | None = None
    department: str | None = None
    state: State | None = None

    def clauses(self, scope: Scope) -> tuple[str, dict[str, Any]]:
        """Conditions on `report`, each led by AND, and their values. Raises InvalidInput for names not there."""
        if self.group is not None and self.group not in scope.groups:
            known = ", ".join(scope.groups)
            raise InvalidInput("insight.unknown_group", field="group", value=self.group, known=known)
        conditions = (
            ("report.group_slug = %(group)s", "group", self.group),
            ("report.category_id = ANY(%(category_ids)s)", "category_ids", self._category_ids(scope)),
            ("report.department_id = %(department_id)s", "department_id", self._department_id(scope)),
            ("report.state = %(state)s", "state", self.state and self.state.value),
        )
        chosen = [(clause, name, value) for clause, name, value in conditions if value is not None]
        return "".join(f" AND {clause}" for clause, _, _ in chosen), {name: value for _, name, value in chosen}

    def _department_id(self, scope: Scope) -> int | None:
        if self.department is None:
            return None
        if scope.municipality is None:
            raise InvalidInput("insight.which_municipality", field="municipality")
        return scope.municipality.department(self.department).id

    def _category_ids(self, scope: Scope) -> list[int] | None:
        if self.category is None:
            return None
        places = [scope.municipality] if scope.municipality else list(scope.registry.municipalities.values())
        found = {here.categories[self.category].id for here in places if self.category in here.categories}
        if not found:
            where = scope.municipality.name if scope.municipality else "-"
            raise InvalidInput("intake.unknown_category", field="category", value=self.category, municipality=where)
        return sorted(found)


def months(session: ReadSession, scope: Scope, period: Period, sieve: Sieve) -> list[dict[str, Any]]:
    """For every month and category group: how many reports came in, and how many of these are open or solved now.

    To the public, one to four are told as None, and so is what would give them away.
    """
    clause, values = scope.clause()
    sieved, more = sieve.clauses(scope)
    firsts = period.months()
    edges = [datetime.combine(first, time(), period.zone) for first in firsts]
    found = session.raw.execute(
        "SELECT width_bucket(report.created_at, %(edges)s::timestamptz[]), report.group_slug, count(*),"  # noqa: S608
        " count(*) FILTER (WHERE report.is_open), count(*) FILTER (WHERE report.state = ANY(%(solved)s))"
        f" FROM report WHERE {clause} AND report.created_at >= %(start_at)s AND report.created_at < %(end_at)s{sieved}"
        " GROUP BY 1, 2",
        values | more | {"edges": edges, "solved": list(SOLVED), "start_at": period.start_at, "end_at": period.end_at},
    )
    counted = {(bucket, group): numbers for bucket, group, *numbers in found}
    cells = [(bucket, group) for bucket in range(1, len(firsts) + 1) for group in scope.groups]
    received = np.array([counted.get(cell, (0,))[0] for cell in cells], dtype=np.int64)
    hidden = of_table(received.reshape(len(firsts), -1)).ravel() if scope.is_public else np.zeros(len(cells), np.bool_)
    return [
        {"month": f"{firsts[bucket - 1]:%Y-%m}", "group": group}
        | dict(
            zip(
                ("received", "open", "solved"),
                (None,) * 3 if few else counted.get((bucket, group), (0, 0, 0)),
                strict=True,
            )
        )
        for (bucket, group), few in zip(cells, hidden.tolist(), strict=True)
    ]


def flow(session: ReadSession, scope: Scope, period: Period, sieve: Sieve) -> list[dict[str, Any]]:
    """For every month what came in and what was done: `received`, `solved` and `reopened` in it, each whenever the
    report itself came. A report counts as solved when it was so last, and as reopened when that happened last.

    To the public, one to four are told as None, and so is what would give them away.
    """
    clause, values = scope.clause()
    sieved, more = sieve.clauses(scope)
    firsts = period.months()
    edges = [datetime.combine(first, time(), period.zone) for first in firsts]
    moments = ", ".join(f"('{name}', report.{moment})" for name, moment in FLOWS.items())
    query = (
        "SELECT moment.name, width_bucket(moment.at, %(edges)s::timestamptz[]), count(*)"  # noqa: S608
        f" FROM report CROSS JOIN LATERAL (VALUES {moments}) AS moment (name, at)"
        f" WHERE {clause} AND moment.at >= %(start_at)s AND moment.at < %(end_at)s{sieved} GROUP BY 1, 2"
    )
    found = session.raw.execute(
        query, values | more | {"edges": edges, "start_at": period.start_at, "end_at": period.end_at}
    )
    counted = {(name, bucket): number for name, bucket, number in found}
    rows: list[dict[str, Any]] = [{"month": f"{first:%Y-%m}"} for first in firsts]
    for name in FLOWS:
        numbers = np.array([counted.get((name, bucket), 0) for bucket in range(1, len(rows) + 1)], dtype=np.int64)
        hidden = of_line(numbers) if scope.is_public else np.zeros(len(rows), np.bool_)
        for row, number, few in zip(rows, numbers.tolist(), hidden.tolist(), strict=True):
            row[name] = None if few else number
    return rows


FLOWS: Final = {"received": "created_at", "solved": "solved_at", "reopened": "reopened_at"}


def _first(given: str, field: str) -> date:
    written = _DAY.fullmatch(given)
    try:
        day = date(*(int(part or 1) for part in written.groups())) if written else None
    except ValueError:
        day = None
    if day is None or not EARLIEST_YEAR <= day.year <= LATEST_YEAR:
        raise InvalidInput("insight.bad_day", field=field, value=given)
    return day


def read_day(given: str, field: str) -> date:
    """The day of YYYY-MM-DD, or the last one of YYYY-MM. Raises InvalidInput."""
    day = _first(given, field)
    return day if given.count("-") > 1 else months_later(day, 1) - timedelta(days=1)


def _after(given: str) -> date:
    day = _first(given, "to")
    return day + timedelta(days=1) if given.count("-") > 1 else months_later(day, 1)


def _month_of(after: date) -> date:
    return months_later((after - timedelta(days=1)).replace(day=1), 1)


def months_later(day: date, months: int) -> date:
    """The same day so many months later; of a month too short for it the last."""
    count = day.year * 12 + day.month - 1 + months
    following = date(count // 12, count % 12 + 1, 28) + timedelta(days=4)
    longest = (following - timedelta(days=following.day)).day
    return date(count // 12, count % 12 + 1, min(day.day, longest))
