"""In which order to go round some places: nearest first, then without crossings. Straight lines, no road map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from geo.place import METRES_PER_DEGREE, Place

MOST_ROUNDS: Final = 30
"""How often the whole way is looked over; it is as good as it gets long before."""
LEAST_GAIN_METRES: Final = 0.01


def tour(start: Place, places: Sequence[Place]) -> list[int]:
    """The positions of `places` in the order to visit them from `start`, without a way back.

    Always on to the nearest that is left; then stretches are turned round as long as that makes the way shorter. The
    same places in the same order give the same way. Some hundred places take a few hundredths of a second.
    """
    stops = [start, *places]
    metres = _distances(stops)
    order = [0]
    left = set(range(1, len(stops)))
    while left:
        here = metres[order[-1]]
        order.append(min(left, key=lambda stop: (here[stop], stop)))
        left.remove(order[-1])
    for _ in range(MOST_ROUNDS):
        if not _untangled(order, metres):
            break
    return [stop - 1 for stop in order[1:]]


def _distances(stops: Sequence[Place]) -> list[list[float]]:
    """Between each two, on a plane that touches the Earth at the first of them."""
    shrink = math.cos(math.radians(stops[0].lat)) * METRES_PER_DEGREE
    flat = [(stop.lon * shrink, stop.lat * METRES_PER_DEGREE) for stop in stops]
    return [[math.dist(here, there) for there in flat] for here in flat]


def _untangled(order: list[int], metres: list[list[float]]) -> bool:
    """Turn round whatever stretch gains by it; whether one did. The first stop stays the first."""
    gained = False
    last = len(order) - 1
    for first in range(1, last):
        for end in range(first + 1, last + 1):
            before, begins, ends = order[first - 1], order[first], order[end]
            gain = metres[before][begins] - metres[before][ends]
            if end < last:
                gain += metres[ends][order[end + 1]] - metres[begins][order[end + 1]]
            if gain > LEAST_GAIN_METRES:
                order[first : end + 1] = order[first : end + 1][::-1]
                gained = True
    return gained
