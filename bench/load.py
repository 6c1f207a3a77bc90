"""The load: as many clients as asked for, each of which sends its next request when the last one is answered.

One thread and plain sockets, so that the two cores are left to what is measured; about 15 µs of work a request.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from city.errors import Unavailable

LONGEST_ANSWER_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of load saw: how long every answer took (seconds, sorted), and how long it lasted."""

    latencies: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        """The latency that `share` (0 to 1) of all answers did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1000


@dataclass(slots=True)
class _Client:
    """One kept connection."""

    socket: socket.socket
    asked_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def ask(self, request: bytes) -> None:
        self.received.clear()
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> bytes | None:
        """The whole answer, once it is there."""
        part = self.socket.recv(65536)
        if not part:
            raise Unavailable("bench.connection_lost")
        self.received += part
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.received[:end]).lower()
        mark = head.find(b"content-length:")
        length = int(head[mark + 15 :].split(b"\r\n", 1)[0]) if mark >= 0 else 0
        return bytes(self.received) if len(self.received) >= end + 4 + length else None


def press(address: str, requests: Iterator[bytes], *, clients: int, seconds: float, expected: bytes = b"201") -> Round:
    """Press on `address` with `clients` kept connections for `seconds`.

    Raises Unavailable where an answer's status is not `expected`, or where none comes.
    """
    where = urlsplit(address)
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        connected = [_connected(where.hostname or "", where.port or 80) for _ in range(clients)]
        try:
            begun = time.perf_counter()
            for client in connected:
                selector.register(client.socket, selectors.EVENT_READ, client)
                client.ask(next(requests))
            waiting = clients
            while waiting:
                ready = selector.select(LONGEST_ANSWER_SECONDS)
                if not ready:
                    raise Unavailable("bench.no_answer", seconds=LONGEST_ANSWER_SECONDS)
                for key, _ in ready:
                    client = key.data
                    answer = client.answered()
                    if answer is None:
                        continue
                    now = time.perf_counter()
                    latencies.append(now - client.asked_at)
                    if answer[9:12] != expected:
                        raise Unavailable("bench.wrong_answer", answer=answer[:600].decode(errors="replace"))
                    if now - begun < seconds:
                        client.ask(next(requests))
                    else:
                        waiting -= 1
            lasted = time.perf_counter() - begun
        finally:
            for client in connected:
                client.socket.close()
    return Round(sorted(latencies), lasted)


def post(path: str, body: bytes) -> bytes:
    """A POST of JSON as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def _connected(host: str, port: int) -> _Client:
    link = socket.create_connection((host, port), timeout=LONGEST_ANSWER_SECONDS)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _Client(link)
