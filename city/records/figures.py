"""Figures by zone, department, category or group: how many, how quickly, how late; and the period before beside them.

Medians and 90th percentiles, never averages: one report that lay for a year says nothing about all others. Where there
are too few reports for a figure, or the share asked for has not been reached, there is None and the reason.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from city.database import ReadSession
from city.errors import InvalidInput
from city.records.insight import LEAST, SOLVED, VOID, Period, Scope, Sieve, told
from city.records.waiting import Waits
from city.registry.view import MunicipalityView, Named

By = Literal["zone", "department", "category", "group"]
FEW: Final = "few"
NOT_REACHED: Final = "not_reached"
NONE_YET: Final = "none"
FIGURES: Final = (
    "received",
    "open",
    "solved",
    "answer_median_hours",
    "answer_p90_hours",
    "solve_median_hours",
    "solve_p90_hours",
    "late_share",
)

_KEYS: Final[dict[str, str]] = {
    "zone": "report.zone_ids",
    "department": "report.department_id",
    "category": "report.category_id",
    "group": "report.group_slug",
}


STEPS: Final = 50
"""Waits are counted in steps that grow with them, so many to each e-fold: few different ones, each right to 1 %."""
SHORTEST_HOURS: Final = 0.1

OPEN, SOLUTION, DUE, LATE = 1, 2, 4, 8
"""What a report is, as bits of one number: fewer columns to group by."""


def _step(end: str) -> str:
    """The step of the wait from `created_at` to `end`."""
    seconds = f"greatest(date_part('epoch', {end}) - date_part('epoch', report.created_at), 0)"
    return f"floor(ln(1 + {seconds} / {SHORTEST_HOURS * 3600}) * {STEPS})::integer"


def hours_of(step: int) -> float:
    """The hours in the middle of a step."""
    return SHORTEST_HOURS * math.expm1((step + 0.5) / STEPS)


_COUNTED: Final = f"""
SELECT {{key}} AS key, report.created_at >= %(start_at)s AS is_now,
  {OPEN} * report.is_open::integer + {SOLUTION} * (report.state = ANY(%(solved)s))::integer
    + CASE WHEN report.state <> ALL(%(void)s)
             AND (report.solved_at IS NOT NULL OR (report.is_open AND report.deadline_at < %(now)s))
           THEN {DUE} + {LATE} * (coalesce(report.solved_at, %(now)s) > report.deadline_at)::integer ELSE 0 END AS what,
  CASE WHEN report.answered_at IS NOT NULL THEN {_step("report.answered_at")}
       WHEN report.is_open THEN -1 - {_step("%(now)s::timestamptz")} END AS answer,
  CASE WHEN report.state = ANY(%(void)s) THEN NULL
       WHEN report.solved_at IS NOT NULL THEN {_step("report.solved_at")}
       WHEN report.is_open THEN -1 - {_step("%(now)s::timestamptz")} END AS solution
