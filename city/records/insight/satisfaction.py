"""How content reporters are: how many gave which rating, told by month, category, department or zone.

The shares of the satisfied and of what was confirmed stand among the other figures (`figures`); here is how the ratings
are spread. To the public, one to four of a rating are not told, nor what would give them away.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from city.database import ReadSession
from city.records.insight.figures import Question
from city.records.insight.insight import Scope
from city.records.insight.lines import KEYS, lines
from city.records.insight.withholding import LEAST, Numbers, Withheld, of_line, of_table

RATINGS: Final = 5

_COUNTED: Final = """
SELECT {key} AS key, report.rating, count(*) FROM report
WHERE {scope} AND report.rating IS NOT NULL
  AND report.created_at >= %(start_at)s AND report.created_at < %(end_at)s{sieve}
GROUP BY 1, 2
"""


def satisfaction(session: ReadSession, scope: Scope, asked: Question) -> list[dict[str, Any]]:
    """One row for each line: `key`, `name`, how many have `rated`, gave each of the `ratings` 1 to 5, and their `mean`.

    None: not told, or (the mean) too few to say. One statement.
    Raises InvalidInput where the layer is not there, the municipality not said, or months are asked of odd days.
    """
    shown = lines(scope, asked.by, asked.layer, asked.period)
    places = {line: at for at, line in enumerate(shown.all)}
    counted: dict[tuple[int, int], int] = {}
    for key, rating, number in _counted(session, scope, asked):
        for line in shown(key):
            cell = (places.setdefault(line, len(places)), rating - 1)
            counted[cell] = counted.get(cell, 0) + number
    table = np.zeros((len(places), RATINGS), dtype=np.int64)
    for cell, number in counted.items():
        table[cell] = number
    hidden, sums_hidden = _withheld(scope, table)
    return [
        line.as_json() | _row(table[at], hidden[at], is_sum_told=not sums_hidden[at]) for line, at in places.items()
    ]


def _row(numbers: Numbers, hidden: Withheld, *, is_sum_told: bool) -> dict[str, Any]:
    rated = int(numbers.sum())
    is_whole = is_sum_told and not hidden.any() and rated >= LEAST
    mean = float(numbers @ np.arange(1, RATINGS + 1)) / rated if is_whole else None
    return {
        "rated": rated if is_sum_told else None,
        "ratings": [None if untold else number for number, untold in zip(numbers.tolist(), hidden, strict=True)],
        "mean": None if mean is None else round(mean, 2),
    }


def _withheld(scope: Scope, table: Numbers) -> tuple[Withheld, Withheld]:
    if not scope.is_public or not table.size:
        return np.zeros(table.shape, dtype=np.bool_), np.zeros(len(table), dtype=np.bool_)
    return of_table(table), of_line(table.sum(axis=1))


def _counted(session: ReadSession, scope: Scope, asked: Question) -> list[tuple[Any, int, int]]:
    clause, values = scope.clause()
    sieved, more = asked.sieve.clauses(scope)
    query = _COUNTED.format(key=KEYS[asked.by], scope=clause, sieve=sieved)
    period = {"start_at": asked.period.start_at, "end_at": asked.period.end_at}
    return session.raw.execute(query, values | more | period).fetchall()
