"""Answers kept until something has happened: figures over a million reports are not counted twice for nothing.

Whatever happens to a report is written into its timeline, in the same transaction. So the newest entries of a
municipality say whether anything has happened: the last few of them, because of two transactions the one with the
higher numbers may end first. They are read from the primary key, backwards; nobody has to count, to wait or to write.

What changes without an entry (a category becomes hidden, the clock makes a report late) is seen within a minute.

Few answers are made at once, and few wait for one: threads that count reports take no new ones in.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from city.database import ReadSession, provincial, reading
from city.errors import TooManyRequests

NEWEST: Final = 64
NEWEST_OF_EACH: Final = 16
LONGEST_SECONDS: Final = 60.0

AT_ONCE: Final = 2
MOST_WAITING: Final = 6
"""With those being made; whoever comes then is asked to come again."""

Answer = TypeVar("Answer")
Version = tuple[Hashable, ...]

_OF_ONE: Final = f"""
SELECT version, ARRAY(SELECT id FROM timeline_entry WHERE municipality_id = %s ORDER BY id DESC LIMIT {NEWEST})
FROM registry_version
"""  # noqa: S608
_OF_ALL: Final = f"""
SELECT version, ARRAY(
  SELECT newest FROM municipality CROSS JOIN LATERAL (
    SELECT id AS newest FROM timeline_entry WHERE municipality_id = municipality.id
    ORDER BY id DESC LIMIT {NEWEST_OF_EACH}
  ) AS entries ORDER BY municipality.id, newest)
FROM registry_version
"""  # noqa: S608


def version(municipality_id: int | None) -> Version:
    """Changes whenever something has happened in a municipality, or (None) in any; a millisecond."""
    with provincial() if municipality_id is None else reading(municipality_id) as session:
        return version_seen_by(session, municipality_id)


def version_seen_by(session: ReadSession, municipality_id: int | None) -> Version:
    """The same for whoever is in a transaction already."""
    if municipality_id is None:
        return _read(session, _OF_ALL, [])
    return _read(session, _OF_ONE, [municipality_id])


def _read(session: ReadSession, query: str, values: list[int]) -> Version:
    row = session.raw.execute(query, values).fetchone()
    assert row is not None
    return row[0], tuple(row[1])


@dataclass(slots=True)
class _Entry(Generic[Answer]):
    version: Version
    made_at: float
    answer: Answer


class Kept(Generic[Answer]):
    """At most `most` answers, the least used forgotten first. Whoever asks for what is being made waits for it."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._entries: OrderedDict[Hashable, _Entry[Answer]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._at_once = threading.BoundedSemaphore(AT_ONCE)

    def get(self, key: Hashable, version: Version, make: Callable[[], Answer]) -> Answer:
        """The answer to `key` at `version`, made where there is none.

        Raises what `make` raises, and TooManyRequests where enough others are waiting.
        """
        found = self._find(key, version)
        if found is not None:
            return found.answer
        if not self._waiting.acquire(blocking=False):
            raise TooManyRequests("insight.busy")
        try:
            return self._made(key, version, make).answer
        finally:
            self._waiting.release()

    def _made(self, key: Hashable, version: Version, make: Callable[[], Answer]) -> _Entry[Answer]:
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                found = self._find(key, version)
                if found is None:
                    with self._at_once:
                        found = _Entry(version, self._clock(), make())
                    self._keep(key, found)
        finally:
            with self._lock:  # whoever waits holds the lock itself; only the way to it is forgotten
                self._making.pop(key, None)
        return found

    def _find(self, key: Hashable, version: Version) -> _Entry[Answer] | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.version != version or self._clock() - entry.made_at > LONGEST_SECONDS:
                return None
            self._entries.move_to_end(key)
            return entry

    def _keep(self, key: Hashable, entry: _Entry[Answer]) -> None:
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
