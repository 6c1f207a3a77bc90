"""`./lampione bench`: prepares what the benchmarks need, runs them, and prints each figure beside its peer's.

They work on a private cluster of their own (`var/bench`), safe against power cuts like the real one, whose databases
are made once and emptied before each run.
"""

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
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg
from rich.console import Console
from rich.table import Table

from bench import bare, intake, tiles
from bench.results import Result, machine
from city.database import forget_engines, writing
from city.errors import InvalidInput, Unavailable
from city.registry import view
from city.registry.address_book import AddressBook, NumberEntry, StreetEntry
from city.registry.street_names import HouseNumber
from city.settings import PROJECT, settings
from city.texts import said
from commands import migrating, seeding
from commands.cluster import Cluster
from commands.serving import HOST, TIED, free_port, web_server

FOLDER: Final = PROJECT / "var" / "bench"
INTAKE: Final = "intake"
TILES: Final = "tiles"
BARE: Final = "bare"
DRAWN: Final = 100_000
ROUNDS: Final = 3
ROUND_SECONDS: Final = 1.2
WARM_UP_SECONDS: Final = 2.0
READY_WITHIN_SECONDS: Final = 30.0
BODIES: Final = 20_000
PLAIN_WIDTH: Final = 120
"""Letters of a line where no terminal says how wide it is."""

SCENES: Final = (
    *(intake.Scene(f"intake, {clients} clients", clients) for clients in intake.CLIENTS),
    intake.Scene("intake, 8 clients, worker on", 8, with_worker=True, has_target=False),
)
STREET: Final = intake.Scene("intake, one street, 32 clients", 32)


def run(names: list[str], *, as_json: bool, reports: int = DRAWN) -> int:
    """Run the named benchmarks (all, where none is named). A target missed is shown, and is no error.

    Raises InvalidInput for a name that is none.
    """
    known: dict[str, Callable[[Cluster], list[Result]]] = {
        "intake": _intake,
        "tiles": lambda cluster: _tiles(cluster, reports),
    }
    for name in names:
        if name not in known:
            raise InvalidInput("bench.unknown", name=name, known=", ".join(known))
    found: list[Result] = []
    FOLDER.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=as_json, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    _print_machine(console)
    with Cluster(FOLDER / "postgres").serving() as cluster:
        migrating.make_roles(cluster.url(database="postgres"))
        for name in names or known:
            begun = time.monotonic()
            results = known[name](cluster)
            found += results
            console.print(_table(name, results, time.monotonic() - begun))
    if as_json:
        print(orjson.dumps({"machine": machine(), "results": [result.as_json() for result in found]}).decode())
    return 0


# --- intake ----------------------------------------------------------------------------------------------------------


def _intake(cluster: Cluster) -> list[Result]:
    environment = _prepared(cluster, INTAKE)
    if not cluster.database_exists(BARE):
        cluster.create_database(BARE, owner="lampione_owner")
    with psycopg.connect(cluster.url(database=BARE)) as connection:
        connection.execute("DROP TABLE IF EXISTS bare_report")
        connection.execute("SET ROLE lampione_owner")
        connection.execute(bare.TABLE_SQL)
    bare_environment = {bare.URL: cluster.url("lampione_owner", BARE)}
    told = [orjson.loads(line) for line in (PROJECT / "seed" / "reports.jsonl").read_bytes().splitlines()]
    with (
        _at_work(environment),
        _served("api.app:create_app", environment) as ours,
        _served("bench.bare:create_app", bare_environment) as peer,
        _worker(environment) as worker,
    ):
        _fill_register()
        servers = intake.Servers(ours, peer, worker)
        everywhere = intake.Load.of(intake.bodies(told, intake.over(view.load()), BODIES))
        intake.warm_up(servers, everywhere, WARM_UP_SECONDS)
        found: list[Result] = []
        for scene in SCENES:
            found += intake.measure(servers, scene, everywhere, rounds=ROUNDS, seconds=ROUND_SECONDS)
        street = intake.Load.of(intake.bodies(told, intake.along_street, BODIES))
        found += intake.measure(servers, STREET, street, rounds=ROUNDS, seconds=ROUND_SECONDS)
        nameless = intake.Load.of(intake.bodies(told, intake.along_street, BODIES, is_addressed=False))
        found.append(intake.with_addresses(servers, street, nameless, rounds=2 * ROUNDS, seconds=ROUND_SECONDS))
        found.append(intake.beside(servers, street, everywhere, rounds=ROUNDS, seconds=ROUND_SECONDS))
    return found


