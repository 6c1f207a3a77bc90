"""The same trouble at the same place again: which report came after which solved one nearby.

Reports are put into squares so small that all within one are near enough; only the squares around are measured. Time
and memory grow with the reports and with how many neighbours really lie near, not with the square of anything.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.place import METRES_PER_DEGREE

Whole = NDArray[np.int64]
Real = NDArray[np.float64]

NEVER: Final = -1
"""The moment of what has not happened."""
REACH: Final = 2
"""A square's diagonal is the distance asked for: whatever is that near lies at most two squares away."""
AT_ONCE: Final = 200_000


class Troubles(NamedTuple):
    """Reports, one a position: arrays of shape (n,)."""

    x_metres: Real
    y_metres: Real
    kind: Whole
    """Only the same kind of trouble comes again."""
    created: Whole
    """Seconds from any moment, not negative."""
    solved: Whole
    """Likewise; `NEVER` where it is not solved."""


def on_a_plane(lons: Real, lats: Real) -> tuple[Real, Real]:
    """Degrees, WGS84, as metres on a plane that is true at the middle latitude; arrays of shape (n,)."""
    if not len(lons):
        return lons, lats
    middle = math.radians((float(lats.min()) + float(lats.max())) / 2)
    return lons * (METRES_PER_DEGREE * math.cos(middle)), lats * METRES_PER_DEGREE


def came_after(troubles: Troubles, *, metres: float, seconds: int) -> Whole:
    """For every report the position of the one it repeats, or -1; shape (n,).

    That is the one solved last before it was created, at most `seconds` before, of the same kind, within `metres`.
    """
    after = np.full(len(troubles.kind), -1, dtype=np.int64)
    if (troubles.solved == NEVER).all():
        return after
    squares = _Squares(troubles, metres / math.sqrt(2))
    for start in range(0, len(after), AT_ONCE):
        asked = squares.order[start : start + AT_ONCE]
        after[asked] = squares.latest_near(asked, metres, seconds)
    return after


def first_of_each(after: Whole) -> Whole:
    """For every report the first one of its chain, perhaps itself: the name of the place; shape (n,)."""
    first = np.where(after < 0, np.arange(len(after)), after)
    while True:
        further = first[first]
        if (further == first).all():
            return first
        first = further


class _Squares:
    """Solved reports by square and moment, so that the latest before a moment is found by bisection."""

    def __init__(self, troubles: Troubles, side: float) -> None:
        self._troubles = troubles
        columns = np.floor((troubles.x_metres - troubles.x_metres.min()) / side).astype(np.int64) + REACH
        rows = np.floor((troubles.y_metres - troubles.y_metres.min()) / side).astype(np.int64) + REACH
        # Empty squares on every side of each kind's map: a neighbour's number never is one of another row or kind.
        self._width, height = int(columns.max()) + REACH + 1, int(rows.max()) + REACH + 1
        self._square = (troubles.kind * height + rows) * self._width + columns
        self.order = np.argsort(self._square, kind="stable")
        solved = np.nonzero(troubles.solved != NEVER)[0]
        solved = solved[np.lexsort((troubles.solved[solved], self._square[solved]))]
        self._solved = solved
        self._known, rank = np.unique(self._square[solved], return_inverse=True)
        self._span = int(max(troubles.solved.max(), troubles.created.max())) + 1
        self._moments = rank.astype(np.int64) * self._span + troubles.solved[solved]

    def latest_near(self, asked: Whole, metres: float, seconds: int) -> Whole:
        """The position of the one each of `asked` repeats, or -1."""
        who, ranks = self._near(asked)
        created = self._troubles.created[asked[who]]
        at = np.searchsorted(self._moments, ranks * self._span + created) - 1
        earliest = ranks * self._span + np.maximum(created - seconds, 0)
        found_who, found_at = [], []
        while len(who):
            inside = (at >= 0) & (self._moments[at] >= earliest)
            who, at, earliest = who[inside], at[inside], earliest[inside]
            near = self._is_near(asked[who], self._solved[at], metres)
            found_who.append(who[near])
            found_at.append(at[near])
            # Too far away: the one solved before it, in the same square, may be near enough.
            who, at, earliest = who[~near], at[~near] - 1, earliest[~near]
        return self._latest(len(asked), found_who, found_at)

    def _near(self, asked: Whole) -> tuple[Whole, Whole]:
        """Pairs of whoever asks and a square nearby in which something was solved: position in `asked`, rank."""
        pairs_who, pairs_rank = [], []
        for row in range(-REACH, REACH + 1):
            middle = self._square[asked] + row * self._width
            first = np.searchsorted(self._known, middle - REACH)
            last = np.searchsorted(self._known, middle + REACH, side="right")
            many = last - first
            who = np.repeat(np.arange(len(asked)), many)
            pairs_who.append(who)
            pairs_rank.append(np.arange(len(who)) - np.repeat(np.cumsum(many) - many, many) + np.repeat(first, many))
        return np.concatenate(pairs_who), np.concatenate(pairs_rank)

    def _is_near(self, one: Whole, other: Whole, metres: float) -> NDArray[np.bool_]:
        x, y = self._troubles.x_metres, self._troubles.y_metres
        near: NDArray[np.bool_] = (x[one] - x[other]) ** 2 + (y[one] - y[other]) ** 2 <= metres**2
        return near

    def _latest(self, many: int, found_who: list[Whole], found_at: list[Whole]) -> Whole:
        latest = np.full(many, -1, dtype=np.int64)
        if found_who:
            who, position = np.concatenate(found_who), self._solved[np.concatenate(found_at)]
            order = np.argsort(self._troubles.solved[position], kind="stable")
            latest[who[order]] = position[order]  # of several for the same one, the last written stays
        return latest
