"""App IO's documented interface on this machine: profiles, messages, their limits, and its trouble."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.trials import at_work

KEY: Final = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
NOBODY: Final = "AAAAAA00A00A000A"
_CODE: Final = re.compile(
    "[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]",
)


class IoService(ThreadingHTTPServer):
    """Whom it knows, what they were sent, and its trouble."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.forget()

    def forget(self) -> None:
        """Begin anew: nobody uses the app but the code for tries."""
        self.people: dict[str, bool] = {NOBODY: True}
        """Who uses the app, and whether they let us write."""
        self.messages: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.troubles: list[int] = []
        """What is answered first, whatever is asked."""

    @property
    def url(self) -> str:
        """Its start."""
        return f"http://127.0.0.1:{self.server_address[1]}/api/v1"

    def to(self, code: str) -> list[dict[str, Any]]:
        """What somebody was sent, oldest first."""
        return [message["content"] for message in self.messages if message["fiscal_code"] == code]

    def answer(self, path: str, key: str | None, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of an answer."""
        if self.troubles:
            return self.troubles.pop(0), {}
        if key != KEY:
            return 401, {"statusCode": 401, "message": "Access denied due to invalid subscription key."}
        code = body["fiscal_code"]
        if not _CODE.fullmatch(code):
            return 400, {"title": "Invalid payload"}
        if path == "/api/v1/profiles":
            self.asked.append(code)
            if code not in self.people:
                return 404, {"title": "Profile not found"}
            return 200, {"sender_allowed": self.people[code], "preferred_languages": ["it_IT"]}
        return self._message(path, code, body)

    def _message(self, path: str, code: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        content = body["content"]
        fits = 10 <= len(content["subject"]) <= 120 and 80 <= len(content["markdown"]) <= 10_000
        if path != "/api/v1/messages" or not fits:
            return 400, {"title": "Invalid payload"}
        if not self.people.get(code):
            return 403, {"title": "Recipient forbidden"}
        self.messages.append(body)
        return 201, {"id": f"01BX9NSMKVXXS5PSP2FATZM{len(self.messages):03}"}


class _Handler(BaseHTTPRequestHandler):
    server: IoService

    def do_POST(self) -> None:
        """Answer."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, said = self.server.answer(self.path, self.headers.get("Ocp-Apim-Subscription-Key"), asked)
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving() -> Iterator[IoService]:
    """The app's service, listening."""
    with at_work(IoService()) as server:
        yield server
