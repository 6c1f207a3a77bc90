"""What tests work with: a mailbox behind a real SMTP server, somebody signed in, and patience."""

from __future__ import annotations

import contextlib
import email
import email.policy
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from socketserver import BaseServer
from typing import Any, TypeVar

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app

BOUNCES = Path(__file__).parent / "data" / "bounces"
PASSWORD = "una password di prova"  # noqa: S105  (of test accounts only)
PATIENCE_SECONDS = 20.0

Found = TypeVar("Found")
Server = TypeVar("Server", bound=BaseServer)


def any_port() -> int:
    """A port of this machine that nobody uses, out of the thousands the kernel hands out in turn."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(look: Callable[[], Found | None], seconds: float = PATIENCE_SECONDS) -> Found:
    """What `look` finds, asking again until it does; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.03)
    pytest.fail(f"not within {seconds} s")


@cache
def front_door() -> FastAPI:
    """The application of this test process: laying out its routes takes a third of a second, so they are laid out once.

    What it holds while it is served is each visitor's own.
    """
    return create_app()


def visiting(**options: Any) -> TestClient:
    """A visitor without any session, English-speaking so that sentences are easy to compare."""
    return TestClient(front_door(), base_url="http://lampione.test", headers={"Accept-Language": "en"}, **options)


@dataclass
class Postbox:
    """A real SMTP server's inbox; `refusing` addresses are turned away for good, `silent` ones for now."""

    messages: list[EmailMessage] = field(default_factory=list)
    refusing: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    bouncing: dict[str, str] = field(default_factory=dict)
    """Of these addresses mail is taken, and comes back in that form of `tests/data/bounces`."""
    senders: dict[str, str] = field(default_factory=dict)
    """The envelope's sender of each address' last mail."""
    maildir: Path | None = None
    """Where what comes back lies."""

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        if address in self.refusing:
            return f"550 5.1.1 <{address}> no such user"
        if address in self.silent:
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a message."""
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        for address in envelope.rcpt_tos:
            self.senders[address] = envelope.mail_from or ""
            if address in self.bouncing:
                self.give_back(address)
        return "250 kept"

    def give_back(self, address: str, form: str | None = None, token: str | None = None) -> None:
        """Write what a server sends when it could not deliver the last mail to `address`."""
        assert self.maildir is not None
        token = token or self.senders[address].partition("+")[2].partition("@")[0]
        new = self.maildir / "new"
        new.mkdir(parents=True, exist_ok=True)
        (new / f"{time.time_ns()}.test").write_bytes(returned(form or self.bouncing[address], token, address))

    def to(self, address: str) -> list[EmailMessage]:
        """The messages for one address, oldest first."""
        return [message for message in self.messages if address in str(message["To"])]


def returned(form: str, token: str, to: str) -> bytes:
    """A mail of `tests/data/bounces`, about the delivery that `token` proves."""
    words = (BOUNCES / f"{form}.eml").read_text("utf-8")
    for field_, value in (("token", token), ("id", f"{token}@lampione.example.org"), ("to", to)):
        words = words.replace(f"{{{field_}}}", value)
    return words.encode()


@dataclass
class Staffer:
    """Somebody signed in, who sends the ETag that was read."""

    client: TestClient
    headers: dict[str, str]

    def get(self, path: str, **parameters: Any) -> Any:
        """Read."""
        answer = self.client.get(f"/api/v1/desk{path}", headers=self.headers, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def change(self, method: str, report_id: str, what: str, body: dict[str, Any]) -> Any:
        """Read the report, then change it from what was read."""
        seen = self.client.get(f"/api/v1/desk/reports/{report_id}", headers=self.headers)
        assert seen.status_code == 200, seen.text
        headers = self.headers | {"If-Match": seen.headers["etag"]}
        answer = self.client.request(method, f"/api/v1/desk/reports/{report_id}/{what}", headers=headers, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextlib.contextmanager
def at_work(server: Server) -> Iterator[Server]:
    """A server that answers in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
