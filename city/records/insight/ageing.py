"""What lay open at a moment, and for how long already: the ages that no median of the solved ones tells.

Whether a report is open now stands on it. Whether it was at a moment gone by stands in its timeline; only those changed
since then are looked up there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import Any, Final

import numpy as np

from city.database import ReadSession
from city.errors import InvalidInput
from city.records.insight.insight import LEAST, Period, Scope, Sieve, read_day
from city.records.insight.lines import KEYS, By, Line, lines, total_line
from city.records.insight.withholding import of_line, of_table
from city.reports.lifecycle import State

CLASSES: Final = (7, 30, 90, 180, 365)
"""Where a class of ages ends, in whole days, and the next begins; the last one has no end."""
ENDED: Final = [state.value for state in State if not state.is_open]

_OPEN_THEN: Final = """
(CASE WHEN looked_at.updated_at < %(at)s THEN looked_at.is_open ELSE coalesce((
  SELECT entry.to_state <> ALL(%(ended)s) FROM timeline_entry AS entry
  WHERE entry.municipality_id = looked_at.municipality_id AND entry.report_id = looked_at.id AND entry.at < %(at)s
    AND entry.to_state IS NOT NULL AND entry.what NOT LIKE 'master%%'
  ORDER BY entry.at DESC, entry.id DESC LIMIT 1), true) END)
"""
_COUNTED: Final = """
WITH looked_at AS MATERIALIZED (
  SELECT report.municipality_id, report.id, {key} AS key, report.is_open, report.updated_at, report.created_at,
    report.deadline_at, report.paused_at
  FROM report
  WHERE {scope} AND report.created_at < %(at)s AND (report.is_open OR report.updated_at >= %(at)s){sieve}
)
SELECT key, floor(date_part('epoch', %(at)s - created_at) / 86400)::integer,
  deadline_at < coalesce(least(paused_at, %(at)s), %(at)s), count(*)
FROM looked_at WHERE {is_open} GROUP BY 1, 2, 3
"""
"""In two steps: the first reads all reports side by side, the second looks into the timeline of the few that need it.
As one, PostgreSQL takes the second for so dear that it chooses a slow way for the first."""


@dataclass(frozen=True, slots=True)
class AgeingQuestion:
    """What is asked: by what (of which zone layer), what was open when `day` ended, of which reports."""

    by: By
    layer: str | None
    day: date
    sieve: Sieve
    now: datetime


def day_of(scope: Scope, at: str | None, now: datetime) -> date:
    """The day given (YYYY-MM-DD, or YYYY-MM for the month's last one); today, without. Raises InvalidInput."""
    today = now.astimezone(scope.zone).date()
    day = read_day(at, "at") if at else today
    if day > today:
        raise InvalidInput("insight.future", field="at", value=at)
    return day


@dataclass(slots=True)
class _Pile:
    """What lies in one line."""

    days: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    late: int = 0

    def add(self, days: int, count: int, *, is_late: bool) -> None:
        self.days[max(days, 0)] += count
        self.late += count * is_late

    def classes(self) -> list[int]:
        """How many in each class of ages."""
        found = [0] * (len(CLASSES) + 1)
        for days, count in self.days.items():
            found[sum(days >= edge for edge in CLASSES)] += count
        return found

    def reached_by(self, share: float) -> int | None:
        """The age in days that this share of them is not older than; None of too few."""
        ages = sorted(self.days)
        sums = list(accumulate(self.days[age] for age in ages))
        if not sums or sums[-1] < LEAST:
            return None
        return next(age for age, so_many in zip(ages, sums, strict=True) if so_many >= share * sums[-1])


def ageing(session: ReadSession, scope: Scope, asked: AgeingQuestion) -> list[dict[str, Any]]:
    """One row for each line, most first: `key`, `name`, `open`, `late`, `classes` and ages in days; one statement.

    `late` is by the deadline as it is now: what it was then is not kept.
    Raises InvalidInput where the layer is not there, or the municipality is not said.
    """
    return _rows(scope, _piles(session, scope, asked))


def ageing_and_total(
    session: ReadSession, scope: Scope, asked: AgeingQuestion
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The same, and the row of all together, from one statement. By what each report is in one line of only."""
    piles = _piles(session, scope, asked)
    whole = _Pile()
    for pile in piles.values():
        whole.late += pile.late
        for days, count in pile.days.items():
            whole.days[days] += count
    return _rows(scope, piles), _rows(scope, {total_line(): whole})[0]


def _piles(session: ReadSession, scope: Scope, asked: AgeingQuestion) -> dict[Line, _Pile]:
    period = Period(asked.day, asked.day + timedelta(days=1), scope.zone, by_month=False)
    shown = lines(scope, asked.by, asked.layer, period)
    piles: defaultdict[Line, _Pile] = defaultdict(_Pile, {line: _Pile() for line in shown.all})
    for key, days, is_late, count in _counted(session, scope, asked):
        for line in shown(key):
            piles[line].add(days, count, is_late=is_late)
    return dict(piles)


def _rows(scope: Scope, piles: dict[Line, _Pile]) -> list[dict[str, Any]]:
    classes = np.array([pile.classes() for pile in piles.values()], dtype=np.int64)
    hidden = of_table(classes) if scope.is_public else np.zeros(classes.shape, np.bool_)
    few = of_line(classes.sum(axis=1)) if scope.is_public else np.zeros(len(piles), np.bool_)
    rows = [
        _row(line, pile, None if is_few else [None if c else n for n, c in zip(numbers, cells, strict=True)])
        for (line, pile), numbers, cells, is_few in zip(
            piles.items(), classes.tolist(), hidden.tolist(), few.tolist(), strict=True
        )
    ]
    return sorted(rows, key=lambda row: (-(0.5 if row["open"] is None else row["open"]), row["key"] or "\uffff"))


def _row(line: Line, pile: _Pile, classes: list[int | None] | None) -> dict[str, Any]:
    if classes is None:
        nothing = dict.fromkeys(("open", "late", "median_days", "p90_days", "oldest_days"))
        return line.as_json() | nothing | {"classes": [None] * (len(CLASSES) + 1)}
    count = sum(pile.days.values())
    return line.as_json() | {
        "open": count,
        "late": pile.late,
        "median_days": pile.reached_by(0.5),
        "p90_days": pile.reached_by(0.9),
        "oldest_days": max(pile.days) if count >= LEAST else None,
        "classes": classes,
    }


def _counted(session: ReadSession, scope: Scope, asked: AgeingQuestion) -> list[tuple[Any, ...]]:
    clause, values = scope.clause()
    sieved, more = asked.sieve.clauses(scope)
    after = datetime.combine(asked.day + timedelta(days=1), time(), scope.zone).astimezone(UTC)
    is_past = after <= asked.now
    query = _COUNTED.format(
        key=KEYS[asked.by], scope=clause, sieve=sieved, is_open=_OPEN_THEN if is_past else "looked_at.is_open"
    )
    moment = {"at": after if is_past else asked.now, "ended": ENDED}
    return session.raw.execute(query, values | more | moment).fetchall()
