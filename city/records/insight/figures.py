"""Figures by zone, department, category, group or month: how many, how quickly, how late; and the period before beside.

The public is told of lines with five reports or more. What everybody may see of each of these reports (whether it is
open, late, reopened) is counted in them as it is; what reporters say in private (that it is solved, how content they
are) must itself be so of five or more, or of none.

Medians and 90th percentiles, never averages: one report that lay for a year says nothing about all others. Where there
are too few reports for a figure, or the share asked for has not been reached, there is None and the reason.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

import numpy as np

from city.database import ReadSession
from city.records.insight.insight import LEAST, SOLVED, VOID, Period, Scope, Sieve
from city.records.insight.lines import KEYS, Across, By, Line, lines
from city.records.insight.waiting import Waits
from city.records.insight.withholding import of_line, of_table
from city.reports import deadlines

FEW: Final = "few"
NOT_REACHED: Final = "not_reached"
NONE_YET: Final = "none"
Figure = Literal[
    "received",
    "open",
    "solved",
    "confirmed",
    "reopened",
    "late",
    "late_open",
    "rated",
    "answer_median_hours",
    "answer_p90_hours",
    "solve_median_hours",
    "solve_p90_hours",
    "late_share",
    "confirmed_share",
    "reopened_share",
    "satisfied_share",
]
FIGURES: Final[tuple[str, ...]] = get_args(Figure)
COUNTS: Final = FIGURES[:8]
WAITS: Final = FIGURES[8:12]
SHARES: Final = FIGURES[12:]

STEPS: Final = 50
"""Waits are counted in steps that grow with them, so many to each e-fold: few different ones, each right to 1 %."""
SHORTEST_HOURS: Final = 0.1
CONTENT: Final = 4
"""From this rating on, of 1 to 5, a reporter is satisfied."""

COUNT, ANSWER, SOLUTION = 0, 1, 2
"""What a row of the statement counts."""

_LATE_OPEN: Final = deadlines.late("%(now)s")
_DUE: Final = f"(report.state <> ALL(%(void)s) AND (report.solved_at IS NOT NULL OR {_LATE_OPEN}))"
_SOLVED: Final = "(report.state = ANY(%(solved)s))"
FLAGS: Final[dict[str, str]] = {
    "open": "report.is_open",
    "solved": _SOLVED,
    "due": _DUE,
    "late": f"({_DUE} AND (report.solved_at IS NULL OR report.solved_at > report.deadline_at))",
    "late_open": _LATE_OPEN,
    "confirmed": f"(report.confirmed_at IS NOT NULL AND {_SOLVED})",
    "reopened": "(report.reopened_at IS NOT NULL)",
    "ended": f"({_SOLVED} OR report.reopened_at IS NOT NULL)",
    "rated": "(report.rating IS NOT NULL)",
    "satisfied": f"(coalesce(report.rating, 0) >= {CONTENT})",
}
"""What a report is, each a bit of one number: fewer columns to group by. `due`: solved, or not solved though the
deadline has passed: of the others nobody knows yet whether they will be late. `ended`: thought solved at least once."""


def _step(end: str) -> str:
    """The step of the wait from `created_at` to `end`."""
    seconds = f"greatest(date_part('epoch', {end}) - date_part('epoch', report.created_at), 0)"
    return f"floor(ln(1 + {seconds} / {SHORTEST_HOURS * 3600}) * {STEPS})::integer"


def hours_of(step: int) -> float:
    """The hours in the middle of a step."""
    return SHORTEST_HOURS * math.expm1((step + 0.5) / STEPS)


_WHAT: Final = " + ".join(f"{1 << bit} * ({flag})::integer" for bit, flag in enumerate(FLAGS.values()))
_COUNTED: Final = f"""
SELECT {{key}} AS key, {{across}} AS across, report.created_at >= %(start_at)s AS is_now,
  {_WHAT} AS what,
  CASE WHEN report.answered_at IS NOT NULL THEN {_step("report.answered_at")}
       WHEN report.is_open THEN -1 - {_step("%(now)s::timestamptz")} END AS answer,
  CASE WHEN report.state = ANY(%(void)s) THEN NULL
       WHEN report.solved_at IS NOT NULL THEN {_step("report.solved_at")}
       WHEN report.is_open THEN -1 - {_step("%(now)s::timestamptz")} END AS solution
