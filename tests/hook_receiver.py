"""Another system's endpoint for webhooks, on a real port: it keeps what comes and answers as the test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
from standardwebhooks import Webhook

from tests.trials import at_work


@dataclass
class Call:
    """One call: its headers in small letters, and the bytes of its body."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def event(self) -> dict[str, Any]:
        told: dict[str, Any] = orjson.loads(self.body)
        return told

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, secret: str) -> bool:
        """Whether the standard's own library takes it."""
        try:
            Webhook(secret).verify(self.body, self.headers)
        except Exception:  # noqa: BLE001  (it has no class of its own for each)
            return False
        return True


@dataclass
class Receiver:
    """`status` is answered, with `headers`; `goes_on` holds answers back while it is not set."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    status: int = 204
    refusing: set[str] = field(default_factory=set)
    """Numbers of reports whose events are answered with a 400."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    goes_on: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def taken(self, path: str = "/hook") -> list[Call]:
        """What was answered well there, in order."""
        return [call for call in self.calls if call.path == path and call.status < 300]

    def told(self, path: str = "/hook") -> list[tuple[str, str]]:
        """Event and number of the report of each of these."""
        return [(call.event["type"], call.event["data"]["report"]["number"]) for call in self.taken(path)]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """The endpoint, listening."""
    receiver = Receiver()
    receiver.goes_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            refused = any(number.encode() in body for number in receiver.refusing)
            receiver.calls.append(Call(self.path, headers, body, 400 if refused else receiver.status))
            time.sleep(receiver.seconds)
            receiver.goes_on.wait(30)
            self.send_response(400 if refused else receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0" if receiver.status == 204 else str(len(receiver.body)))
            self.end_headers()
            if receiver.status != 204:
                self.wfile.write(receiver.body)

        def log_message(self, *_: Any) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    with at_work(server):
        try:
            yield receiver
        finally:
            receiver.goes_on.set()
