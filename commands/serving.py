"""Serve: the API and a worker as children of this process, which watches over them and ends with them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from city.errors import Conflict, Unavailable
from city.settings import PROJECT, settings
from city.texts import said

HOST: Final = "127.0.0.1"
FIRST_PORT: Final = 8080
READY_WITHIN_SECONDS: Final = 60.0
END_WITHIN_SECONDS: Final = 40.0
RESTART_AFTER_SECONDS: Final = 1.0
TIED: Final = ("setpriv", "--pdeathsig", "TERM")
"""A child goes when its parent is gone, however that came about."""


class Child(threading.Thread):
    """One process that is started again whenever it ends by itself."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        super().__init__(name=name, daemon=True)
        self._command = [*TIED, *command]
        self._log = log
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.restarts = 0

    def run(self) -> None:
        """Keep it running until `end`."""
        while not self._ending.is_set():
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=PROJECT, start_new_session=True
                )
            self._process.wait()
            if not self._ending.wait(RESTART_AFTER_SECONDS):
                self.restarts += 1
                print(said("serving.restarted", name=self.name, log=self._log), file=sys.stderr)

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


@contextmanager
def serving(*, host: str = HOST, port: int | None = None, processes: int = 1) -> Iterator[str]:
    """API and worker, started and ready; the address to open. Both end with the block.

    Raises Conflict where the wanted port is taken, Unavailable where they do not come up.
    """
    chosen = port or free_port(host)
    if port is not None and not _is_free(host, port):
        raise Conflict("serving.port_taken", port=port)
    address = f"http://{'localhost' if host in {HOST, '0.0.0.0'} else host}:{chosen}"  # noqa: S104  (compared only)
    os.environ.setdefault("LAMPIONE_PUBLIC_URL", address)
    settings.cache_clear()
    settings().check()
    logs = settings().var / "log"
    logs.mkdir(parents=True, exist_ok=True)
    children = [
        Child("api", web_server("api.app:create_app", host, chosen, processes), logs / "api.log"),
        Child("worker", [sys.executable, "-P", "-m", "workers"], logs / "worker.log"),
    ]
    for child in children:
        child.start()
    try:
        _wait_until_ready(f"http://{HOST if host == '0.0.0.0' else host}:{chosen}", children, logs)  # noqa: S104
        yield address
    finally:
        for child in children:
            child.ask_to_end()
        for child in children:
            child.end()


def wait_for_end() -> None:
    """Until Ctrl-C or SIGTERM."""
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    ending.wait()


def free_port(host: str) -> int:
    """The first free port from 8080 on; any other where twenty are taken."""
    for port in range(FIRST_PORT, FIRST_PORT + 20):
        if _is_free(host, port):
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def web_server(app: str, host: str, port: int, processes: int = 1) -> list[str]:
    """The command that serves the application made by `app` (module:function), with the options we serve ours with."""
    command = [sys.executable, "-P", "-m", "uvicorn", "--factory", app]
    command += ["--host", host, "--port", str(port), "--no-access-log", "--timeout-graceful-shutdown", "20"]
    command += ["--proxy-headers", "--no-server-header", "--log-level", "warning"]
    return command + (["--workers", str(processes)] if processes > 1 else [])


def _wait_until_ready(address: str, children: Sequence[Child], logs: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/health/ready", timeout=5) as answer:  # noqa: S310  (our own address)
                if answer.status == 200:  # noqa: PLR2004
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
        if any(child.restarts > 2 for child in children):  # noqa: PLR2004
            break
    raise Unavailable("serving.not_ready", log=logs)
