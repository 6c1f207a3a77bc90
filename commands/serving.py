"""Serve: the API and a worker as children of this process, or of the small one that it becomes."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

from city.errors import Conflict, Unavailable
from city.settings import PROJECT, settings
from city.texts import said
from commands import supervisor
from commands.cluster import Cluster
from commands.supervisor import Child

HOST: Final = "127.0.0.1"
FIRST_PORT: Final = 8080


@contextmanager
def serving(*, host: str = HOST, port: int | None = None) -> Iterator[str]:
    """API and worker, started and ready; the address to open. Both end with the block.

    Raises Conflict where the wanted port is taken, Unavailable where they do not come up.
    """
    chosen, address = _prepared(host, port)
    children = [Child(restarted=_restarted(), **child) for child in _children(host, chosen)]
    for child in children:
        child.start()
    try:
        if not supervisor.come_up(_here(host), chosen, children, threading.Event()):
            raise Unavailable("serving.not_ready", log=_logs())
        yield address
    finally:
        supervisor.end(children)


def become_supervisor(*, host: str, port: int, processes: int, cluster: Cluster | None) -> NoReturn:
    """Serve until the end, as another program in this process: all that was loaded to prepare it is let go.

    The use of the private `cluster`, if there is one, goes on with it. Raises Conflict where the port is taken.
    """
    _, address = _prepared(host, port)
    plan = {
        "children": _children(host, port, processes),
        "host": _here(host),
        "port": port,
        "sentences": {
            "restarted": _restarted(),
            "not_ready": said("serving.not_ready", log=_logs()),
            "at": said("serving.at", address=address),
            "stopped": said("serving.stopped"),
        },
    }
    sys.stdout.flush()
    sys.stderr.flush()
    if cluster is not None:
        cluster.hand_on()
    command = [sys.executable, "-P", "-m", "commands.supervisor", json.dumps(plan)]
    os.execv(sys.executable, command)  # noqa: S606  (ourselves)


def _prepared(host: str, port: int | None) -> tuple[int, str]:
    """The port, and the address to open; the settings hold together."""
    chosen = port or free_port(host)
    if not (_is_free(host, chosen) and _is_claimed(host, chosen)):
        raise Conflict("serving.port_taken", port=chosen)
    address = f"http://{'localhost' if host in {HOST, '0.0.0.0'} else host}:{chosen}"  # noqa: S104  (compared only)
    os.environ.setdefault("LAMPIONE_PUBLIC_URL", address)
    settings.cache_clear()
    settings().check()
    _logs().mkdir(parents=True, exist_ok=True)
    return chosen, address


def _restarted() -> str:
    """What is said of a child that ended by itself; its name and log are filled in then."""
    return said("serving.restarted", name="{name}", log="{log}")


def _logs() -> Path:
    return settings().var / "log"


def _here(host: str) -> str:
    return HOST if host == "0.0.0.0" else host  # noqa: S104  (compared only)


def _children(host: str, port: int, processes: int = 1) -> list[dict[str, Any]]:
    """What is to be started, as the supervisor's plan has it."""
    commands = {
        "api": web_server("api.app:create_app", host, port, processes),
        "worker": [sys.executable, "-P", "-m", "workers"],
    }
    return [
        {"name": name, "command": command, "folder": str(PROJECT), "log": str(_logs().absolute() / f"{name}.log")}
        for name, command in commands.items()
    ]


def free_port(host: str) -> int:
    """The first free port from 8080 on; any other where twenty are taken."""
    for port in range(FIRST_PORT, FIRST_PORT + 20):
        if _is_free(host, port):
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _is_claimed(host: str, port: int) -> bool:
    """Claim the port for as long as this process lasts; False where another that is starting has done so."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0lampione {host}:{port}")
    except OSError:
        claim.close()
        return False
    os.set_inheritable(claim.detach(), True)  # what this process becomes goes on with it
    return True


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
