"""How fast old reports are taken in, beside the same reports one by one over HTTP, and beside PostgreSQL alone.

The limits are a bare COPY of the very reports that the import has written into a table with the same columns and
indexes, and a COPY of all that it has written (reports, reporters, timeline, references) into the real tables.
"""

from __future__ import annotations

import contextlib
import csv
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final, LiteralString

from psycopg import Connection

from bench import intake
from bench.load import press
from bench.results import Result
from city.registry.municipality import Registry
from geo.place import Place

LEAST_RATIO: Final = 20.0
"""Of the rate of one-by-one intake over HTTP."""
CLIENTS: Final = (1, 8, 32)
BODIES: Final = 5_000
BLOCK: Final = 1 << 20
HEAD: Final = ("numero", "descrizione", "lon", "lat", "data", "indirizzo", "email")
WRITTEN: Final[tuple[LiteralString, ...]] = ("report", "reporter", "timeline_entry", "client_request")
SINCE: Final = datetime(2015, 1, 1, tzinfo=UTC)


def write_file(path: Path, told: Sequence[Mapping[str, Any]], registry: Registry, slug: str, count: int) -> None:
    """A CSV file of `count` reports of ten years, as citizens write them (lines of the seed), all over a municipality.

    None names a category: every one is classified.
    """
    chance = random.Random(7)  # noqa: S311  (a repeatable file, no secret)
    places = _places(registry, slug, chance)
    step = timedelta(days=3650) / count
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        for number in range(count):
            line, other, place = chance.choice(told), chance.choice(told), next(places)
            text = f"{line['description']} {other['description'][: chance.randrange(40)]}"
            written_at = f"{SINCE + number * step:%Y-%m-%d %H:%M:%S}"
            email = f"cittadino{number % 5000}@example.org" if line["reporter"] else ""
            writer.writerow([number, text, place.lon, place.lat, written_at, line["address"], email])


def _places(registry: Registry, slug: str, chance: random.Random) -> Iterator[Place]:
    wanted = registry.municipality(slug).id
    area = registry.boundaries.areas[registry.boundaries.keys.index(wanted)]
    west, south, east, north = area.bounds
    while True:
        place = Place(round(chance.uniform(west, east), 6), round(chance.uniform(south, north), 6))
        if registry.boundaries.holding(place)[:1] == [wanted]:
            yield place


def measure(
    address: str,
    made: Sequence[bytes],
    take_in: Callable[[], tuple[int, float]],
    owner: Connection[Any],
    *,
    rounds: int,
    seconds: float,
) -> list[Result]:
    """Rows a second of an import against both.

    `address` serves the API and `made` are bodies for it; `take_in` imports the file and says how many rows were taken
    in within how many seconds; `owner` is a superuser's connection to the same database.
    """
    requests = intake.requests(intake.OUR_PATH, made)
    press(address, requests, clients=max(CLIENTS), seconds=seconds)
    rates: dict[int, list[float]] = {clients: [] for clients in CLIENTS}
    for _ in range(rounds):
        for clients, seen in rates.items():
            seen.append(press(address, requests, clients=clients, seconds=seconds).rate)
    rows, taken_seconds = take_in()
    ours = rows / taken_seconds
    singly = {clients: statistics.median(seen) for clients, seen in rates.items()}
    return [
        Result(f"import of {rows} reports / HTTP, one client", ours, singly[1], "reports/s", LEAST_RATIO),
        Result(f"import of {rows} reports / HTTP, best rate", ours, max(singly.values()), "reports/s", LEAST_RATIO),
        Result(f"import of {rows} reports / bare COPY of their rows", ours, _bare_rate(owner), "reports/s"),
        Result(f"import of {rows} reports / COPY of all it wrote", ours, _whole_rate(owner), "reports/s"),
    ]


def _bare_rate(owner: Connection[Any]) -> float:
    """Rows a second of a bare COPY of all reports into a table with the same columns and indexes."""
    owner.execute("DROP TABLE IF EXISTS bare_copy")
    owner.execute("CREATE TABLE bare_copy (LIKE report INCLUDING INDEXES INCLUDING GENERATED)")
    owner.commit()
    with tempfile.TemporaryFile() as file:
        _write_out(owner, "report", file)
        begun = time.perf_counter()
        count = _read_in(owner, "bare_copy", file)
        seconds = time.perf_counter() - begun
    owner.execute("DROP TABLE bare_copy")
    owner.commit()
    return count / seconds


def _whole_rate(owner: Connection[Any]) -> float:
    """Reports a second of a COPY of all that the import wrote into the real tables, with all that these see to.

    A superuser's, who is spared row-level security; application roles may not COPY into such tables at all.
    """
    with contextlib.ExitStack() as opened:
        files = {table: opened.enter_context(tempfile.TemporaryFile()) for table in WRITTEN}
        for table, file in files.items():
            _write_out(owner, table, file)
        owner.execute(f"TRUNCATE tile_delta, {', '.join(WRITTEN)} CASCADE")
        owner.commit()
        begun = time.perf_counter()
        counts = {table: _read_in(owner, table, file) for table, file in files.items()}
        return counts["report"] / (time.perf_counter() - begun)


def _write_out(owner: Connection[Any], table: LiteralString, file: IO[bytes]) -> None:
    with owner.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as out:
        for block in out:
            file.write(block)
    owner.commit()
    file.seek(0)


def _read_in(owner: Connection[Any], table: LiteralString, file: IO[bytes]) -> int:
    with owner.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as into:
            while block := file.read(BLOCK):
                into.write(block)
        count = cursor.rowcount
    owner.commit()
    return count
