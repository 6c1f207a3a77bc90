"""How long people wait, told honestly: those who wait still are counted as waiting, not left out.

A median of only the reports that were answered flatters an office that leaves the hard ones lying. Kaplan and Meier's
estimate ("Nonparametric estimation from incomplete observations", JASA 53, 1958) uses both: of a report not yet
answered it is known that it has waited at least until now.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Waits:
    """How many reports waited how long, in whole steps: those it ended for and those who wait still."""

    ended: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    waiting: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))

    def __len__(self) -> int:
        return sum(self.ended.values()) + sum(self.waiting.values())

    def add(self, length: int, number: int, *, is_over: bool) -> None:
        """`number` reports that waited so long, or (not `is_over`) have waited so long and wait on."""
        (self.ended if is_over else self.waiting)[length] += number

    def until(self, share: float) -> int | None:
        """After what wait this share (0 to 1) of all is over; None where that has not come yet.

        Where nobody waits any more, that is the plain quantile: the shortest wait that at least this share had.
        """
        left = len(self)
        lasting = 1.0
        for length in sorted(self.ended.keys() | self.waiting.keys()):
            over = self.ended.get(length, 0)
            if over:
                lasting *= 1 - over / left
                if lasting <= 1 - share + 1e-12:
                    return length
            left -= over + self.waiting.get(length, 0)
        return None