FROM report
WHERE {{scope}} AND report.created_at >= %(before_at)s AND report.created_at < %(end_at)s{{sieve}}
"""  # noqa: S608
_GROUPED: Final = f"""
WITH counted AS NOT MATERIALIZED ({{counted}})
SELECT {COUNT}, key, across, is_now, what, count(*) FROM counted GROUP BY 2, 3, 4, 5
UNION ALL
SELECT {ANSWER}, key, across, is_now, answer, count(*) FROM counted WHERE answer IS NOT NULL GROUP BY 2, 3, 4, 5
UNION ALL
SELECT {SOLUTION}, key, across, is_now, solution, count(*) FROM counted WHERE solution IS NOT NULL GROUP BY 2, 3, 4, 5
"""  # noqa: S608
"""Three passes, which PostgreSQL makes side by side; one pass with the waits would have a group for nearly each report.
A wait that lasts is counted as -1 minus its step."""


@dataclass(slots=True)
class Tally:
    """What was counted of one line in one period."""

    received: int = 0
    flags: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FLAGS, 0))
    answers: Waits = field(default_factory=Waits)
    solutions: Waits = field(default_factory=Waits)

    def add(self, kind: int, value: int, count: int) -> None:
        """A row of the statement."""
        if kind == COUNT:
            self.received += count
            for bit, flag in enumerate(FLAGS):
                self.flags[flag] += count * (value >> bit & 1)
        else:
            waits = self.answers if kind == ANSWER else self.solutions
            waits.add(value if value >= 0 else -1 - value, count, is_over=value >= 0)

    def figures(self, untold: Collection[str]) -> dict[str, Any]:
        """The figures by name; where one is None, `reasons` says why: `few`, `not_reached` or `none`.

        `untold` names those that are not told; without `received` none is.
        """
        if "received" in untold:
            return dict.fromkeys(FIGURES) | {"reasons": dict.fromkeys(FIGURES, FEW)}
        figures: dict[str, Any] = {"received": self.received} | {name: self.flags[name] for name in COUNTS[1:]}
        reasons = {}
        for name, waits, share in zip(
            WAITS,
            (self.answers, self.answers, self.solutions, self.solutions),
            (0.5, 0.9, 0.5, 0.9),
            strict=True,
        ):
            step = waits.until(share) if len(waits) >= LEAST else None
            figures[name] = None if step is None else round(hours_of(step), 1)
            if step is None:
                reasons[name] = NOT_REACHED if len(waits) >= LEAST else _too_few(len(waits))
        for name, part, whole in zip(
            SHARES,
            ("late", "confirmed", "reopened", "satisfied"),
            ("due", "solved", "ended", "rated"),
            strict=True,
        ):
            number = self.flags[whole]
            figures[name] = round(self.flags[part] / number, 4) if number >= LEAST else None
            if number < LEAST:
                reasons[name] = _too_few(number)
        return figures | dict.fromkeys(untold) | {"reasons": reasons | dict.fromkeys(untold, FEW)}


def _too_few(number: int) -> str:
    return FEW if number else NONE_YET


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: figures by what (of which zone layer), of which reports, what time it is; and across what else."""

    by: By
    layer: str | None
    period: Period
    sieve: Sieve
    now: datetime
    across: Across | None = None
    has_before: bool = True
    """Whether the period before is asked for; without, its figures are those of nothing."""


Cell = tuple[Line, Line | None]


