"""What other rules or zones would have done with the reports of the last months. Nothing is written.

Reports are not routed one by one: those of one category, in the same zones, in the same time windows go the same way,
so one of each group is routed under the rules as they are and as they would be. Both sides take the zones of today.
Of reports that are not public only numbers of them are told, never which or where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from city.database import PROVINCE
from city.registry.ground import zone_sets
from city.registry.municipality import CategoryView, DepartmentView, MunicipalityView, RuleView
from city.reports.routing import Routing, route
from city.reports.rules import RuleFields, as_view

MOST_REPORTS: Final = 1_000_000
"""More are not held in memory at once."""
MOST_EXAMPLES: Final = 5
"""Examples that are kept of each move."""

Window = tuple[frozenset[int], time | None, time | None]


@dataclass(frozen=True, slots=True)
class PastReports:
    """What routing asks of many reports: arrays of shape (n,), and lists as long."""

    numbers: list[str]
    categories: NDArray[np.int64]
    lons: NDArray[np.float64]
    lats: NDArray[np.float64]
    moments: list[datetime]
    weekdays: NDArray[np.int64]
    """ISO week days of the municipality's wall clock, 1 is Monday."""
    seconds: NDArray[np.float64]
    """Since the wall clock's midnight."""
    is_public: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.numbers)


class Example(NamedTuple):
    """A public report that would go elsewhere."""

    number: str
    category: CategoryView
    created_at: datetime
    before: Routing
    after: Routing


