"""What the benchmarks stand on: databases of their own, servers and workers started for them, and put away again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from city.database import forget_engines
from city.errors import Unavailable
from city.registry import view
from city.settings import PROJECT, settings
from commands import migrating
from commands.cluster import Cluster
from commands.seeding.learning import ensure_classifier
from commands.seeding.registry import load_registry
from commands.serving import HOST, free_port, web_server
from commands.supervisor import TIED

FOLDER: Final = PROJECT / "var" / "bench"
READY_WITHIN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure: sizes in reports, other tile servers as NAME=URL, and who hears how far it is."""

    is_full: bool
    sizes: tuple[int, ...]
    peers: tuple[str, ...]
    said: Callable[[str], None]


def environment_of(cluster: Cluster, name: str) -> dict[str, str]:
    """The settings of an installation on the database `name`."""
    return {
        "LAMPIONE_DATABASE_URL": cluster.url("lampione_app", name),
        "LAMPIONE_READER_URL": cluster.url("lampione_reader", name),
        "LAMPIONE_OWNER_URL": cluster.url("lampione_owner", name),
        "LAMPIONE_SECRET": "0123456789abcdef0123456789abcdef",
        "LAMPIONE_VAR": str(FOLDER),
        "LAMPIONE_MAIL_URL": (FOLDER / "mail").as_uri(),
    }


def prepared(cluster: Cluster, name: str) -> dict[str, str]:
    """The settings of a database with the demo's registry and no reports."""
    environment = environment_of(cluster, name)
    cluster.drop_database(name)
    cluster.create_database(name, owner="lampione_owner")
    migrating.prepare_roles(cluster.url(database=name))
    migrating.migrate(cluster.url("lampione_owner", name))
    with at_work(environment):
        load_registry("una password di prova")
        ensure_classifier(lambda _key, _share: None)
    return environment


@contextlib.contextmanager
def at_work(environment: Mapping[str, str]) -> Iterator[None]:
    """This process works with those settings."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    _forget()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _forget()


def _forget() -> None:
    forget_engines()
    settings.cache_clear()
    view.forget()


@contextlib.contextmanager
def served(app: str, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of one web server process."""
    with serving_process(app, environment) as (address, _):
        yield address


@contextlib.contextmanager
def serving_process(app: str, environment: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """The address of one web server process, and its number."""
    port = free_port(HOST)
    log = FOLDER / f"{app.partition(':')[0]}.log"
    with process_of(web_server(app, HOST, port), environment, log) as process:
        address = f"http://{HOST}:{port}"
        wait_until_ready(f"{address}/health/ready", log)
        yield address, process.pid


@contextlib.contextmanager
def worker(environment: Mapping[str, str]) -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """A worker process that stands still, and a block during which it works."""
    with process_of([sys.executable, "-P", "-m", "workers"], environment, FOLDER / "worker.log") as process:
        process.send_signal(signal.SIGSTOP)

        @contextlib.contextmanager
        def working() -> Iterator[None]:
            process.send_signal(signal.SIGCONT)
            try:
                yield
            finally:
                process.send_signal(signal.SIGSTOP)

        try:
            yield working
        finally:
            process.kill()  # what it has not done belongs to a database that is thrown away


@contextlib.contextmanager
def process_of(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the length of the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*TIED, *command], stdout=file, stderr=file, cwd=PROJECT, env={**os.environ, **environment}
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def wait_until_ready(address: str, log: Path) -> None:
    """Wait until `address` answers. Raises Unavailable."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(address, timeout=5),  # noqa: S310  (our own address)
        ):
            return
        time.sleep(0.05)
    raise Unavailable("serving.not_ready", log=log)


def drawn(cluster: Cluster, reports: int, kept_as: str = "tiles") -> str:
    """A database for so many drawn reports, kept between runs and brought to the newest migration."""
    name = f"{kept_as}_{reports}"
    if cluster.database_exists(name):
        migrating.migrate(cluster.url("lampione_owner", name))
    else:
        prepared(cluster, name)
    return name
