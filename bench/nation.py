"""A nation's reports, drawn: towns of very different size along a peninsula, streets, ten years, seasons. By COPY.

A fifth of what comes in is about the dozen largest cities; reports lie along streets; potholes come in winter, weeds
and waste in summer; the newest are mostly still open. The same number of reports is always the same nation.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from geo import pyramid
from geo.place import PYRAMID_LEVEL

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_TOWNS: Final = 8_000
REPORTS_A_TOWN: Final = 200
"""At least, on average: a smaller nation has fewer towns."""
DEPARTMENTS: Final = 3
SHAPE: Final = (
    *((7.7, 45.0, 0.5), (9.2, 45.5, 0.5), (10.8, 45.3, 0.6), (12.1, 45.6, 0.5), (11.2, 44.5, 0.5), (11.2, 43.6, 0.5)),
    *((12.9, 43.5, 0.4), (12.5, 42.1, 0.5), (14.0, 42.0, 0.4), (14.6, 40.9, 0.4), (16.3, 40.9, 0.5), (17.9, 40.3, 0.3)),
    *((16.3, 39.1, 0.3), (14.2, 37.6, 0.6), (9.0, 40.0, 0.5)),
)
"""Where people live: longitude, latitude, spread in degrees."""
METRES: Final = 1 / 111_195
"""Of latitude, in degrees."""
NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
YEARS: Final = 10
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL's."""
DAY_MICROSECONDS: Final = 86_400_000_000
OPEN_STATES: Final = ("assigned", "received", "in_progress", "planned", "waiting")
ENDED_STATES: Final = ("closed", "resolved", "rejected", "withdrawn")
STATES: Final = (*OPEN_STATES, *ENDED_STATES)
BLOCK: Final = 200_000
SUMMER: Final = {"green": 0.8, "waste": 0.5, "animals": 0.5, "water": 0.4, "roads": -0.6, "lighting": -0.5}
"""How much more comes in July than on average; in January as much less."""

WORDS: Final = (
    *(
        "buca profonda davanti al civico",
        "lampione spento da una settimana",
        "rifiuti abbandonati vicino ai cassonetti",
    ),
    *(
        "albero pericolante dopo il vento",
        "marciapiede dissestato, si inciampa",
        "tombino che non scarica quando piove",
    ),
    *(
        "erba alta nel parco giochi",
        "segnale stradale piegato",
        "perdita d'acqua in strada",
        "scritte sul muro della scuola",
    ),
)


class Drawn(NamedTuple):
    """The columns of drawn reports, each of shape (n,), oldest first."""

    town: Ints
    lon: Floats
    lat: Floats
    kind: Ints
    state: Ints
    created: Ints
    """Microseconds since 2000, UTC."""


def cells(lons: Floats, lats: Floats) -> tuple[Ints, Ints, Ints]:
    """Column, row and Morton key of the finest level, as `Place.cell` and `morton` make them."""
    side = 1 << PYRAMID_LEVEL
    sines = np.sin(np.radians(lats))
    x = ((lons + 180.0) / 360.0 * side).astype(np.int64)
    y = ((0.5 - np.log((1 + sines) / (1 - sines)) / (4 * np.pi)) * side).astype(np.int64)
    return x, y, _spread(x) | _spread(y) << 1


def _spread(values: Ints) -> Ints:
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        values = (values | values << shift) & mask
    return values


