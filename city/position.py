"""Where somebody stands in the order of changes: PostgreSQL's snapshot of their last look, as the `id` of an event.

Transactions end in another order than they begin, so neither a number nor a moment says what somebody has been told;
a snapshot does, on any process and after any restart: all transactions below `until`, but for those `pending`. In the
middle of a transaction that changed many reports, `entry` is its last timeline entry that was told.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

MOST_PENDING: Final = 1_000
"""Transactions at work at the same time in a position that we read; a server has fewer connections."""
LONGEST: Final = 12_000
"""Letters of a position that we read."""

_FORM: Final = re.compile(r"(\d{1,12})\.(\d{1,19})\.((?:\d{1,19}(?:-\d{1,19})*)?)\.(\d{1,19})\.(\d{1,19})", re.ASCII)


class Position(NamedTuple):
    """All transactions below `until` are seen, but for those `pending`; of `transaction` what goes up to `entry`.

    `transaction` (0: none) is pending, or `until` itself. `at` is the database's clock, seconds since 1970.
    """

    at: int
    until: int
    pending: frozenset[int] = frozenset()
    transaction: int = 0
    entry: int = 0

    @classmethod
    def of(cls, snapshot: str, at: int) -> Self:
        """The position after a look with that snapshot, as PostgreSQL writes it: `xmin:xmax:xip,xip`."""
        _, until, pending = snapshot.split(":")
        return cls(at, int(until), frozenset(map(int, filter(None, pending.split(",")))))

    @classmethod
    def read(cls, written: str) -> Self | None:
        """The position that `str` wrote; None where it is none."""
        found = _FORM.fullmatch(written) if len(written) <= LONGEST else None
        if found is None:
            return None
        at, until, transaction, entry = (int(found[group]) for group in (1, 2, 4, 5))
        pending = frozenset(until - int(back) for back in filter(None, found[3].split("-")))
        is_sound = len(pending) <= MOST_PENDING and all(0 < one < until for one in pending) and until < 2**63
        if not is_sound or (transaction and transaction != until and transaction not in pending) or entry >= 2**63:
            return None
        return cls(at, until, pending, transaction, entry)

    def __str__(self) -> str:
        """For an event's `id`: opaque to clients, and needing no escape in an address."""
        pending = "-".join(str(self.until - one) for one in sorted(self.pending, reverse=True))
        return f"{self.at}.{self.until}.{pending}.{self.transaction}.{self.entry}"

    def has_seen(self, transaction: int) -> bool:
        """Whether it has seen all of that transaction."""
        return transaction < self.until and transaction not in self.pending

    def has_told(self, transaction: int, entry: int) -> bool:
        """Whether it has told a change whose last entry is `entry`."""
        return self.has_seen(transaction) or (transaction == self.transaction and entry <= self.entry)

    def within(self, transaction: int, entry: int, new: Position) -> Position:
        """On the way to `new`: this one, all that `new` sees of transactions before, and this one up to `entry`.

        Told is in the order of transactions, but for what is left of this position's own: that comes first. So a
        stream that is cut anywhere goes on exactly there.
        """
        if transaction == self.transaction:
            return self._replace(at=new.at, entry=entry)
        begun = self._finished()
        until = max(begun.until, transaction)
        unseen = {one for one in begun.pending if one >= transaction or not new.has_seen(one)}
        unseen |= {one for one in new.pending if begun.until <= one < until}
        return Position(new.at, until, frozenset(unseen), transaction, entry)

    def _finished(self) -> Position:
        """With all of its own transaction."""
        if not self.transaction:
            return self
        until = max(self.until, self.transaction + 1)
        return Position(self.at, until, self.pending - {self.transaction})