def figures(session: ReadSession, scope: Scope, asked: Question) -> list[dict[str, Any]]:
    """One row for each line, with most reports first, months in their order; one statement.

    Each has `key`, `name`, `across` (key and name, or None), the figures, `reasons`, and the same of the period before
    under `before`. Across something else there is a row for each pair of which there are reports.
    Raises InvalidInput where the layer is not there, the municipality is not said, or months are asked of odd days.
    """
    shown = lines(scope, asked.by, asked.layer, asked.period)
    across = lines(scope, asked.across, None, asked.period) if asked.across else None
    tallies: defaultdict[tuple[Cell, bool], Tally] = defaultdict(Tally)
    for kind, key, other, is_now, value, count in _counted(session, scope, asked):
        for line in shown(key):
            for cross in across(other) if across else (None,):
                tallies[(line, cross), is_now].add(kind, value, count)
    cells: dict[Cell, None] = {} if across else dict.fromkeys((line, None) for line in shown.all)
    cells |= dict.fromkeys(cell for cell, _ in tallies)
    untold = {is_now: _untold(scope, {cell: tallies[cell, is_now] for cell in cells}) for is_now in _BOTH}
    rows = [
        cell[0].as_json()
        | {"across": cell[1] and cell[1].as_json()}
        | tallies[cell, True].figures(untold[True][cell])
        | {"before": tallies[cell, False].figures(untold[False][cell])}
        for cell in cells
    ]
    return sorted(rows, key=_by_time if asked.by == "month" else _by_number)


_BOTH: Final = (True, False)


def _by_time(row: dict[str, Any]) -> tuple[str, str]:
    return row["key"], (row["across"] or {}).get("key", "")


def _by_number(row: dict[str, Any]) -> tuple[float, str, str]:
    """Most reports first; what is not told stands where its number tells nothing."""
    received = NOT_TOLD_AS if row["received"] is None else row["received"]
    return -received, row["key"] or "\uffff", (row["across"] or {}).get("key", "")


NOT_TOLD_AS: Final = 0.5
"""Between those told and those of which there are none."""


PRIVATE: Final = {"confirmed": ("confirmed", "confirmed_share"), "rated": ("rated", "satisfied_share")}
"""What reporters say in private: what is counted, and which figures would tell it."""


def _untold(scope: Scope, tallies: dict[Cell, Tally]) -> dict[Cell, set[str]]:
    """Which figures of each cell are not told."""
    untold: dict[Cell, set[str]] = {cell: set() for cell in tallies}
    if not scope.is_public or not tallies:
        return untold
    few = _withheld({cell: tally.received for cell, tally in tallies.items()})
    for cell in few:
        untold[cell].add("received")
    for flag, names in PRIVATE.items():
        for cell in _withheld({cell: tally.flags[flag] for cell, tally in tallies.items()}, few):
            untold[cell].update(names)
    for cell, tally in tallies.items():
        if any(
            0 < number < LEAST for number in (tally.flags["satisfied"], tally.flags["rated"] - tally.flags["satisfied"])
        ):
            untold[cell].add("satisfied_share")
    return untold


def _withheld(numbers: dict[Cell, int], already: Collection[Cell] = ()) -> set[Cell]:
    """Which numbers are not told: one to four, those that are not `already`, and what would give them away."""
    rows = {line: at for at, line in enumerate(dict.fromkeys(line for line, _ in numbers))}
    columns = {cross: at for at, cross in enumerate(dict.fromkeys(cross for _, cross in numbers))}
    table = np.zeros((len(rows), len(columns)), dtype=np.int64)
    kept = np.zeros(table.shape, dtype=np.bool_)
    for (line, cross), number in numbers.items():
        table[rows[line], columns[cross]] = number
        kept[rows[line], columns[cross]] = (line, cross) in already
    withheld = of_line(table[:, 0], kept[:, 0])[:, np.newaxis] if list(columns) == [None] else of_table(table, kept)
    return {(line, cross) for line, cross in numbers if withheld[rows[line], columns[cross]]}


def _counted(session: ReadSession, scope: Scope, asked: Question) -> Iterable[tuple[Any, ...]]:
    period = asked.period
    clause, values = scope.clause()
    sieved, more = asked.sieve.clauses(scope)
    across = KEYS[asked.across] if asked.across else "NULL::integer"
    query = _GROUPED.format(counted=_COUNTED.format(key=KEYS[asked.by], across=across, scope=clause, sieve=sieved))
    return session.raw.execute(
        query,
        values
        | more
        | {
            "now": asked.now,
            "start_at": period.start_at,
            "end_at": period.end_at,
            "before_at": period.before().start_at if asked.has_before else period.start_at,
            "solved": list(SOLVED),
            "void": list(VOID),
        },
    )
