"""How soon 500 open streams hear of a commit, beside a bare server that the commit itself tells (`bench.bare_stream`).

The clients are plain sockets in this process; the time of an event is taken when its bytes have been read here, so that
what this process needs to read the 499 others counts too, for both.
"""

from __future__ import annotations

import re
import selectors
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from bench.load import LONGEST_ANSWER_SECONDS, press
from bench.memory import KILOBYTE, MEGABYTE, PROCESSES
from bench.results import Result
from city.errors import Unavailable

STREAMS: Final = 500
CHANGES: Final = 60
"""In one round; each is told to all the streams."""
CHANGES_PER_SECOND: Final = 5.0
WANTED_MILLISECONDS: Final = 200.0
"""From the commit to the event, the 95th percentile."""
LEAST_INTAKE: Final = 0.9
"""Of the rate without streams."""

_TOLD: Final = b"event: report\n"


@dataclass(slots=True)
class Crowd:
    """So many clients, each of whom reads a stream; `read_at` says of each event in order when each of them read it."""

    links: list[socket.socket]
    selector: selectors.BaseSelector
    rest: dict[int, bytes] = field(default_factory=dict)
    heard: Counter[int] = field(default_factory=Counter)
    """How many events each has read, by its file."""
    read_at: list[list[float]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def of(cls, address: str, requests: Sequence[bytes]) -> Iterator[Crowd]:
        """Clients who have sent these requests and got the beginning of their streams. Raises Unavailable."""
        where = urlsplit(address)
        with selectors.DefaultSelector() as selector:
            links = [socket.create_connection((where.hostname or "", where.port or 80), 30) for _ in requests]
            try:
                for link, request in zip(links, requests, strict=True):
                    link.sendall(request)
                for link in links:
                    begun = b""
                    while not begun.partition(b"\r\n\r\n")[2]:
                        part = link.recv(65536)
                        begun += part
                        if not part or begun[9:12] not in {b"200", b""}:
                            raise Unavailable("bench.wrong_answer", answer=begun[:600].decode(errors="replace"))
                    link.setblocking(False)
                    selector.register(link, selectors.EVENT_READ)
                yield cls(links, selector)
            finally:
                for link in links:
                    link.close()

    def read(self, seconds: float) -> None:
        """Read whatever is there, waiting at most so long. Raises Unavailable."""
        for key, _ in self.selector.select(max(0.0, seconds)):
            link = key.fileobj
            assert isinstance(link, socket.socket)
            part = link.recv(262_144)
            if not part:
                raise Unavailable("bench.connection_lost")
            now = time.perf_counter()
            lines, end, self.rest[key.fd] = (self.rest.get(key.fd, b"") + part).rpartition(b"\n")
            for _ in range((lines + end).count(_TOLD)):
                if self.heard[key.fd] == len(self.read_at):
                    self.read_at.append([])
                self.read_at[self.heard[key.fd]].append(now)
                self.heard[key.fd] += 1


class Heard(NamedTuple):
    """Milliseconds from each commit to each client, sorted."""

    latencies: list[float]

    def milliseconds(self, share: float) -> float:
        """What `share` (0 to 1) of all did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def told(crowd: Crowd, change: Callable[[], float]) -> Heard:
    """Make changes at a steady pace; `change` makes one and gives the moment of its commit.

    Raises Unavailable where a client has not heard each of them, and each once.
    """
    first, committed = len(crowd.read_at), []
    begun = time.perf_counter()
    for count in range(CHANGES):
        committed.append(change())
        while (left := begun + (count + 1) / CHANGES_PER_SECOND - time.perf_counter()) > 0:
            crowd.read(left)
    ending = time.perf_counter() + LONGEST_ANSWER_SECONDS
    while sum(map(len, crowd.read_at[first:])) < CHANGES * len(crowd.links):
        crowd.read(0.1)
        if time.perf_counter() > ending:
            raise Unavailable("bench.no_answer", seconds=LONGEST_ANSWER_SECONDS)
    crowd.read(0.3)
    told_at = crowd.read_at[first:]
    if {len(moments) for moments in told_at} != {len(crowd.links)} or len(told_at) != CHANGES:
        raise Unavailable("bench.wrong_answer", answer=str([len(moments) for moments in told_at]))
    pairs = zip(committed, told_at, strict=True)
    return Heard(sorted(1000 * max(0.0, at - moment) for moment, moments in pairs for at in moments))


def results(name: str, ours: Heard, bare: Heard) -> list[Result]:
    """Percentiles beside the bare server's, and the 95th beside what is wanted."""
    found = [
        Result(f"stream, {name} p{share * 100:.0f}", ours.milliseconds(share), bare.milliseconds(share), "ms")
        for share in (0.5, 0.95, 0.99)
    ]
    wanted = f"stream, {name} p95 / {WANTED_MILLISECONDS:.0f} ms wanted"
    return [*found, Result(wanted, ours.milliseconds(0.95), WANTED_MILLISECONDS, "ms", 1.0)]


def resident(process: int) -> float:
    """Megabytes that a process holds for itself (PSS)."""
    rollup = (PROCESSES / str(process) / "smaps_rollup").read_text("ascii")
    found = re.search(r"^Pss: +(\d+) kB$", rollup, re.MULTILINE)
    assert found is not None
    return int(found[1]) * KILOBYTE / MEGABYTE


def request(path: str, token: str | None = None) -> bytes:
    """A request for a stream, as it goes over the wire."""
    signed = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{signed}\r\n".encode()


def intake_beside(
    crowd_of: Callable[[], AbstractContextManager[Crowd]], address: str, reports: Iterator[bytes], *, rounds: int
) -> Result:
    """Reports per second, 8 clients, while the streams hear of them, beside the same without streams."""
    quiet, heard = [], []
    for _ in range(rounds):
        quiet.append(press(address, reports, clients=8, seconds=1.5).rate)
        with crowd_of() as crowd, _reading(crowd):
            heard.append(press(address, reports, clients=8, seconds=1.5).rate)
    name = f"intake, 8 clients, {STREAMS} streams open / none"
    return Result(name, statistics.median(heard), statistics.median(quiet), "requests/s", LEAST_INTAKE)


@contextmanager
def _reading(crowd: Crowd) -> Iterator[None]:
    """A process of its own reads the streams during the block, and throws away what it reads."""
    reader = get_context("fork").Process(target=_read_on, args=(crowd.links,), daemon=True)
    reader.start()
    try:
        yield
    finally:
        reader.kill()
        reader.join()


def _read_on(links: Sequence[socket.socket]) -> None:
    with selectors.DefaultSelector() as selector:
        for link in links:
            selector.register(link, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                if not key.fileobj.recv(262_144):
                    selector.unregister(key.fileobj)
