"""What comes again: the same kind of trouble at the same place, soon after it was called solved.

One statement hands over the numbers of all reports in three strings of bytes; a million of them are read as arrays
rather than as millions of Python objects. `geo/recurrence.py` finds who came after whom. A place is taken to be the
middle of its finest cell, at most 1.2 m away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from city.database import ReadSession
from city.records.insight.insight import LEAST, VOID, Period, Scope, Sieve
from city.registry.municipality import CategoryView
from geo.cells import middles
from geo.recurrence import NEVER, Troubles, came_after, first_of_each, on_a_plane

USUAL_METRES: Final = 30
USUAL_DAYS: Final = 90
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Seconds since then have room in 32 bits until 2068."""

_READ: Final = f"""
SELECT string_agg(int8send(cell), ''),
  string_agg(int8send(category_id::bigint << 32
    | greatest(floor(date_part('epoch', created_at) - {EPOCH.timestamp():.0f}), 0)::bigint), ''),
  string_agg(int4send(CASE WHEN solved_at IS NULL THEN {NEVER}
    ELSE greatest(floor(date_part('epoch', solved_at) - {EPOCH.timestamp():.0f}), 0)::integer END), '')
FROM report
WHERE {{scope}} AND report.state <> ALL(%(void)s) AND report.created_at < %(end_at)s
  AND (report.created_at >= %(start_at)s OR report.solved_at >= %(earliest)s){{sieve}}
"""  # noqa: S608
_NUMBERS: Final = """
SELECT number, cell, category_id, created_at FROM report
WHERE {scope} AND report.cell = ANY(%(cells)s) AND report.created_at < %(end_at)s ORDER BY report.created_at
"""


@dataclass(frozen=True, slots=True)
class Again:
    """How near and how soon counts as the same trouble again, and how many places to tell of."""

    metres: int = USUAL_METRES
    days: int = USUAL_DAYS
    most: int = 100


Mark = tuple[int, int, int]
"""By what a report is found again: cell, category and second."""


@dataclass(frozen=True, slots=True)
class _Found:
    """All that was read, and what came after what; arrays of shape (n,)."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    cell: NDArray[np.int64]
    troubles: Troubles
    after: NDArray[np.int64]


def recurrence(session: ReadSession, scope: Scope, period: Period, sieve: Sieve, again: Again) -> dict[str, Any]:
    """Places where it came again within the period, the worst first, and the share of all reports that were such.

    Raises InvalidInput, Forbidden.
    """
    found = _read(session, scope, period, sieve, again)
    start = _seconds(period.start_at)
    is_ours = found.troubles.created >= start
    is_again = is_ours & (found.after >= 0)
    received, repeated = int(is_ours.sum()), int(is_again.sum())
    # To whoever may see everything one by one anyway, a count of four is no secret; but a share of four is no share.
    enough = received >= LEAST
    return {
        "metres": again.metres,
        "days": again.days,
        "received": received if enough or not scope.is_public else None,
        "again": repeated if enough or not scope.is_public else None,
        "share": round(repeated / received, 4) if enough else None,
        "reason": None if enough else "few",
        "places": _places(session, scope, period, found, is_again, most=again.most),
    }


def _read(session: ReadSession, scope: Scope, period: Period, sieve: Sieve, again: Again) -> _Found:
    clause, values = scope.clause()
    sieved, more = sieve.clauses(scope)
    row = session.raw.execute(
        _READ.format(scope=clause, sieve=sieved),
        values
        | more
        | {
            "void": list(VOID),
            "start_at": period.start_at,
            "end_at": period.end_at,
            "earliest": period.start_at - timedelta(days=again.days),
        },
        binary=True,
    ).fetchone()
    assert row is not None
    cell, kind_and_created, solved = (
        np.frombuffer(column or b"", dtype=kind).astype(np.int64)
        for column, kind in zip(row, (">i8", ">i8", ">i4"), strict=True)
    )
    degrees = middles(cell)
    troubles = Troubles(
        *on_a_plane(*degrees), kind=kind_and_created >> 32, created=kind_and_created & 0xFFFF_FFFF, solved=solved
    )
    after = came_after(troubles, metres=again.metres, seconds=again.days * 86_400)
    return _Found(*degrees, cell, troubles, after)


def _places(
    session: ReadSession,
    scope: Scope,
    period: Period,
    found: _Found,
    is_again: NDArray[np.bool_],
    *,
    most: int,
) -> list[dict[str, Any]]:
    """The worst places: a chain of reports each that came again, with how often in the period."""
    first = first_of_each(found.after)
    names, times = np.unique(first[is_again], return_counts=True)
    chosen = names[np.lexsort((names, -times))][:most]
    often = dict(zip(names.tolist(), times.tolist(), strict=True))
    members = np.nonzero(np.isin(first, chosen))[0]
    members = members[np.argsort(found.troubles.created[members], kind="stable")]
    chains: dict[int, list[int]] = {int(name): [] for name in chosen}
    for member in members.tolist():
        chains[int(first[member])].append(member)
    numbers = _numbers(session, scope, period, found, members.tolist())
    categories = _categories(scope)
    return [_place(found, chain, often[name], numbers, categories) for name, chain in chains.items()]


def _place(
    found: _Found,
    chain: list[int],
    times: int,
    numbers: dict[Mark, str],
    categories: dict[int, CategoryView],
) -> dict[str, Any]:
    created = found.troubles.created[chain]
    category = categories[int(found.troubles.kind[chain[0]])]
    return {
        "place": {"lon": round(float(found.lon[chain].mean()), 6), "lat": round(float(found.lat[chain].mean()), 6)},
        "category": category.slug,
        "group": category.group.slug,
        "reports": len(chain),
        "times": times,
        "first_at": _moment(int(created[0])).isoformat(),
        "last_at": _moment(int(created[-1])).isoformat(),
        "is_open": bool(found.troubles.solved[chain[-1]] == NEVER),
        "numbers": [number for member in chain if (number := numbers.get(_mark(found, member)))],
    }


def _mark(found: _Found, member: int) -> Mark:
    return int(found.cell[member]), int(found.troubles.kind[member]), int(found.troubles.created[member])


def _numbers(session: ReadSession, scope: Scope, period: Period, found: _Found, members: list[int]) -> dict[Mark, str]:
    """The public numbers of some reports: read for the few that are shown, not for all that are counted."""
    clause, values = scope.clause()
    cells = {int(found.cell[member]) for member in members}
    rows = session.raw.execute(
        _NUMBERS.format(scope=clause), values | {"cells": list(cells), "end_at": period.end_at}
    ).fetchall()
    return {(cell, kind, _seconds(created_at)): number for number, cell, kind, created_at in rows}


def _categories(scope: Scope) -> dict[int, CategoryView]:
    places = [scope.municipality] if scope.municipality else list(scope.registry.municipalities.values())
    return {key: category for here in places for key, category in here.category_ids.items()}


def _seconds(moment: datetime) -> int:
    return max(0, (moment - EPOCH) // timedelta(seconds=1))


def _moment(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)
