"""How fast a report is taken in over HTTP, beside a bare application that keeps the same row (`bench.bare`).

Rounds are short and interleaved, so that what else the machine does falls on both; medians of the rounds count.
"""

from __future__ import annotations

import itertools
import random
import statistics
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
import shapely

from bench.load import Round, post, press
from bench.results import Result
from city.registry.municipality import Registry
from geo.place import Place

CLIENTS: Final = (1, 8, 32)
LEAST_RATE: Final = 0.6
"""Of the bare application's rate."""
LEAST_PROMPTNESS: Final = 1 / 3
"""The 99th percentile may take three times the bare application's."""
LEAST_CROWDED: Final = 0.9
"""Of the rate into the whole province."""
LEAST_NAMED: Final = 0.9
"""Of the rate of reports that say their address."""
STREET: Final = (Place(11.8660, 45.4097), Place(11.8760, 45.4101))
"""About a kilometre in the middle of Padova."""

OUR_PATH: Final = "/api/v1/reports"
BARE_PATH: Final = "/reports"


@dataclass(frozen=True, slots=True)
class Scene:
    """Who hands reports in: how many clients at once, and whether the worker works meanwhile."""

    name: str
    clients: int
    with_worker: bool = False
    has_target: bool = True


@dataclass(frozen=True, slots=True)
class Servers:
    """The addresses of both applications, and a block during which the worker runs (else it stands still)."""

    ours: str
    bare: str
    worker: Callable[[], AbstractContextManager[None]]


def bodies(
    told: Sequence[Mapping[str, Any]],
    places: Callable[[random.Random], Place],
    count: int,
    seed: int = 7,
    *,
    is_addressed: bool = True,
) -> list[bytes]:
    """`count` reports as citizens write them (lines of the seed), each at a place of its own, without reference.

    Not `is_addressed`: none says its address, which is then looked for where the municipality has a register.
    None names a category: every one is classified. All can be answered: some municipalities want to know who
    writes.
    """
    chance = random.Random(seed)  # noqa: S311  (a repeatable load, no secret)
    made = []
    for _ in range(count):
        line, place = chance.choice(told), places(chance)
        report = {
            "lon": round(place.lon, 6),
            "lat": round(place.lat, 6),
            "description": line["description"],
            "address": line["address"] if is_addressed else None,
            "contact": {"email": (line["reporter"] or {}).get("email") or "cittadina@example.org"},
        }
        made.append(orjson.dumps(report))
    return made


def along_street(chance: random.Random) -> Place:
    """A place in one street."""
    share = chance.random()
    start, end = STREET
    return Place(start.lon + share * (end.lon - start.lon), start.lat + share * (end.lat - start.lat))


def over(registry: Registry) -> Callable[[random.Random], Place]:
    """A place anywhere in the hosted municipalities, each as likely as the others."""
    boxes = shapely.bounds(registry.boundaries.areas).tolist()

    def choose(chance: random.Random) -> Place:
        while True:
            west, south, east, north = chance.choice(boxes)
            place = Place(round(chance.uniform(west, east), 6), round(chance.uniform(south, north), 6))
            if registry.boundaries.holding(place):
                return place

    return choose


def requests(path: str, made: Sequence[bytes]) -> Iterator[bytes]:
    """Endless requests, each with a client reference of its own."""
    for body in itertools.cycle(made):
        yield post(path, b'{"client_reference":"' + str(uuid.uuid4()).encode() + b'",' + body[1:])


class Load(NamedTuple):
    """Endless requests for both applications."""

    ours: Iterator[bytes]
    bare: Iterator[bytes]

    @classmethod
    def of(cls, made: Sequence[bytes]) -> Load:
        """The same bodies in the same order for both."""
        return cls(requests(OUR_PATH, made), requests(BARE_PATH, made))


def warm_up(servers: Servers, load: Load, seconds: float) -> None:
    """Until connections, prepared statements and caches are those of a server that has been up for a while."""
    for address, requests_of_it in ((servers.bare, load.bare), (servers.ours, load.ours)):
        press(address, requests_of_it, clients=32, seconds=seconds)


def measure(servers: Servers, scene: Scene, load: Load, *, rounds: int, seconds: float) -> list[Result]:
    """Rate and 50th, 95th and 99th percentile of one scene against the bare application."""
    ours, bare = load
    seen_ours, seen_bare = [], []
    for _ in range(rounds):
        seen_bare.append(press(servers.bare, bare, clients=scene.clients, seconds=seconds))
        if scene.with_worker:
            with servers.worker():
                seen_ours.append(press(servers.ours, ours, clients=scene.clients, seconds=seconds))
        else:
            seen_ours.append(press(servers.ours, ours, clients=scene.clients, seconds=seconds))
    return _results(scene, seen_ours, seen_bare)


def _results(scene: Scene, ours: Sequence[Round], bare: Sequence[Round]) -> list[Result]:
    rate, promptness = (LEAST_RATE, LEAST_PROMPTNESS) if scene.has_target else (None, None)
    found = [
        Result(
            f"{scene.name} rate",
            statistics.median(seen.rate for seen in ours),
            statistics.median(seen.rate for seen in bare),
            "requests/s",
            rate,
        )
    ]
    for share, target in ((0.5, None), (0.95, None), (0.99, promptness)):
        found.append(
            Result(
                f"{scene.name} p{share * 100:.0f}",
                statistics.median(seen.milliseconds(share) for seen in ours),
                statistics.median(seen.milliseconds(share) for seen in bare),
                "ms",
                target,
            )
        )
    return found


HOUSES: Final = 26_000
"""As many house numbers as a city of 90,000 people has."""


def houses() -> Iterator[tuple[int, int, Place]]:
    """Street, number and place of HOUSES numbers on both sides of streets around STREET, 10 m apart."""
    corner, _ = STREET
    for count in range(HOUSES):
        street, number = divmod(count, 130)
        east, north = number // 2 * 0.00013, (street - 100) * 0.0006 + number % 2 * 0.0001
        yield street, number + 1, Place(round(corner.lon + east, 7), round(corner.lat + north, 7))


def with_addresses(servers: Servers, said: Load, found: Load, *, rounds: int, seconds: float) -> Result:
    """Reports without address, which our register gives them, beside reports that say theirs; 8 clients."""
    pairs = [
        (press(servers.ours, found.ours, clients=8, seconds=seconds).rate,
         press(servers.ours, said.ours, clients=8, seconds=seconds).rate)
        for _ in range(rounds)
    ]  # fmt: skip
    ours, peer = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return Result("intake, address found / said, 8 clients rate", ours, peer, "requests/s", LEAST_NAMED)


def beside(servers: Servers, street: Load, everywhere: Load, *, rounds: int, seconds: float) -> Result:
    """Reports into one street beside reports over the whole province: many hands on the same rows must not wait."""
    crowded, spread = [], []
    for _ in range(rounds):
        crowded.append(press(servers.ours, street.ours, clients=32, seconds=seconds).rate)
        spread.append(press(servers.ours, everywhere.ours, clients=32, seconds=seconds).rate)
    name = "intake, one street / whole province, 32 clients rate"
    return Result(name, statistics.median(crowded), statistics.median(spread), "requests/s", LEAST_CROWDED)
