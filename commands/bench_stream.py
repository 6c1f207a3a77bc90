"""The benchmark of live changes: 500 people's windows on the real server, on a database with the demo's registry."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import orjson
import psycopg

from bench import bare_stream, intake
from bench.results import Result
from bench.stream import STREAMS, Crowd, intake_beside, request, resident, results, told
from city.database import provincial, writing
from city.registry import view
from city.registry.sign_in import signing_in
from city.registry.staff import people
from city.registry.staff.people import Staff
from city.reports import handling
from city.reports.changing import Desk
from city.reports.intake import receive
from city.reports.judging import Submission
from city.settings import PROJECT
from commands.bench_ground import Plan, at_work, prepared, serving_process
from commands.cluster import Cluster
from geo.place import Place

TOWN: Final = "pesaro"
PLACE: Final = Place(12.9135, 43.9098)
WINDOWS: Final = 7
"""Streams of one person."""
PATH: Final = "/api/v1/stream"
ROUNDS: Final = 3
BODIES: Final = 2_000


def run(cluster: Cluster, plan: Plan) -> list[Result]:
    """Latency, memory of a stream, and what open streams cost those who report."""
    environment = prepared(cluster, "stream")
    with (
        at_work(environment),
        serving_process("api.app:create_app", environment) as (ours, process),
        _bare(cluster) as (bare, bare_process, bare_change),
    ):
        registry = view.load()
        in_town = _requests([TOWN])
        desk = _Desk(TOWN)
        found: list[Result] = []
        plan.said("bare")
        before = resident(bare_process)
        with Crowd.of(bare, [request("/stream")] * STREAMS) as crowd:
            time.sleep(1)
            bare_size = resident(bare_process) - before
            bare_heard = told(crowd, bare_change)
        for name, is_public in ((f"{STREAMS} open, update", True), (f"{STREAMS} open, note", False)):
            plan.said(name)
            before = resident(process)
            with Crowd.of(ours, in_town) as crowd:
                time.sleep(1)
                size = resident(process) - before
                found += results(name, told(crowd, desk.changing(is_public=is_public)), bare_heard)
            if is_public:
                found.append(Result("stream, memory of each", 1000 * size / STREAMS, 1000 * bare_size / STREAMS, "kB"))
        plan.said("intake")
        lines = (PROJECT / "seed" / "reports.jsonl").read_bytes().splitlines()
        bodies = intake.bodies([orjson.loads(line) for line in lines], intake.over(registry), BODIES)
        everywhere = _requests([here.slug for here in registry.municipalities.values()])

        def crowd_of() -> AbstractContextManager[Crowd]:
            return Crowd.of(ours, everywhere)

        found.append(intake_beside(crowd_of, ours, intake.requests(intake.OUR_PATH, bodies), rounds=ROUNDS))
    return found


class _Desk:
    """Somebody at the desk of a municipality, with a report to say something about."""

    def __init__(self, slug: str) -> None:
        self._municipality = view.held().municipality(slug)
        self._staff = _clerk(slug, "desk@bench.example.org")[1]
        with writing(self._municipality.id) as session:
            received = receive(session, Submission(PLACE, "Lampione spento davanti al civico 12", category="lamp-out"))
        self._report_id, self._version = received.report_id, 1

    def changing(self, *, is_public: bool) -> Callable[[], float]:
        """Says something, to the reporter too or among colleagues; gives the moment of the commit."""

        def change() -> float:
            committed: list[float] = []
            with writing(self._municipality.id) as session:
                session.after_commit(lambda: committed.append(time.perf_counter()))
                desk = Desk(session, self._municipality, self._staff)
                report = handling.add_update(desk, self._report_id, self._version, "Visto.", is_public=is_public)
                self._version = report.version
            return committed[0]

        return change


def _requests(slugs: Sequence[str]) -> list[bytes]:
    """For STREAMS windows of clerks in these municipalities, in turn."""
    tokens = []
    for number, slug in zip(range(-(-STREAMS // WINDOWS)), itertools.cycle(slugs), strict=False):
        token, _ = _clerk(slug, f"{slug}.{number}@bench.example.org")
        tokens += [token] * WINDOWS
    return [request(PATH, token) for token in tokens[:STREAMS]]


def _clerk(slug: str, email: str) -> tuple[str, Staff]:
    """A clerk of a municipality, signed in: token and who it is."""
    municipality_id = view.held().municipality(slug).id
    with provincial() as session:
        person_id = people.appoint(session, municipality=slug, email=email, name="Anna Bianchi", role="clerk")
        person = people.person(session, municipality_id, person_id)
        signed = signing_in.begin(session, person, None, "bench")
    return signed.token, signed.staff


@contextmanager
def _bare(cluster: Cluster) -> Iterator[tuple[str, int, Callable[[], float]]]:
    """The peer's address and process, and what makes a change there."""
    if not cluster.database_exists("bare"):
        cluster.create_database("bare", owner="lampione_owner")
    url = cluster.url(database="bare")
    with (
        psycopg.connect(url, autocommit=True) as connection,
        serving_process("bench.bare_stream:create_app", {bare_stream.URL: url}) as (address, process),
    ):
        connection.execute(bare_stream.TABLE_SQL)
        numbers = itertools.count()

        def change() -> float:
            bare_stream.change(connection, next(numbers))
            return time.perf_counter()

        yield address, process, change