FROM report
WHERE {{scope}} AND report.created_at >= %(before_at)s AND report.created_at < %(end_at)s{{sieve}}
"""  # noqa: S608
_GROUPED: Final = """
WITH counted AS NOT MATERIALIZED ({counted})
SELECT key, is_now, what, answer, NULL::integer AS solution, count(*) FROM counted GROUP BY 1, 2, 3, 4
UNION ALL
SELECT key, is_now, NULL, NULL, solution, count(*) FROM counted WHERE solution IS NOT NULL GROUP BY 1, 2, 5
"""
"""Two passes, which PostgreSQL makes side by side; one pass with both waits would have a group for nearly each report.
A wait that lasts is counted as -1 minus its step."""


@dataclass(slots=True)
class Tally:
    """What was counted of one zone (or department, …) in one period."""

    received: int = 0
    open: int = 0
    solved: int = 0
    due: int = 0
    """Solved, or not solved though the deadline has passed: of the others nobody knows yet."""
    late: int = 0
    answers: Waits = field(default_factory=Waits)
    solutions: Waits = field(default_factory=Waits)

    def figures(self, scope: Scope) -> dict[str, Any]:
        """The figures by name; where one is None, `reasons` says why: `few`, `not_reached` or `none`."""
        if not told(scope, self.received):
            return dict.fromkeys(FIGURES) | {"reasons": dict.fromkeys(FIGURES, FEW)}
        figures: dict[str, Any] = {"received": self.received, "open": self.open, "solved": self.solved}
        reasons = {}
        for name, waits, share in (
            ("answer_median_hours", self.answers, 0.5),
            ("answer_p90_hours", self.answers, 0.9),
            ("solve_median_hours", self.solutions, 0.5),
            ("solve_p90_hours", self.solutions, 0.9),
        ):
            step = waits.until(share) if len(waits) >= LEAST else None
            figures[name] = None if step is None else round(hours_of(step), 1)
            if step is None:
                reasons[name] = NOT_REACHED if len(waits) >= LEAST else _too_few(len(waits))
        figures["late_share"] = round(self.late / self.due, 4) if self.due >= LEAST else None
        if self.due < LEAST:
            reasons["late_share"] = _too_few(self.due)
        return figures | {"reasons": reasons}


def _too_few(number: int) -> str:
    return FEW if number else NONE_YET


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: figures by what (of which zone layer), of which reports, and what time it is."""

    by: By
    layer: str | None
    period: Period
    sieve: Sieve
    now: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the answer: its key (None: in no zone of the layer) and its name."""

    key: str | None
    name: Named | None


Tallies = dict[tuple[Line, bool], Tally]


def figures(session: ReadSession, scope: Scope, asked: Question) -> list[dict[str, Any]]:
    """One row for each zone of `layer` (department, category or group), with most reports first; one statement.

    Each has `key`, `name`, the figures, `reasons`, and the same of the period before under `before`.
    Raises InvalidInput where the layer is not there, or the municipality is not said.
    """
    municipality = scope.municipality
    if municipality is None:
        raise InvalidInput("insight.which_municipality", field="municipality")
    lines_of = _lines(municipality, scope, asked)
    tallies: defaultdict[tuple[Line, bool], Tally] = defaultdict(Tally)
    for key, is_now, *row in _counted(session, scope, asked):
        for line in lines_of(key):
            _add(tallies[line, is_now], *row)
    lines = {line for line, _ in tallies} | set(lines_of.all)
    shown = sorted(lines, key=lambda line: (-tallies[line, True].received, line.key or "\uffff"))
    return [
        {"key": line.key, "name": line.name and {"it": line.name.it, "en": line.name.en}}
        | tallies[line, True].figures(scope)
        | {"before": tallies[line, False].figures(scope)}
        for line in shown
    ]


def layers(municipality: MunicipalityView) -> list[str]:
    """The slugs of the zone layers that have zones here."""
    return sorted({municipality.zones[key].layer for key in municipality.index.keys})


def _counted(session: ReadSession, scope: Scope, asked: Question) -> Iterable[tuple[Any, ...]]:
    period = asked.period
    clause, values = scope.clause()
    sieved, more = asked.sieve.clauses(scope)
    query = _GROUPED.format(counted=_COUNTED.format(key=_KEYS[asked.by], scope=clause, sieve=sieved))
    return session.raw.execute(
        query,
        values
        | more
        | {
            "now": asked.now,
            "start_at": period.start_at,
            "end_at": period.end_at,
            "before_at": period.before().start_at,
            "solved": list(SOLVED),
            "void": list(VOID),
        },
    )


def _add(tally: Tally, what: int | None, answer: int | None, solution: int | None, count: int) -> None:
    """A row of the statement: of its first pass (`what` is told) or of its second."""
    if what is not None:
        tally.received += count
        tally.open += count * bool(what & OPEN)
        tally.solved += count * bool(what & SOLUTION)
        tally.due += count * bool(what & DUE)
        tally.late += count * bool(what & LATE)
    for waits, step in ((tally.answers, answer), (tally.solutions, solution)):
        if step is not None:
            waits.add(step if step >= 0 else -1 - step, count, is_over=step >= 0)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Which lines a key of the statement counts for; `all` are shown also with no report."""

    all: tuple[Line, ...]
    of: Callable[[Any], tuple[Line, ...]]

    def __call__(self, key: Any) -> tuple[Line, ...]:
        return self.of(key)


def _lines(municipality: MunicipalityView, scope: Scope, asked: Question) -> _Lines:
    if asked.by == "zone":
        return _zone_lines(municipality, asked.layer, asked.period)
    if asked.by == "department":
        named = {d.id: Line(d.slug, d.name) for d in municipality.departments.values()}
    elif asked.by == "category":
        seen = [c for c in municipality.categories.values() if c.is_public or not scope.is_public]
        named = {c.id: Line(c.slug, c.name) for c in seen}
    else:
        groups = {slug: Line(slug, group.name) for slug, group in scope.groups.items()}
        return _Lines(tuple(groups.values()), lambda key: (groups[key],))
    return _Lines(tuple(named.values()), lambda key: (named[key],) if key in named else ())


def _zone_lines(municipality: MunicipalityView, layer: str | None, period: Period) -> _Lines:
    known = layers(municipality)
    if layer is None or layer not in known:
        raise InvalidInput("insight.which_layer", field="layer", value=layer or "-", known=", ".join(known) or "-")
    # A layer that was redrawn has several zones of one code: reports keep those of their time, the figures are one.
    newest = sorted((z for z in municipality.zones.values() if z.layer == layer), key=lambda zone: zone.valid_from)
    by_code = {zone.code: Line(zone.code, Named(zone.name, zone.name)) for zone in newest}
    by_id = {zone.id: by_code[zone.code] for zone in newest}
    in_force = {
        z.code for z in newest if z.valid_from < period.after and (z.valid_until or period.after) > period.first
    }
    nowhere = (Line(None, None),)

    def of(zone_ids: list[int]) -> tuple[Line, ...]:
        return tuple(dict.fromkeys(by_id[key] for key in zone_ids if key in by_id)) or nowhere

    return _Lines(tuple(line for code, line in by_code.items() if code in in_force), of)
