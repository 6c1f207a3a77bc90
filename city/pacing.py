"""How often somebody may try: a bucket that lets so many through at once and one more every so often.

Counted in PostgreSQL, so that all API processes count together, in a transaction of its own, so that a request that
fails was counted all the same. Whom it is about is kept as an HMAC: the table names nobody.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, NamedTuple

from sqlalchemy import text as statement

from city.database import PROVINCE, WriteSession, writing
from city.digests import keyed
from city.errors import CodeNeeded, TooManyRequests

MOST_KNOWN: Final = 20_000


class Pace(NamedTuple):
    """`burst` tries at once, then one more every `seconds`."""

    name: str
    burst: int
    seconds: float


_TAKE: Final = statement("""
    INSERT INTO pace (name, who, full_at) VALUES (:name, :who, now() + make_interval(secs => :seconds))
    ON CONFLICT (name, who) DO UPDATE
      SET full_at = greatest(pace.full_at, now()) + make_interval(secs => :seconds)
      WHERE greatest(pace.full_at, now()) + make_interval(secs => :seconds)
            <= now() + make_interval(secs => :seconds * :burst)
    RETURNING 1
""")
_WAIT: Final = statement("""
    SELECT extract(epoch FROM full_at + make_interval(secs => :seconds * (1 - :burst)) - now())::float
    FROM pace WHERE name = :name AND who = :who
""")
_GIVE_BACK: Final = statement("""
    UPDATE pace SET full_at = full_at - make_interval(secs => :seconds) WHERE name = :name AND who = :who
""")


def take(*wanted: tuple[Pace, str]) -> None:
    """Count one try with each of these; who has none left is told how long to wait, and nothing is counted.

    Raises TooManyRequests with `seconds`.
    """
    with writing(PROVINCE) as session:
        for pace, who in wanted:
            _take(session, pace, who)


def give_back(*taken: tuple[Pace, str]) -> None:
    """What was taken turned out not to be worth counting."""
    with writing(PROVINCE) as session:
        for pace, who in taken:
            session.execute(_GIVE_BACK, _values(pace, who))


@contextmanager
def failures(*wanted: tuple[Pace, str]) -> Iterator[None]:
    """Count a try that fails: taken before, so that many at once are no way past, and given back where it ends well.

    Raises TooManyRequests with `seconds`.
    """
    take(*wanted)
    try:
        yield
    except CodeNeeded:
        give_back(*wanted)
        raise
    give_back(*wanted)


def forget_full(session: WriteSession) -> None:
    """Forget those who may try as often as anybody again."""
    session.execute(statement("DELETE FROM pace WHERE full_at < now()"))


def _take(session: WriteSession, pace: Pace, who: str) -> None:
    values = _values(pace, who)
    if session.execute(_TAKE, values).scalar() is None:
        raise _come_back(session.execute(_WAIT, values).scalar() or pace.seconds)


def _come_back(seconds: float) -> TooManyRequests:
    return TooManyRequests("problem.too_often", seconds=max(1, math.ceil(seconds)))


def _values(pace: Pace, who: str) -> dict[str, Any]:
    digest = keyed("pace", f"{pace.name} {who}".encode())[:16]
    return {"name": pace.name, "who": digest, "seconds": pace.seconds, "burst": pace.burst}


@dataclass
class _Bucket:
    full_at: float = 0.0


class Sparing:
    """A pace that asks the database only about those who come often.

    Each process lets a quarter of the burst pass on its own count; whoever comes more often than that is counted
    together with all other processes.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = Lock()

    def take(self, who: str, per_hour: int) -> None:
        """Count one try, of `per_hour` and a quarter of these at once. Raises TooManyRequests with `seconds`."""
        pace = Pace(self._name, max(1, per_hour // 4), 3600 / per_hour)
        if not self._is_rare(who, pace):
            take((pace, who))

    def _is_rare(self, who: str, pace: Pace) -> bool:
        now = time.monotonic()
        with self._lock:
            bucket = self._seen.setdefault(who, _Bucket())
            self._seen.move_to_end(who)
            if len(self._seen) > MOST_KNOWN:
                self._seen.popitem(last=False)
            filled = max(bucket.full_at, now) + pace.seconds
            if filled > now + pace.seconds * max(1, pace.burst // 4):
                return False
            bucket.full_at = filled
            return True
