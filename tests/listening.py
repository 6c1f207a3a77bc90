"""What tests of live changes work with: somebody who listens and remembers the last id, as browsers do."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from city.settings import PROJECT
from commands.serving import HOST, web_server
from tests.trials import any_port, eventually


@contextlib.contextmanager
def served_live(log: Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real server on the database of this process's settings: its address, and its process."""
    port = any_port()
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *web_server("api.app:create_app", HOST, port)],
            stderr=file,
            cwd=PROJECT,
            env=os.environ | environment,
        )
        try:
            eventually(lambda: _answers(f"http://{HOST}:{port}/health/ready"), 60)
            yield f"http://{HOST}:{port}", process
        finally:
            process.terminate()
            process.wait(30)


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(address).status_code == 200
    return False


class Heard(NamedTuple):
    """One event."""

    event: str
    data: Any
    id: str


@dataclass
class Listener:
    """Somebody with a bearer token, or a ticket, who listens at `address`."""

    address: str
    headers: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    last_id: str = ""
    link: socket.socket | None = None

    def listen(self, **parameters: Any) -> Iterator[Heard]:
        """Events as they come, until the stream ends; the last id is kept."""
        headers = self.headers | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        with httpx.stream(
            "GET",
            f"{self.address}/api/v1/stream",
            params=self.parameters | parameters,
            headers=headers | {"Accept-Language": "en"},
            timeout=30,
        ) as answer:
            self.link = answer.extensions["network_stream"].get_extra_info("socket")
            if answer.status_code != 200:
                answer.read()
                pytest.fail(f"{answer.status_code} {answer.text}")
            yield from self._events(answer.iter_lines())

    def until(self, event: str, number: str | None = None, **parameters: Any) -> Heard:
        """The first such event, of that report; fails where the stream ends before."""
        for heard in self.listen(**parameters):
            if heard.event == event and number in (None, heard.data.get("number")):
                return heard
        pytest.fail(f"no {event} {number or ''}")

    def missed(self) -> list[Heard]:
        """All that has happened since the last id, but for the end."""
        return [heard for heard in self.listen(seconds=0) if heard.event != "end"]

    @contextlib.contextmanager
    def in_background(self, **parameters: Any) -> Iterator[Ear]:
        """Listen beside what the block does; the stream is open when it begins, and is left with it."""
        ear = Ear(self, parameters)
        ear.start()
        eventually(lambda: self.last_id or ear.failed)
        yield ear
        ear.leave()

    def _events(self, lines: Iterator[str]) -> Iterator[Heard]:
        event, data = "", ""
        for line in lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                event = value
            elif name == "data":
                data = value
            elif not line:
                if data:
                    yield Heard(event, json.loads(data), self.last_id)
                event, data = "", ""


class Ear(threading.Thread):
    """Hears what a listener hears, in a thread, until the stream ends or is left."""

    def __init__(self, listener: Listener, parameters: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.heard: list[Heard] = []
        self.failed: BaseException | None = None
        self._listener, self._parameters = listener, parameters

    def run(self) -> None:
        """Hear."""
        try:
            for heard in self._listener.listen(**self._parameters):
                self.heard.append(heard)
        except BaseException as error:  # noqa: BLE001  (told to whoever waits)
            self.failed = error

    def wait_for(self, event: str, number: str | None = None, **data: Any) -> Heard:
        """The first such event, of that report, with these values."""

        def look() -> Heard | None:
            for heard in self.heard:
                values = heard.data | {"number": heard.data.get("number")}
                if heard.event == event and number in (None, values["number"]) and data.items() <= values.items():
                    return heard
            assert self.failed is None, self.failed
            return None

        return eventually(look)

    def leave(self) -> None:
        """Hang up."""
        if self._listener.link is not None:
            with contextlib.suppress(OSError):
                self._listener.link.shutdown(socket.SHUT_RDWR)
        self.join(10)
