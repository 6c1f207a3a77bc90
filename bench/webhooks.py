"""How fast events reach a webhook, and what that costs those who report.

Beside the events a bare loop of the same client posts the same bodies: they are ready, and it notes nothing. Ours is
the whole way: entries of the timeline, seen by the chore, written down, read again, signed, posted and noted. The
receiver is a process of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from typing import Any, Final

from psycopg import Connection

from bench.load import press
from bench.results import Result
from city.errors import Unavailable
from city.outside import webhook
from city.outside.strangers import Door

EVENTS: Final = 4_000
"""Told to each webhook."""
LONGEST_SECONDS: Final = 300.0
LEAST_THROUGH: Final = 0.3
LEAST_INTAKE: Final = 0.9

_HAPPEN: Final = """
  INSERT INTO timeline_entry (municipality_id, report_id, what, actor, is_public)
  SELECT municipality_id, id, 'note', 'system', false FROM report CROSS JOIN generate_series(1, %s)
  WHERE municipality_id = %s LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where it listens, and how many events it has taken."""

    url: str
    _taken: Synchronized[int]

    @property
    def taken(self) -> int:
        """So far."""
        return self._taken.value

    @classmethod
    @contextmanager
    def listening(cls, host: str, port: int) -> Iterator[Receiver]:
        """In a process of its own, for the length of the block."""
        context = get_context("fork")
        taken = context.Value("i", 0)
        process = context.Process(target=_receive, args=(host, port, taken), daemon=True)
        process.start()
        try:
            yield cls(f"http://{host}:{port}", taken)
        finally:
            process.kill()
            process.join()


def _receive(host: str, port: int, taken: Synchronized[int]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        taken.value += 1
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(answer, host, port) as server:
            await server.serve_forever()

    asyncio.run(serve())


def happen(owner: Connection[Any], municipality_id: int, events: int = EVENTS) -> None:
    """So many internal entries in the timelines of that municipality's reports, in one transaction."""
    owner.execute(_HAPPEN, [events, municipality_id, events])
    owner.commit()


def through(
    receiver: Receiver,
    events: int,
    working: Callable[[], AbstractContextManager[None]],
    owner: Connection[Any],
) -> float:
    """Events a second, from the moment the worker begins until the last has been taken. Raises Unavailable."""
    before, started = receiver.taken, time.perf_counter()
    with working():
        while receiver.taken - before < events:
            if time.perf_counter() - started > LONGEST_SECONDS:
                raise Unavailable("bench.no_answer", seconds=LONGEST_SECONDS)
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        while owner.execute("SELECT FROM hook_delivery WHERE state = 'waiting' LIMIT 1").fetchone():
            owner.rollback()
            time.sleep(0.01)
        owner.rollback()
    return events / seconds


def bare(receiver: Receiver, secret: str, payloads: Sequence[dict[str, Any]]) -> float:
    """Posts a second of the same client, one after the other."""
    door, started = Door(receiver.url + "/hook", is_internal=True), time.perf_counter()
    for number, payload in enumerate(payloads):
        webhook.post(door, [secret], f"evt_{number}", payload)
    return len(payloads) / (time.perf_counter() - started)


def intake_beside(
    switch: Callable[[bool], None],
    address: str,
    reports: Iterator[bytes],
    working: Callable[[], AbstractContextManager[None]],
    *,
    rounds: int,
) -> tuple[list[float], list[float]]:
    """Reports a second, 8 clients, with a webhook that hears of each of them, and without one."""
    told: list[float] = []
    quiet: list[float] = []
    for _ in range(rounds):
        for is_on, rates in ((False, quiet), (True, told)):
            switch(is_on)
            with working():
                rates.append(press(address, reports, clients=8, seconds=2.0).rate)
    return told, quiet


def results(name: str, ours: Sequence[float], peer: Sequence[float], target: float | None) -> Result:
    """The medians of both."""
    return Result(name, statistics.median(ours), statistics.median(peer), "requests/s", target)