def _fill_register() -> None:
    """House numbers for the city whose street the benchmark reports from."""
    padova = view.held().municipality("padova").id
    listed = list(intake.houses())
    streets = [StreetEntry("Via", f"del Banco {street + 1}") for street in range(listed[-1][0] + 1)]
    with writing(padova) as session:
        book = AddressBook(session, padova)
        book.stage(
            NumberEntry(street, HouseNumber(number), None, place, row)
            for row, (street, number, place) in enumerate(listed)
        )
        book.keep_numbers(streets)


def _prepared(cluster: Cluster, name: str) -> dict[str, str]:
    """The settings of a database with the demo's registry and no reports."""
    environment = {
        "LAMPIONE_DATABASE_URL": cluster.url("lampione_app", name),
        "LAMPIONE_READER_URL": cluster.url("lampione_reader", name),
        "LAMPIONE_OWNER_URL": cluster.url("lampione_owner", name),
        "LAMPIONE_SECRET": "0123456789abcdef0123456789abcdef",
        "LAMPIONE_VAR": str(FOLDER),
        "LAMPIONE_MAIL_URL": (FOLDER / "mail").as_uri(),
    }
    cluster.drop_database(name)
    cluster.create_database(name, owner="lampione_owner")
    migrating.prepare_roles(cluster.url(database=name))
    migrating.migrate(cluster.url("lampione_owner", name))
    with _at_work(environment):
        seeding.load_registry("una password di prova")
        seeding.ensure_classifier(lambda _key, _share: None)
    return environment


@contextlib.contextmanager
def _at_work(environment: Mapping[str, str]) -> Iterator[None]:
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
def _served(app: str, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of one web server process."""
    port = free_port(HOST)
    log = FOLDER / f"{app.partition(':')[0]}.log"
    with _process(web_server(app, HOST, port), environment, log):
        address = f"http://{HOST}:{port}"
        _wait_until_ready(address, log)
        yield address


@contextlib.contextmanager
def _worker(environment: Mapping[str, str]) -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """A worker process that stands still, and a block during which it works."""
    with _process([sys.executable, "-P", "-m", "workers"], environment, FOLDER / "worker.log") as process:
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
def _process(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*TIED, *command], stdout=file, stderr=file, cwd=PROJECT, env={**os.environ, **environment}
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(address: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"{address}/health/ready", timeout=5),  # noqa: S310  (our own address)
        ):
            return
        time.sleep(0.05)
    raise Unavailable("serving.not_ready", log=log)


# --- tiles -----------------------------------------------------------------------------------------------------------


def _tiles(cluster: Cluster, reports: int) -> list[Result]:
    name = f"{TILES}_{migrating.newest()}_{reports}"
    if not cluster.database_exists(name):
        _prepared(cluster, name)
    with (
        psycopg.connect(cluster.url(database=name)) as owner,
        psycopg.connect(cluster.url("lampione_reader", name), options="-c jit=off") as reader,
    ):
        return tiles.measure(owner, reader, reports)


# --- saying ----------------------------------------------------------------------------------------------------------


def _print_machine(console: Console) -> None:
    console.print(said("bench.machine", **machine()), soft_wrap=True)


def _table(name: str, results: list[Result], seconds: float) -> Table:
    table = Table(title=f"{name} ({seconds:.0f} s)", title_justify="left")
    for key in ("what", "ours", "peer", "unit", "ratio", "target"):
        table.add_column(said(f"bench.{key}"), justify="left" if key in {"what", "unit"} else "right")
    for result in results:
        target: Any = "" if result.target is None else f"≥ {result.target:.2f} {'✓' if result.is_met else '✗'}"
        table.add_row(
            result.name, f"{result.ours:.2f}", f"{result.peer:.2f}", result.unit, f"{result.ratio:.2f}", target
        )
    return table