@dataclass(slots=True)
class Move:
    """Reports that would go from one department to another; `positions` are theirs among the reports."""

    before: DepartmentView
    after: DepartmentView
    count: int = 0
    by_category: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    positions: list[NDArray[np.intp]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would be otherwise."""

    municipality: MunicipalityView
    reports: PastReports
    moves: list[Move]
    """The largest first."""
    other_crew: int
    """Reports that would stay with their department and go to another crew."""
    would_wait: int
    """Reports that would wait for a person (a tie, a missing department), and do not today."""
    would_not_wait: int
    """The other way round."""
    groups: int
    """How many were really routed."""

    @property
    def changed(self) -> int:
        """How many would go to another department."""
        return sum(move.count for move in self.moves)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "municipality": self.municipality.slug,
            "reports": len(self.reports),
            "changed": self.changed,
            "other_crew": self.other_crew,
            "would_wait": self.would_wait,
            "would_not_wait": self.would_not_wait,
            "moves": [
                {
                    "from": move.before.slug,
                    "to": move.after.slug,
                    "count": move.count,
                    "by_category": move.by_category,
                    "examples": [
                        {
                            "number": example.number,
                            "category": example.category.slug,
                            "created_at": example.created_at.isoformat(),
                            "before": example.before.as_json(),
                            "after": example.after.as_json(),
                        }
                        for example in move.examples
                    ],
                }
                for move in self.moves
            ],
        }


def past_reports(
    connection: Connection[Any], municipality: MunicipalityView, months: int, *, most: int = MOST_REPORTS
) -> PastReports:
    """The reports of the last months, the `most` newest; also duplicates and withdrawn ones, which came in as well."""
    rows = connection.execute(
        "SELECT number, category_id, lon, lat, created_at, is_public,"
        " extract(isodow FROM local)::integer, extract(epoch FROM local::time)::float8"
        " FROM (SELECT *, created_at AT TIME ZONE %s AS local FROM report"
        " WHERE municipality_id = %s AND created_at >= now() - make_interval(months => %s)) AS past"
        " ORDER BY created_at DESC, id LIMIT %s",
        (municipality.time_zone.key, municipality.id, months, most),
    ).fetchall()
    columns: list[Any] = list(zip(*rows, strict=True)) or [()] * 8
    return PastReports(
        numbers=list(columns[0]),
        categories=np.array(columns[1], dtype=np.int64),
        lons=np.array(columns[2], dtype=np.float64),
        lats=np.array(columns[3], dtype=np.float64),
        moments=list(columns[4]),
        is_public=np.array(columns[5], dtype=bool),
        weekdays=np.array(columns[6], dtype=np.int64),
        seconds=np.array(columns[7], dtype=np.float64),
    )


def with_rules(municipality: MunicipalityView, rules: Mapping[int, Sequence[RuleFields]]) -> MunicipalityView:
    """The municipality as it would be with these rules: those of an owner (its id, or the province's) replace all of
    that owner's; those of other owners stay. Nothing is kept.

    The rules are numbered in their order, with a minus before the number.
    """
    kept = [rule for rule in municipality.rules if (municipality.id if rule.is_own else PROVINCE) not in rules]
    made = []
    for owner, given in rules.items():
        for number, fields in enumerate(given, start=1):
            if owner == municipality.id or not fields.municipalities or municipality.slug in fields.municipalities:
                made.append(as_view(fields, -number, is_own=owner == municipality.id))
    return replace(municipality, rules=(*kept, *made))


def rehearse(before: MunicipalityView, after: MunicipalityView, reports: PastReports, day: date) -> Rehearsal:
    """Route the reports under both, with the zones in force on `day`."""
    old = zone_sets(before, reports.lons, reports.lats, day)
    new = old if after.index is before.index else zone_sets(after, reports.lons, reports.lats, day)
    windows = _windows((*before.rules, *after.rules))
    columns: list[NDArray[Any]] = [reports.categories, old.which, new.which]
    columns += [_in_window(window, reports) for window in windows]
    table = np.column_stack([column.astype(np.int64) for column in columns])
    _, first, group = np.unique(table, axis=0, return_index=True, return_inverse=True)
    moves: dict[tuple[int, int], Move] = {}
    other_crew = would_wait = would_not_wait = 0
    members = _members(group.reshape(-1), len(first))
    for number, one in enumerate(first.tolist()):
        category = before.category_ids[int(reports.categories[one])]
        moment = reports.moments[one]
        was = route(before, category, old.sets[int(old.which[one])], moment)
        will = route(after, after.category_ids[category.id], new.sets[int(new.which[one])], moment)
        positions = members[number]
        if was.department.id != will.department.id:
            key = was.department.id, will.department.id
            move = moves.setdefault(key, Move(was.department, will.department))
            _add(move, category, positions, reports, (was, will))
        elif was.crew != will.crew:
            other_crew += len(positions)
        would_wait += len(positions) if will.problem and not was.problem else 0
        would_not_wait += len(positions) if was.problem and not will.problem else 0
    return Rehearsal(
        municipality=before,
        reports=reports,
        moves=sorted(moves.values(), key=lambda move: -move.count),
        other_crew=other_crew,
        would_wait=would_wait,
        would_not_wait=would_not_wait,
        groups=len(first),
    )


def _members(group: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
    """For each group the positions of its reports, the newest first."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.searchsorted(group[order], np.arange(1, count)))


def _add(
    move: Move,
    category: CategoryView,
    positions: NDArray[np.intp],
    reports: PastReports,
    routings: tuple[Routing, Routing],
) -> None:
    move.count += len(positions)
    move.by_category[category.slug] = move.by_category.get(category.slug, 0) + len(positions)
    move.positions.append(positions)
    # One of each group tells more than five of the same kind.
    public = positions[reports.is_public[positions]]
    if len(public) and len(move.examples) < MOST_EXAMPLES:
        one = int(public[0])
        move.examples.append(Example(reports.numbers[one], category, reports.moments[one], *routings))


def _windows(rules: Iterable[RuleView]) -> list[Window]:
    """The different time windows that rules speak of."""
    return list(
        {(rule.days, rule.starts_at, rule.ends_at): None for rule in rules if rule.days or rule.starts_at is not None}
    )


def _in_window(window: Window, reports: PastReports) -> NDArray[np.bool_]:
    """As `city.reports.routing` sees it, for all at once."""
    days, starts_at, ends_at = window
    today = np.isin(reports.weekdays, list(days)) if days else np.ones(len(reports), dtype=bool)
    if starts_at is None or ends_at is None:
        return today
    begin, end = _seconds(starts_at), _seconds(ends_at)
    if begin < end:
        return today & (begin <= reports.seconds) & (reports.seconds < end)
    # Past midnight the window belongs to the day on which it began.
    before = (reports.weekdays - 2) % 7 + 1
    yesterday = np.isin(before, list(days)) if days else np.ones(len(reports), dtype=bool)
    late = reports.seconds >= begin
    inside: NDArray[np.bool_] = (late & today) | (~late & (reports.seconds < end) & yesterday)
    return inside


def _seconds(moment: time) -> float:
    return moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
