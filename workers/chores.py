"""What is done every so often without anybody asking: folding, sweeping, forgetting.

Of many workers one does it. Each chore has an advisory lock, and the worker that gets it keeps it as long as it lives;
the others ask again each time the chore would be theirs. So a chore runs at its own pace however many workers there
are, and soon finds a new worker when the old one is gone. Chores of one worker take turns: they are meant to be short.
"""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg
import structlog

from city.failures import told

CHORES: Final = 0x436872
"""One half of the key of the chores' advisory locks; the other comes from the chore's name."""
LONGEST_SLEEP_SECONDS: Final = 60.0

log = structlog.get_logger("workers.chores")


class Chore(NamedTuple):
    """Something to do every `every_seconds`, first when the worker starts. It opens its own transactions."""

    name: str
    every_seconds: float
    do: Callable[[], object]


@dataclass
class _Due:
    chore: Chore
    at: float


class Housekeeping(threading.Thread):
    """A thread that does the chores in turn, with a connection of its own that holds their locks."""

    def __init__(self, url: str, chores: Iterable[Chore]) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._url = url
        self._due = [_Due(Chore(*chore), time.monotonic()) for chore in chores]
        self._ending = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None

    def run(self) -> None:
        """Do what is due, sleep, again; until `end`."""
        try:
            while not self._ending.is_set():
                for due in self._due:
                    if due.at <= time.monotonic() and not self._ending.is_set():
                        self._take_turn(due.chore)
                        due.at = time.monotonic() + due.chore.every_seconds
                next_at = min((due.at for due in self._due), default=time.monotonic() + LONGEST_SLEEP_SECONDS)
                self._ending.wait(max(0.0, min(next_at - time.monotonic(), LONGEST_SLEEP_SECONDS)))
        finally:
            self._hang_up()

    def end(self, *, within_seconds: float) -> None:
        """Begin no further chore, and wait for the one at hand."""
        self._ending.set()
        if self.is_alive():
            self.join(within_seconds)

    def _take_turn(self, chore: Chore) -> None:
        try:
            ours = self._is_ours(chore)
        except psycopg.Error as error:
            log.warning("chore_put_off", chore=chore.name, error=told(error))
            self._hang_up()
            return
        if not ours:
            return
        started = time.monotonic()
        try:
            chore.do()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other chores go on
            log.error("chore_failed", chore=chore.name, error=told(error))  # noqa: TRY400 - the trace may quote people
        else:
            log.debug("chore_done", chore=chore.name, milliseconds=round((time.monotonic() - started) * 1000))

    def _is_ours(self, chore: Chore) -> bool:
        """Whether this worker does the chore: a lock that we hold already is given to us again."""
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url, autocommit=True, application_name="lampione housekeeping", connect_timeout=10
            )
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [CHORES, _number(chore.name)]).fetchone()
        return bool(row and row[0])

    def _hang_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


def _number(name: str) -> int:
    """A chore's lock number, the same in every process: 31 bits."""
    return zlib.crc32(name.encode()) & 0x7FFF_FFFF
