"""How long the look for near duplicates takes, beside a bare look at one row by its key, and beside PostGIS.

Ours is all of it, as the application does it: as lampione_app under row-level security, query and weighing. PostGIS
has the same conditions on a GiST index, as superuser (under row-level security that index goes unused), and weighs
nothing. Each place is asked three times of all three, in turn, and the middle one of the three times counts.

Besides places where people report, two bad ones, made in a transaction that is undone: a street of one kilometre with
10,000 reports, half of them open; and, without a target, a square where 10,000 lie within 25 metres, nearly all closed
long ago: the index leads to each of them, and the row says that it is too old.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from psycopg import Connection

from bench import nation
from bench.results import Result
from city.registry.municipality import MunicipalityView
from city.reports import duplicates
from geo.cells import around
from geo.place import Place, morton
from geo.within import NEAREST_FIRST, WITHIN, index_places

PLACES: Final = 300
CROWD: Final = 10_000
STREET_METRES: Final = 1_000.0
SQUARE_METRES: Final = 25.0
SQUARE_OPEN: Final = 0.05
WANTED_MS: Final = 5.0
WANTED_RATIO: Final = 1.0
WARM_UP: Final = 30
TIMES: Final = 3

BY_KEY_SQL: Final = (
    "SELECT id, number, state, category_id, lon, lat, created_at, is_public, description FROM report"
    " WHERE municipality_id = %(municipality_id)s AND id = %(id)s"
)
POSTGIS_SQL: Final = f"""
    SELECT id, number, state, category_id, lon, lat, created_at, is_public, left(description, 500) AS description
    FROM report
    WHERE municipality_id = %(municipality_id)s AND {WITHIN}
      AND category_id = ANY (%(kin)s::integer[]) AND (is_public OR %(hidden_too)s::boolean)
      AND (is_open OR state IN ('resolved', 'closed') AND updated_at > %(solved_since)s::timestamptz)
    ORDER BY {NEAREST_FIRST} LIMIT {duplicates.MOST_MEASURED}
