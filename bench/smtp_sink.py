"""A mail server that takes everything and keeps of each message only to whom it went, under which Message-ID, and when.

A process of its own, so that it takes no time from whoever sends: `python -P -m bench.smtp_sink PORT FILE`. A line is
written before the 250, so that whatever was answered stands in the file.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ANSWERS: Final = {
    b"EHLO": b"250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE\r\n",
    b"HELO": b"250 sink\r\n",
    b"MAIL": b"250 OK\r\n",
    b"RCPT": b"250 OK\r\n",
    b"RSET": b"250 OK\r\n",
    b"NOOP": b"250 OK\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
END: Final = b"\r\n.\r\n"


class Taken(NamedTuple):
    """A message that the sink has taken."""

    at: float
    recipient: str
    message_id: str


class _Talk(asyncio.Protocol):
    def __init__(self, file: int) -> None:
        self._file = file
        self._heard = bytearray()
        self._recipient = b""
        self._is_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._to = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while self._step():
            pass

    def _step(self) -> bool:
        """Answer the next command, or the message, if all of it is there."""
        end = END if self._is_data else b"\r\n"
        at = self._heard.find(end)
        if at < 0:
            return False
        heard = bytes(self._heard[:at])
        del self._heard[: at + len(end)]
        if self._is_data:
            self._is_data = False
            self._keep(heard)
            return True
        command = heard[:4].upper()
        self._is_data = command == b"DATA"
        if command == b"RCPT":
            self._recipient = heard[heard.find(b"<") + 1 : heard.rfind(b">")]
        self._to.write(ANSWERS.get(command, b"502 no\r\n"))
        if command == b"QUIT":
            self._to.close()
        return True

    def _keep(self, message: bytes) -> None:
        start = message.find(b"Message-ID:") + len(b"Message-ID:")
        name = b"".join(message[start : message.find(b">", start) + 1].split())
        os.write(self._file, b"%.6f %s %s\n" % (time.time(), self._recipient, name))
        self._to.write(b"250 kept\r\n")


def taken(path: Path) -> Iterator[Taken]:
    """What stands in the sink's file, in the order in which it came."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            at, recipient, message_id = line.split()
            yield Taken(float(at), recipient, message_id)


async def _serve(port: int, path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    server = await asyncio.get_running_loop().create_server(lambda: _Talk(file), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
