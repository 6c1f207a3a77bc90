"""What is done every so often without anybody asking: folding, sweeping, forgetting.

Of many workers one does it. Each chore has an advisory lock, and the worker that gets it keeps it as long as it lives;
the others ask again each time the chore would be theirs. So a chore runs at its own pace however many workers there
are, and soon finds a new worker when the old one is gone. Chores of one worker take turns: they are meant to be short.

A chore that waits for what others commit is done as soon as the bell of `city.jobs` rings; should that fail, at its
own pace.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg
import structlog

from city.failures import told
from city.jobs import CHANNEL

CHORES: Final = 0x436872
"""One half of the key of the chores' advisory locks; the other comes from the chore's name."""
LONGEST_SLEEP_SECONDS: Final = 60.0

log = structlog.get_logger("workers.chores")


class Chore(NamedTuple):
    """Something to do every `every_seconds`, first when the worker starts. It opens its own transactions."""

    name: str
    every_seconds: float
    do: Callable[[], object]
    rung_seconds: float | None = None
    """It is done when the bell rings, too, but not so soon after the last time."""


@dataclass
class _Due:
    chore: Chore
    at: float
    rung_at: float = math.inf
    """Not before this moment, if somebody rings: as long as the chore is ours."""


class Housekeeping(threading.Thread):
    """A thread that does the chores in turn, with a connection of its own that holds their locks."""

    def __init__(self, url: str, chores: Iterable[Chore]) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._url = url
        self._due = [_Due(Chore(*chore), time.monotonic()) for chore in chores]
        self._listens = any(due.chore.rung_seconds is not None for due in self._due)
        self._ending = threading.Event()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._connection: psycopg.Connection[Any] | None = None

    def run(self) -> None:
        """Do what is due, sleep, again; until `end`."""
        try:
            while not self._ending.is_set():
                for due in self._due:
                    if due.at <= time.monotonic() and not self._ending.is_set():
                        is_ours = self._take_turn(due.chore)
                        due.at = time.monotonic() + due.chore.every_seconds
                        can_ring = is_ours and due.chore.rung_seconds is not None
                        due.rung_at = time.monotonic() + (due.chore.rung_seconds or 0) if can_ring else math.inf
                next_at = min((due.at for due in self._due), default=time.monotonic() + LONGEST_SLEEP_SECONDS)
                self._sleep(max(0.0, min(next_at - time.monotonic(), LONGEST_SLEEP_SECONDS)))
        finally:
            self._hang_up()

    def end(self, *, within_seconds: float) -> None:
        """Begin no further chore, and wait for the one at hand. To be called once."""
        self._ending.set()
        if self.is_alive():
            os.eventfd_write(self._wake, 1)
            self.join(within_seconds)
        if not self.is_alive():
            os.close(self._wake)

    def _sleep(self, seconds: float) -> None:
        """Until so much time has passed, the bell rings, or `end`."""
        if self._connection is None or not self._listens:
            select.select([self._wake], [], [], seconds)
            return
        try:
            is_rung = _is_rung(self._connection)
            if not is_rung:
                select.select([self._wake, self._connection.fileno()], [], [], seconds)
            if is_rung or _is_rung(self._connection):
                for due in self._due:
                    due.at = min(due.at, due.rung_at)
        except psycopg.Error:
            self._hang_up()

    def _take_turn(self, chore: Chore) -> bool:
        """Do it, if it is ours; whether it is."""
        try:
            ours = self._is_ours(chore)
        except psycopg.Error as error:
            log.warning("chore_put_off", chore=chore.name, error=told(error))
            self._hang_up()
            return False
        if not ours:
            return False
        started = time.monotonic()
        try:
            chore.do()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other chores go on
            log.error("chore_failed", chore=chore.name, error=told(error))  # noqa: TRY400 - the trace may quote people
        else:
            log.debug("chore_done", chore=chore.name, milliseconds=round((time.monotonic() - started) * 1000))
        return True

    def _is_ours(self, chore: Chore) -> bool:
        """Whether this worker does the chore: a lock that we hold already is given to us again."""
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url, autocommit=True, application_name="lampione housekeeping", connect_timeout=10
            )
            if self._listens:
                self._connection.execute(f"LISTEN {CHANNEL}")
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [CHORES, _number(chore.name)]).fetchone()
        return bool(row and row[0])

    def _hang_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


def _is_rung(connection: psycopg.Connection[Any]) -> bool:
    return any(connection.notifies(timeout=0))


def _number(name: str) -> int:
    """A chore's lock number, the same in every process: 31 bits."""
    return zlib.crc32(name.encode()) & 0x7FFF_FFFF