def towns(count: int) -> int:
    """How many towns a nation with so many reports has."""
    return int(min(MOST_TOWNS, max(50, count // REPORTS_A_TOWN)))


def drawn(count: int, groups: list[str], seed: int = 11) -> Drawn:
    """`count` reports; `groups` are the category groups of the kinds they can be of."""
    chance = np.random.default_rng(seed)
    many = towns(count)
    sizes = 1 / (np.arange(1, many + 1) + 3.0)
    town = chance.choice(many, count, p=sizes / sizes.sum())
    kind = chance.integers(0, len(groups), count)
    created = _moments(chance, np.array([SUMMER.get(group, 0.0) for group in groups])[kind])
    order = np.argsort(created)
    lon, lat = _along_streets(chance, town, count * sizes / sizes.sum())
    return Drawn(town, lon, lat, kind, _states(chance, created[order]), created[order])


def places(count: int) -> tuple[Floats, Floats]:
    """Longitudes and latitudes of the same reports."""
    return drawn(count, [""])[1:3]


def _along_streets(chance: np.random.Generator, town: Ints, expected: Floats) -> tuple[Floats, Floats]:
    """Places along the streets of each report's town; `expected` are the reports of each town."""
    middles = np.array(SHAPE)[chance.integers(0, len(SHAPE), len(expected))]
    east = middles[:, 0] + chance.normal(0, 1, len(expected)) * middles[:, 2]
    north = middles[:, 1] + chance.normal(0, 0.6, len(expected)) * middles[:, 2]
    radius = np.clip(0.006 * (expected / 500) ** 0.4, 0.004, 0.09)
    streets = np.clip(expected / 30, 4, 6000).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(streets)[:-1]])
    whose = np.repeat(np.arange(len(expected)), streets)
    bearing = chance.uniform(0, np.pi, len(expected))[whose] + chance.choice([0, np.pi / 2], len(whose))
    bearing += chance.normal(0, 0.15, len(whose))
    length = chance.uniform(120, 900, len(whose)) * METRES
    street_lon = east[whose] + chance.normal(0, 1, len(whose)) * radius[whose]
    street_lat = north[whose] + chance.normal(0, 0.7, len(whose)) * radius[whose]
    street = first[town] + (chance.random(len(town)) * streets[town]).astype(np.int64)
    along = chance.uniform(-0.5, 0.5, len(town)) * length[street]
    aside = chance.normal(0, 6, len(town)) * METRES
    turn = bearing[street]
    lon = street_lon[street] + (along * np.cos(turn) - aside * np.sin(turn)) / np.cos(np.radians(44))
    return lon, street_lat[street] + along * np.sin(turn) + aside * np.cos(turn)


def _moments(chance: np.random.Generator, summer: Floats) -> Ints:
    """Moments in the last ten years, more of them each year, and in the season of each report's kind."""
    day = np.sqrt(chance.random(len(summer))) * 365.25 * YEARS
    season = -np.cos((day % 365.25) / 365.25 * 2 * np.pi)
    refused = chance.random(len(summer)) > (1 + summer * season) / (1 + np.abs(summer))
    day[refused] = np.sqrt(chance.random(int(refused.sum()))) * 365.25 * YEARS
    start = int((NOW - EPOCH).total_seconds() * 1_000_000) - int(365.25 * YEARS * DAY_MICROSECONDS)
    return start + (day * DAY_MICROSECONDS).astype(np.int64)


def _states(chance: np.random.Generator, created: Ints) -> Ints:
    age_days = ((NOW - EPOCH).total_seconds() * 1_000_000 - created) / DAY_MICROSECONDS
    is_open = chance.random(len(created)) < 0.06 + 0.9 * np.exp(-age_days / 90)
    opened = chance.choice(len(OPEN_STATES), len(created), p=[0.4, 0.1, 0.2, 0.2, 0.1])
    ended = len(OPEN_STATES) + chance.choice(len(ENDED_STATES), len(created), p=[0.6, 0.2, 0.15, 0.05])
    return np.where(is_open, opened, ended)


# --- into the database ------------------------------------------------------------------------------------------------

_STAGING: Final = """
CREATE UNLOGGED TABLE drawn (row integer, town integer, lon float8, lat float8, cell bigint, x integer, y integer,
  kind smallint, state smallint, created timestamptz)
"""
_FIELDS: Final = ("i4", "i4", "f8", "f8", "i8", "i4", "i4", "i2", "i2", "i8")

_TOWNS: Final = f"""
WITH made AS (
  INSERT INTO municipality (slug, name, prefix, kind, is_active, fallback_department_id)
  SELECT 'drawn-' || town, 'Drawn ' || town, 'DR' || town, 'municipality', false, 0
  FROM generate_series(0, %s - 1) AS town
  RETURNING id, slug
)
INSERT INTO department (municipality_id, slug, name_it, name_en)
SELECT id, 'office-' || office, 'Ufficio', 'Office' FROM made, generate_series(1, {DEPARTMENTS}) AS office
"""  # noqa: S608
_INSERT: Final = f"""
WITH kinds AS (
  SELECT array_agg(id ORDER BY id) AS ids, array_agg(group_slug ORDER BY id) AS groups,
         array_agg(privacy = 'public' ORDER BY id) AS seen, array_agg(hashtext(group_slug) & 1023 ORDER BY id) AS desks
  FROM category
), offices AS (
  SELECT substr(municipality.slug, 7)::integer AS town, municipality.id AS municipality_id,
         array_agg(department.id ORDER BY department.id) AS ids
  FROM municipality JOIN department ON department.municipality_id = municipality.id
  WHERE municipality.slug LIKE 'drawn-%%' GROUP BY 1, 2
)
INSERT INTO report (municipality_id, id, number, state, category_id, group_slug, decided_by, suggestions, department_id,
  routing, lon, lat, cell, cell_x, cell_y, zone_ids, description, language, answers, source, is_public, is_emergency,
  is_open, created_at, month, updated_at, deadline_at)
SELECT offices.municipality_id, gen_random_uuid(), 'DR-' || row, (%(states)s::text[])[1 + state], kinds.ids[1 + kind],
  groups[1 + kind], 'citizen', '[]', offices.ids[1 + desks[1 + kind] %% {DEPARTMENTS}], '{{}}', lon, lat, cell, x, y,
  '{{}}', (%(words)s::text[])[1 + row %% {len(WORDS)}] || ' ' || row %% 200, 'it', '{{}}', 'api', seen[1 + kind], false,
  state < {len(OPEN_STATES)}, created, to_char(created AT TIME ZONE 'Europe/Rome', 'YYYYMM')::integer, created,
  created + interval '30 days'
FROM drawn JOIN offices USING (town), kinds WHERE row >= %(first)s AND row < %(last)s
"""  # noqa: S608


def draw(connection: Connection[Any], count: int, said: Any = lambda _text: None) -> None:
    """Exactly `count` drawn reports in the database and in the pyramid; as its superuser. Kept if they are there.

    `said` hears how far it is. About 60 µs a report, half of it for the pyramid.
    """
    found = connection.execute("SELECT count(*) FROM report").fetchone()
    if found == (count,):
        return
    begun = time.monotonic()
    connection.execute("SET session_replication_role = replica")  # no triggers: the pyramid is counted at the end
    connection.execute("TRUNCATE report, tile_cell, tile_delta, tile_fold CASCADE")
    connection.execute("DELETE FROM municipality WHERE slug LIKE 'drawn-%'")
    connection.execute("DROP TABLE IF EXISTS drawn")
    connection.execute(_STAGING)
    groups = [row[0] for row in connection.execute("SELECT group_slug FROM category ORDER BY id")]
    reports = drawn(count, groups)
    connection.execute(_TOWNS, [towns(count)])
    _copy(connection, reports)
    connection.execute("ALTER TABLE drawn ADD PRIMARY KEY (row); ANALYZE drawn, municipality, department")
    indexes = without_indexes(connection)
    for first in range(0, count, BLOCK):
        connection.execute(
            _INSERT, {"states": list(STATES), "words": list(WORDS), "first": first, "last": first + BLOCK}
        )
        said(f"{min(count, first + BLOCK):,} / {count:,} reports, {time.monotonic() - begun:.0f} s")
    connection.execute("DROP TABLE drawn; SET maintenance_work_mem = '1GB'")
    for statement in indexes:
        connection.execute(statement.encode())
    said(f"indexes, {time.monotonic() - begun:.0f} s")
    pyramid.rebuild(connection, lambda share: said(f"pyramid {share:.0%}, {time.monotonic() - begun:.0f} s"))
    connection.execute("SET session_replication_role = origin")
    connection.commit()
    tidy(connection)


def tidy(connection: Connection[Any]) -> None:
    """Vacuum and analyse what the map reads, as the server itself does after a while."""
    connection.autocommit = True
    connection.execute("VACUUM (ANALYZE) report, tile_cell, tile_delta, tile_fold")
    connection.autocommit = False


def without_indexes(connection: Connection[Any]) -> list[str]:
    """Drop the indexes of `report` that are no constraints; the statements that make them again."""
    rows = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = 'report'::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
    ).fetchall()
    for name, _ in rows:
        connection.execute(f"DROP INDEX {name}".encode())
    return [statement for _, statement in rows]


