"""The benchmarks one by one: each brings about what is to be measured, and lets `bench` measure it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import orjson
import psycopg

from bench import (
    bare,
    bulk,
    classification,
    council,
    desk,
    duplicates,
    intake,
    memory,
    nginx,
    peers,
    photos,
    search,
    subscriptions,
    tile_service,
    tiles,
    zones,
)
from bench.results import Result
from city.database import writing
from city.errors import Unavailable
from city.records.monthly import sheets
from city.registry import view
from city.registry.addresses.book import AddressBook, NumberEntry, StreetEntry
from city.registry.addresses.street_names import HouseNumber
from city.reports import trained
from city.reports.classification import Classifier
from city.reports.training.learning import read_training_set
from city.settings import PROJECT, settings
from city.texts import operator_language
from commands import bench_notice, bench_stream, bench_webhooks, installation, report_import
from commands.bench_ground import (
    FOLDER,
    Plan,
    at_work,
    drawn,
    environment_of,
    prepared,
    process_of,
    served,
    wait_until_ready,
    worker,
)
from commands.cluster import Cluster
from commands.report_rows import RowFile
from commands.seeding.learning import ensure_classifier
from commands.seeding.registry import load_registry
from commands.serving import HOST, free_port
from geo.place import Place
from geo.tiles import Tile
from geo.within import index_places

TOWN: Final = "padova"
"""Whose old reports are imported, and whose addresses are known."""
MIDDLE: Final = Place(11.8768, 45.4064)
"""Where people live who asked to hear of something."""
QUICK_SUBSCRIPTIONS: Final = 20_000
FULL_SUBSCRIPTIONS: Final = 200_000
QUICK_FILE: Final = 20_000
FULL_FILE: Final = 1_000_000
"""Reports of the imported file."""
MOST_SEARCHED: Final = 2
"""Sizes at which words are looked for: no municipality has ten million reports."""
ROUNDS: Final = 3
ROUND_SECONDS: Final = 1.2
WARM_UP_SECONDS: Final = 2.0
BODIES: Final = 20_000
SCENES: Final = (
    *(intake.Scene(f"intake, {clients} clients", clients) for clients in intake.CLIENTS),
    intake.Scene("intake, 8 clients, worker on", 8, with_worker=True, has_target=False),
)
STREET: Final = intake.Scene("intake, one street, 32 clients", 32)


def _intake(cluster: Cluster, _plan: Plan) -> list[Result]:
    environment = prepared(cluster, "intake")
    if not cluster.database_exists("bare"):
        cluster.create_database("bare", owner="lampione_owner")
    with psycopg.connect(cluster.url(database="bare")) as connection:
        connection.execute("DROP TABLE IF EXISTS bare_report")
        connection.execute("SET ROLE lampione_owner")
        connection.execute(bare.TABLE_SQL)
    bare_environment = {bare.URL: cluster.url("lampione_owner", "bare")}
    told = [orjson.loads(line) for line in (PROJECT / "seed" / "reports.jsonl").read_bytes().splitlines()]
    with (
        at_work(environment),
        served("api.app:create_app", environment) as ours,
        served("bench.bare:create_app", bare_environment) as peer,
        worker(environment) as working,
    ):
        _fill_register()
        servers = intake.Servers(ours, peer, working)
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
    padova = view.held().municipality(TOWN).id
    listed = list(intake.houses())
    streets = [StreetEntry("Via", f"del Banco {street + 1}") for street in range(listed[-1][0] + 1)]
    with writing(padova) as session:
        book = AddressBook(session, padova)
        book.stage(
            NumberEntry(street, HouseNumber(number), None, place, row)
            for row, (street, number, place) in enumerate(listed)
        )
        book.keep_numbers(streets)


def _tiles(cluster: Cluster, plan: Plan) -> list[Result]:
    found: list[Result] = []
    smallest: tiles.Seen | None = None
    for reports in plan.sizes:
        name = drawn(cluster, reports)
        with (
            psycopg.connect(cluster.url(database=name)) as owner,
            psycopg.connect(cluster.url("lampione_reader", name), options="-c jit=off") as reader,
            # As the API's connections: statements planned once. The peers choose for themselves.
            psycopg.connect(
                cluster.url("lampione_reader", name), options="-c jit=off -c plan_cache_mode=force_generic_plan"
            ) as ours,
        ):
            reader.prepare_threshold = ours.prepare_threshold = 2
            results, seen = tiles.measure(tiles.Connections(owner, ours, reader), reports, smallest, plan.said)
            smallest = smallest or seen
            wanted = {zoom: tiles.tiles_of(reader, reports, zoom) for zoom in tile_service.ZOOMS}
            plan.said("HTTP")
            found += results + _tiles_over_http(cluster, name, wanted=wanted, size=f"{reports:,}", plan=plan)
    return found


def _tiles_over_http(
    cluster: Cluster,
    name: str,
    *,
    wanted: Mapping[int, list[Tile]],
    size: str,
    plan: Plan,
) -> list[Result]:
    with psycopg.connect(cluster.url(database=name)) as owner:
        index_places(owner)
    environment = environment_of(cluster, name)
    found = []
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(served("api.app:create_app", {**environment, "LAMPIONE_TILE_CACHE_MEGABYTES": "0"}))
        named = [tile_service.Server(*peer.split("=", 1)) for peer in plan.peers]
        try:
            named.append(stack.enter_context(_tipg(cluster.url(database=name))))
        except Unavailable as error:
            plan.said(error.sentence(operator_language()))
        found += tile_service.cold(ours, named, wanted, size)
    with served("api.app:create_app", environment) as ours:
        kept = tile_service.files(ours, wanted)
        try:
            bodies = {path: data for path, (data, _) in kept.items()}
            with nginx.serving(FOLDER, free_port(HOST), bodies) as peer:
                found += tile_service.ready(ours, peer, kept, nginx.tags(peer, bodies))
        except Unavailable as error:
            plan.said(error.sentence(operator_language()))
    return found


@contextlib.contextmanager
def _tipg(url: str) -> Iterator[tile_service.Server]:
    port = free_port(HOST)
    command = [str(peers.interpreter()), "-P", "-m", "uvicorn", "tipg.main:app", "--host", HOST, "--port", str(port)]
    log = FOLDER / "tipg.log"
    with process_of(
        [*command, "--no-access-log", "--log-level", "warning"], {"DATABASE_URL": peers.tipg_url(url)}, log
    ):
        address = f"http://{HOST}:{port}"
        wait_until_ready(f"{address}/healthz", log)
        yield tile_service.Server("tipg", address + tile_service.TIPG_PATH)


def _duplicates(cluster: Cluster, plan: Plan) -> list[Result]:
    reports = plan.sizes[-1]
    name = drawn(cluster, reports)
    told = [
        orjson.loads(line)["description"] for line in (PROJECT / "seed" / "reports.jsonl").read_bytes().splitlines()
    ]
    with at_work(environment_of(cluster, name)), psycopg.connect(cluster.url(database=name)) as owner:
        return duplicates.measure(owner, view.load().municipalities, told, reports)


def _search(cluster: Cluster, plan: Plan) -> list[Result]:
    """A database for each size, kept between runs."""
    folder = PROJECT / "seed" / "training"
    phrases = [(label, text) for path in sorted(folder.glob("it-*.tsv")) for label, text in _lines(path)]
    found = []
    for reports in plan.sizes[:MOST_SEARCHED]:
        name = drawn(cluster, reports, kept_as="search")
        with (
            at_work(environment_of(cluster, name)),
            psycopg.connect(cluster.url(database=name)) as owner,
            psycopg.connect(cluster.url("lampione_app", name), options="-c jit=off") as app,
        ):
            app.prepare_threshold = 2
            padova = view.held().municipality(TOWN).id
            found += search.measure(owner, app, search.Town(padova, reports, phrases), plan.said)
    return found


def _desk(cluster: Cluster, plan: Plan) -> list[Result]:
    """A database for each size, kept between runs."""
    found = []
    for reports in plan.sizes[:MOST_SEARCHED]:
        name = drawn(cluster, reports, kept_as="desk")
        with at_work(environment_of(cluster, name)), psycopg.connect(cluster.url(database=name)) as owner:
            here = view.load().municipality(TOWN)
            plan.said("drawing")
            desk.prepare(owner, here, reports)
            person = owner.execute("SELECT min(id) FROM person WHERE municipality_id = %s", (here.id,)).fetchone()
            assert person is not None
            found += desk.measure(here, person[0], reports)
    return found


def _council(cluster: Cluster, plan: Plan) -> list[Result]:
    """A database for each size, kept between runs."""
    found = []
    for reports in plan.sizes[:MOST_SEARCHED]:
        name = drawn(cluster, reports, kept_as="council")
        environment = environment_of(cluster, name)
        with (
            at_work(environment),
            psycopg.connect(cluster.url(database=name)) as owner,
            psycopg.connect(cluster.url("lampione_reader", name), options="-c jit=off") as reader,
        ):
            here = view.load().municipality(TOWN)
            layer = sheets.fitting_layer(here, None) or ""
            town = council.Town(here.id, here.slug, layer, reports)
            plan.said("drawing")
            council.draw(
                owner,
                town,
                [office.id for office in here.departments.values()],
                [kind.id for kind in here.categories.values() if kind.is_public],
                [zone.id for zone in here.zones.values() if zone.layer == layer],
            )
            with served("api.app:create_app", environment) as address:
                found += council.measure(reader, address, town, plan.said)
    return found


def _lines(path: Path) -> list[tuple[str, str]]:
    lines = (line.partition("\t") for line in path.read_text("utf-8").splitlines() if "\t" in line)
    return [(label, text) for label, _, text in lines]


def _subscriptions(cluster: Cluster, plan: Plan) -> list[Result]:
    environment = prepared(cluster, "subscriptions")
    count = FULL_SUBSCRIPTIONS if plan.is_full else QUICK_SUBSCRIPTIONS
    with at_work(environment), psycopg.connect(cluster.url(database="subscriptions")) as owner:
        return subscriptions.measure(owner, view.load().slugs[TOWN], MIDDLE, count)


def _bulk(cluster: Cluster, plan: Plan) -> list[Result]:
    environment = prepared(cluster, "bulk")
    told = [orjson.loads(line) for line in (PROJECT / "seed" / "reports.jsonl").read_bytes().splitlines()]
    path = FOLDER / "bulk.csv"

    def take_in() -> tuple[int, float]:
        file = RowFile(path)
        job = report_import.Plan(file, TOWN, report_import.columns_of(file, "email=email"))
        trained.classifier()
        outcome = report_import.import_reports(job, lambda _done, so_far: plan.said(f"{so_far.rows:,}"))
        return outcome.accepted, outcome.seconds

    with (
        at_work(environment),
        served("api.app:create_app", environment) as address,
        psycopg.connect(cluster.url(database="bulk")) as owner,
    ):
        registry = view.load()
        bulk.write_file(path, told, registry, TOWN, FULL_FILE if plan.is_full else QUICK_FILE)
        made = intake.bodies(told, intake.over(registry), bulk.BODIES)
        return bulk.measure(address, made, take_in, owner, rounds=ROUNDS, seconds=ROUND_SECONDS)


def _classification(_cluster: Cluster, _plan: Plan) -> list[Result]:
    with at_work({"LAMPIONE_VAR": str(FOLDER), "LAMPIONE_DATABASE_URL": "", "LAMPIONE_READER_URL": ""}):
        ensure_classifier(lambda _key, _share: None)
        classifier = Classifier.load(settings().classifier)
    pairs = read_training_set(PROJECT / "seed" / "training")
    lines = (PROJECT / "seed" / "reports.jsonl").read_bytes().splitlines()
    return classification.measure(classifier, pairs, [orjson.loads(line)["description"] for line in lines])


def _photos(_cluster: Cluster, _plan: Plan) -> list[Result]:
    return photos.measure(FOLDER)


def _memory(_cluster: Cluster, _plan: Plan) -> list[Result]:
    """An installation of its own under `var/bench/memory`, with the registry of the demo, served by `./lampione up`."""
    folder = FOLDER / "memory"
    folder.mkdir(parents=True, exist_ok=True)
    told = [orjson.loads(line) for line in (PROJECT / "seed" / "reports.jsonl").read_bytes().splitlines()]
    with at_work({"LAMPIONE_VAR": str(folder)}):
        with installation.ready():
            if not view.load().municipalities:
                load_registry("una password di prova")
            ensure_classifier(lambda _key, _share: None)
            bodies = intake.bodies(told, intake.over(view.load()), BODIES)
        port = free_port(HOST)
        address, log = f"http://{HOST}:{port}", folder / "up.log"
        with process_of([sys.executable, "-P", "-m", "commands", "up", "--port", str(port)], {}, log) as process:
            wait_until_ready(f"{address}/health/ready", log)
            return memory.measure(process.pid, address, intake.requests(intake.OUR_PATH, bodies))


def _zones(cluster: Cluster, _plan: Plan) -> list[Result]:
    if not cluster.database_exists("bare"):
        cluster.create_database("bare", owner="lampione_owner")
    with psycopg.connect(cluster.url(database="bare"), options="-c jit=off") as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgis")
        return zones.measure(connection, FOLDER)


KNOWN: Final[dict[str, Callable[[Cluster, Plan], list[Result]]]] = {
    "intake": _intake,
    "tiles": _tiles,
    "zones": _zones,
    "duplicates": _duplicates,
    "search": _search,
    "desk": _desk,
    "council": _council,
    "subscriptions": _subscriptions,
    "bulk": _bulk,
    "classification": _classification,
    "photos": _photos,
    "memory": _memory,
    "stream": bench_stream.run,
    "notice": bench_notice.run,
    "webhooks": bench_webhooks.run,
}
"""By name, in the order in which they run where none is named."""