"""  # noqa: S608


class Asked(NamedTuple):
    """A report that somebody hands in, and one that is there."""

    sought: duplicates.Sought
    municipality: MunicipalityView
    id: Any


class Times(NamedTuple):
    """Milliseconds of each look."""

    ours: list[float]
    by_key: list[float]
    postgis: list[float]


def measure(
    owner: Connection[Any], municipalities: Mapping[int, MunicipalityView], said: Sequence[str], count: int
) -> list[Result]:
    """Medians and 99th percentiles on `count` reports. `owner` must be a superuser's connection.

    `said` is what reporters say. Leaves the data for the next run.
    """
    nation.draw(owner, count)
    index_places(owner)
    owner.commit()
    owner.execute("ANALYZE report")
    owner.commit()
    rows = _rows(owner, PLACES)
    found = _results("near duplicates", count, _asked_all(owner, rows, municipalities, said), WANTED_RATIO)
    for name, lay, target in (
        ("street of 10,000", _along_street, WANTED_RATIO),
        ("square of 10,000", _in_square, None),
    ):
        try:
            crowd = lay(owner)
            owner.execute("ANALYZE report")
            found += _results(name, count, _asked_all(owner, crowd, municipalities, said), target)
        finally:
            owner.rollback()
    return found


def _rows(owner: Connection[Any], most: int) -> list[tuple[Any, ...]]:
    """Reports drawn from all, by chance that is the same each time."""
    return owner.execute(
        "SELECT municipality_id, id, category_id, lon, lat FROM report"
        " WHERE id IN (SELECT id FROM report TABLESAMPLE bernoulli (%s) REPEATABLE (7)) AND is_open"
        " ORDER BY id LIMIT %s",
        (_percent(owner, 4 * most), most),
    ).fetchall()


def _percent(owner: Connection[Any], wanted: int) -> float:
    row = owner.execute("SELECT reltuples FROM pg_class WHERE relname = 'report'").fetchone()
    return min(100.0, max(0.0001, 100.0 * 5 * wanted / max(1.0, float(row[0] if row else 1))))


# --- bad places


def _along_street(owner: Connection[Any]) -> list[tuple[Any, ...]]:
    chance = random.Random(5)  # noqa: S311  (a repeatable choice, no secret)

    def lay(middle: Place) -> Place:
        box = around(middle, STREET_METRES / 2)
        return Place(chance.uniform(box.west, box.east), middle.lat + chance.gauss(0, 3e-5))

    return _crowded(owner, lay, open_share=0.5)


def _in_square(owner: Connection[Any]) -> list[tuple[Any, ...]]:
    chance = random.Random(6)  # noqa: S311  (a repeatable choice, no secret)

    def lay(middle: Place) -> Place:
        box = around(middle, SQUARE_METRES * math.sqrt(0.5))
        return Place(chance.uniform(box.west, box.east), chance.uniform(box.south, box.north))

    return _crowded(owner, lay, open_share=SQUARE_OPEN)


def _crowded(owner: Connection[Any], lay: Callable[[Place], Place], *, open_share: float) -> list[tuple[Any, ...]]:
    """Ten thousand reports of the largest municipality moved where `lay` says, until the transaction is undone."""
    owner.execute("SET LOCAL session_replication_role = replica")
    moved = owner.execute(
        "SELECT municipality_id, id, category_id, lon, lat FROM report WHERE municipality_id ="
        " (SELECT municipality_id FROM report GROUP BY 1 ORDER BY count(*) DESC LIMIT 1) ORDER BY id LIMIT %s",
        (CROWD,),
    ).fetchall()
    middle = Place(*moved[0][3:5])
    places = [lay(middle) for _ in moved]
    owner.execute(
        "CREATE TEMPORARY TABLE moved (id uuid, lon float8, lat float8, cell bigint, x integer, y integer,"
        " open boolean) ON COMMIT DROP"
    )
    with owner.cursor().copy("COPY moved FROM STDIN") as copy:
        for number, (row, place) in enumerate(zip(moved, places, strict=True)):
            x, y = place.cell()
            copy.write_row((row[1], *place, morton(x, y), x, y, number % 100 < open_share * 100))
    owner.execute(
        "UPDATE report SET lon = moved.lon, lat = moved.lat, cell = moved.cell, cell_x = moved.x, cell_y = moved.y,"
        " is_open = moved.open, state = CASE WHEN moved.open THEN 'assigned' ELSE 'closed' END, master_id = NULL,"
        " updated_at = CASE WHEN moved.open THEN report.updated_at ELSE now() - interval '1 year' END"
        " FROM moved WHERE report.id = moved.id"
    )
    return [(*row[:3], *place) for row, place in zip(moved[:PLACES], places, strict=False)]


# --- asking


def _asked_all(
    owner: Connection[Any],
    rows: Sequence[tuple[Any, ...]],
    municipalities: Mapping[int, MunicipalityView],
    said: Sequence[str],
) -> Times:
    now = datetime.now(UTC)
    asked = []
    anywhere = next(iter(municipalities.values()))
    for number, (municipality_id, report_id, category_id, lon, lat) in enumerate(rows):
        # Drawn towns are in no registry; they inherit the province's categories as every municipality does.
        municipality = replace(anywhere, id=municipality_id)
        sought = duplicates.Sought.of(
            municipality,
            Place(lon, lat),
            category=municipality.category_ids[category_id].slug,
            suggestions=[],
            description=said[number % len(said)],
            at=now,
        )
        asked.append(Asked(sought, municipality, report_id))
    for one in asked[:WARM_UP]:
        _once(owner, one)
    middle = [
        [statistics.median(times) for times in zip(*(_once(owner, one) for _ in range(TIMES)), strict=True)]
        for one in asked
    ]
    return Times(*(list(column) for column in zip(*middle, strict=True)))


def _once(owner: Connection[Any], asked: Asked) -> tuple[float, float, float]:
    """Milliseconds of ours, of a row by its key, and of PostGIS."""
    municipality_id = asked.municipality.id
    owner.execute("SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL jit = off")
    postgis = _timed(lambda: _by_postgis(owner, asked))
    owner.execute(f"SET LOCAL ROLE lampione_app; SET LOCAL lampione.municipality = '{int(municipality_id)}'")
    ours = _timed(lambda: _ours(owner, asked))
    by_key = _timed(
        lambda: owner.execute(BY_KEY_SQL, {"municipality_id": municipality_id, "id": asked.id}, prepare=True).fetchone()
    )
    owner.execute("RESET ROLE")
    return ours, by_key, postgis


def _ours(connection: Connection[Any], asked: Asked) -> None:
    found = connection.execute(
        duplicates.NEARBY_SQL,
        {"municipality_id": asked.municipality.id, **duplicates.search_values(asked.sought, hidden_too=False)},
        prepare=True,
    )
    names = [column.name for column in found.description or ()]
    duplicates.likely(asked.sought, [dict(zip(names, row, strict=True)) for row in found], coarsely=True)


def _by_postgis(connection: Connection[Any], asked: Asked) -> None:
    wanted = duplicates.search_values(asked.sought, hidden_too=False)
    place = asked.sought.place
    values = {name: wanted[name] for name in ("kin", "hidden_too", "solved_since")} | {
        "municipality_id": asked.municipality.id,
        "lon": place.lon,
        "lat": place.lat,
        "metres": duplicates.search_metres(asked.sought.category),
    }
    connection.execute(POSTGIS_SQL, values, prepare=True).fetchall()


def _timed(look: Callable[[], object]) -> float:
    begun = time.perf_counter()
    look()
    return (time.perf_counter() - begun) * 1000


def _results(name: str, count: int, times: Times, target: float | None) -> list[Result]:
    found = []
    for share, middle in (("median", True), ("p99", False)):
        ours, by_key, postgis = (
            statistics.median(column) if middle else sorted(column)[int(0.99 * len(column))] for column in times
        )
        title = f"{name}, {count} reports, {share}"
        found += [
            Result(f"{title} / 5 ms wanted", ours, WANTED_MS, "ms", target),
            Result(f"{title} / row by key", ours, by_key, "ms"),
            Result(f"{title} / PostGIS", ours, postgis, "ms"),
        ]
    return found
