"""Watches over API and worker: starts them, starts them again if they fall, ends them in order.

`python -m commands.supervisor PLAN` is what `./lampione up` becomes once all is prepared. It imports nothing of the
project, so that whoever only watches takes little memory. PLAN is JSON: `children` (name, command, folder and log of
each), `host` and `port` where the API answers, and the `sentences` to say.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

READY_WITHIN_SECONDS: Final = 60.0
END_WITHIN_SECONDS: Final = 40.0
RESTART_AFTER_SECONDS: Final = 1.0
MOST_RESTARTS: Final = 2
"""Before it is ready."""
TIED: Final = ("setpriv", "--pdeathsig", "TERM")
"""A child goes when its parent is gone, however that came about."""


class Child(threading.Thread):
    """One process that is started again whenever it ends by itself; `restarted` is said then."""

    def __init__(self, name: str, command: Sequence[str], folder: str, log: str, restarted: str) -> None:
        super().__init__(name=name, daemon=True)
        self._command = [*TIED, *command]
        self._folder = folder
        self._log = log
        self._restarted = restarted
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.restarts = 0

    def run(self) -> None:
        """Keep it running until `end`."""
        while not self._ending.is_set():
            with open(self._log, "ab") as log:  # noqa: PTH123  (pathlib is not loaded here)
                self._process = subprocess.Popen(
                    self._command,
                    cwd=self._folder,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._process.wait()
            if not self._ending.wait(RESTART_AFTER_SECONDS):
                self.restarts += 1
                print(self._restarted.format(name=self.name, log=self._log), file=sys.stderr)

    def ask_to_end(self) -> None:
        """Ask it to end in order."""
        self._ending.set()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Wait for the end; make it, where it takes too long."""
        if self._process is not None:
            try:
                self._process.wait(END_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self.join(5)


def end(children: Sequence[Child]) -> None:
    """End them, all at once."""
    for child in children:
        child.ask_to_end()
    for child in children:
        child.end()


def come_up(host: str, port: int, children: Sequence[Child], ending: threading.Event) -> bool:
    """Wait until the API is ready; False where it does not become so, or is to end before."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline and all(child.restarts <= MOST_RESTARTS for child in children):
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
            if connection.recv(64).split(b" ")[1:2] == [b"200"]:
                return True
        if ending.wait(0.05):
            break
    return False


def asked_to_end() -> threading.Event:
    """Set by Ctrl-C or SIGTERM, from now on."""
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    return ending


def main(plan: dict[str, Any]) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit code."""
    ending = asked_to_end()
    say = plan["sentences"]
    children = [Child(restarted=say["restarted"], **child) for child in plan["children"]]
    for child in children:
        child.start()
    try:
        if come_up(plan["host"], plan["port"], children, ending):
            print(say["at"], file=sys.stderr)
            ending.wait()
        elif not ending.is_set():
            print(say["not_ready"], file=sys.stderr)
            return 1
    finally:
        end(children)
    print(say["stopped"], file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
