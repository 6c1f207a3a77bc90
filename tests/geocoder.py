"""A geocoder on this machine that answers as told, or hangs, drips, and talks rubbish."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.trials import at_work

BODIES = {
    "rubbish": b'{"features": 7, "x": [',
    "html": b"<html>captive portal</html>",
    "huge": b"[" + b"1," * 2_000_000 + b"1]",
    "null": b"null",
    "odd": json.dumps(
        [None, 7, {}, {"display_name": "X", "lon": "abc", "lat": "1"}, {"display_name": "Y", "lon": 999, "lat": 1}]
    ).encode(),
}


class Geocoder(ThreadingHTTPServer):
    """What was asked of it, what it answers, and its trouble."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, str]] = []
        self.answer: Any = []
        self.trouble: str | None = None
        self.freed = threading.Event()

    @property
    def address(self) -> str:
        """Its start."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none."""


class _Handler(BaseHTTPRequestHandler):
    server: Geocoder

    def do_GET(self) -> None:
        """Answer as told."""
        self.server.asked.append(dict(parse_qsl(urlsplit(self.path).query)))
        trouble = self.server.trouble
        if trouble == "hang":
            self.server.freed.wait(20)
            return
        if trouble == "redirect":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            return
        body = BODIES.get(trouble or "") or json.dumps(self.server.answer).encode()
        self.send_response(503 if trouble == "error" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if trouble == "drip":
            for letter in body:
                self.wfile.write(bytes([letter]))
                self.wfile.flush()
                time.sleep(0.1)
            return
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def geocoding() -> Iterator[Geocoder]:
    """A geocoder that serves."""
    with at_work(Geocoder()) as server:
        try:
            yield server
        finally:
            server.freed.set()