def _copy(connection: Connection[Any], reports: Drawn) -> None:
    """All columns by binary COPY: rows of fixed width, put together by numpy."""
    x, y, key = cells(reports.lon, reports.lat)
    row = np.arange(len(key))
    columns = (row, reports.town, reports.lon, reports.lat, key, x, y, reports.kind, reports.state, reports.created)
    layout = [("fields", ">i2")]
    for position, kind in enumerate(_FIELDS):
        layout += [(f"size{position}", ">i4"), (f"value{position}", f">{kind}")]
    with connection.cursor().copy("COPY drawn FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for first in range(0, len(key), BLOCK):
            block = np.zeros(min(BLOCK, len(key) - first), dtype=layout)
            block["fields"] = len(_FIELDS)
            for position, (column, kind) in enumerate(zip(columns, _FIELDS, strict=True)):
                block[f"size{position}"] = int(kind[1])
                block[f"value{position}"] = column[first : first + BLOCK]
            copy.write(block.tobytes())
        copy.write(b"\xff\xff")


def promise_deltas(connection: Connection[Any], count: int) -> None:
    """Make `count` changes that no worker has folded yet, all over the place; 0 takes them away."""
    columns = "cell, municipality_id, department_id, group_slug, month"
    connection.execute("DELETE FROM tile_delta")
    connection.execute(
        f"INSERT INTO tile_delta ({columns}, stage, count, x, y, is_coarse)"  # noqa: S608
        f" SELECT {columns}, 0, 1, cell_x, cell_y, false FROM report WHERE is_public ORDER BY id LIMIT %s",
        (count,),
    )
    connection.commit()
    tidy(connection)
