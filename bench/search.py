"""How long the desk's search takes in one municipality with very many reports, beside reading through them all.

Texts are drawn from the phrases that the classifier learns from, with streets of made-up names, some of them in
thousands of reports and most in a handful. The words are read by the very chore. Ours is all of a search: understanding
the words, finding the reports, reading them once more; as lampione_app under row-level security. So is the peer's, a
plain `ILIKE` on the same columns in the same order, which may stop once it has a page; a report by its number is a
floor.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from psycopg import Connection

from bench.nation import cells, without_indexes
from bench.results import Result
from city.records.search import index as search_index
from city.records.search import search
from city.records.search.search import Listing

PAGE: Final = 50
TIMES: Final = 21
WANTED_MS: Final = 50.0
PEER_TIMES: Final = 3
STREETS: Final = 40_000
SYLLABLES: Final = (  # noqa: SIM905  (read as a table)
    "ba be bi bo ca ce ci co da de di do fa fe fi fo ga go la le li lo ma me mi mo na ne ni no pa pe pi po ra re ri ro"
    " sa se si so ta te ti to va ve vi vo za zo gna gli sca tra pre bra cri"
).split()
DESK_COLUMNS: Final = (
    "report.id, number, report.state, category_id, department_id, lon, lat, address, left(description, 300) AS"
    " description, is_public, created_at, updated_at, deadline_at, version"
)


class Town(NamedTuple):
    """Whose reports, how many, and what people say: categories' slugs and phrases."""

    municipality_id: int
    reports: int
    phrases: Sequence[tuple[str, str]]


class Asked(NamedTuple):
    """What is typed, and what a plain search would look for in its stead."""

    name: str
    typed: str
    plain: tuple[str, ...]
    where: str = "true"


QUESTIONS: Final = (
    Asked("common word", "lampione", ("lampione",)),
    Asked("common words", "lampione spento", ("lampione", "spento")),
    Asked("words seldom together", "lampione gatto tombino", ("lampione", "gatto", "tombino")),
    Asked("beginning of a word", "marciap", ("marciap",)),
    Asked("slip", "lampoine spento", ("lampione", "spento")),
    Asked("two slips", "marcapiede disestato", ("marciapiede", "dissestato")),
    Asked("common word, open ones of one office", "lampione", ("lampione",), "is_open AND department_id = {office}"),
    Asked("word that nobody wrote", "wxyzwxyz", ("wxyzwxyz",)),
)
"""Besides the street of fewest reports, and one report's number."""


def measure(owner: Connection[Any], app: Connection[Any], town: Town, said: Callable[[str], None]) -> list[Result]:
    """Medians of each question as lampione_app; `owner` is a superuser. Leaves the reports for the next run."""
    municipality_id = town.municipality_id
    found = _drawn(owner, town, said)
    office = _one(owner, "SELECT min(department_id) FROM report WHERE municipality_id = %s", municipality_id)
    rare = _one(owner, "SELECT min(word) FROM search_word WHERE count = 3 AND word ~ '^[a-z]{8,}$' AND NOT is_public")
    number = _one(owner, "SELECT number FROM report WHERE municipality_id = %s ORDER BY id LIMIT 1", municipality_id)
    size = f"{town.reports:,} reports"
    for asked in (*QUESTIONS, Asked("rare word", rare, (rare,))):
        said(asked.name)
        asked = asked._replace(where=asked.where.format(office=office))  # noqa: PLW2901
        ours, hits = _times(app, municipality_id, TIMES, partial(_ours, app, municipality_id, asked))
        peer, _ = _times(app, municipality_id, PEER_TIMES, partial(_plain, app, municipality_id, asked))
        name = f"search, {asked.name}, {size}"
        found += [
            Result(f"{name} / {WANTED_MS:.0f} ms wanted", ours, WANTED_MS, "ms", 1.0),
            Result(f"{name} / ILIKE, {hits} on the page", ours, peer, "ms"),
        ]
    by_number = Asked("number", number, (number,))
    ours, _ = _times(app, municipality_id, TIMES, lambda: _ours(app, municipality_id, by_number))
    floor, _ = _times(app, municipality_id, TIMES, lambda: _by_key(app, number))
    return [*found, Result(f"search, number, {size} / row by number", ours, floor, "ms")]


def _times(app: Connection[Any], municipality_id: int, times: int, look: Callable[[], int]) -> tuple[float, int]:
    """The median of so many looks in milliseconds, and what the last one found."""
    app.execute(f"SET lampione.municipality = '{int(municipality_id)}'")
    taken, hits = [], 0
    for _ in range(times + 1):
        begun = time.perf_counter()
        hits = look()
        taken.append((time.perf_counter() - begun) * 1000)
    app.commit()
    return statistics.median(taken[1:]), hits


def _ours(app: Connection[Any], municipality_id: int, asked: Asked) -> int:
    wanted = search.understood(app, municipality_id, asked.typed)
    return len(wanted.found(app, [_listing(municipality_id, asked.where)], PAGE).rows)


def _listing(municipality_id: int, where: str) -> Listing:
    return Listing(
        DESK_COLUMNS,
        "report",
        f"report.municipality_id = %(municipality_id)s AND {where}",
        {"municipality_id": municipality_id},
    )


def _plain(app: Connection[Any], municipality_id: int, asked: Asked) -> int:
    values = {f"word{place}": f"%{word}%" for place, word in enumerate(asked.plain)}
    fits = " AND ".join(
        f"(description ILIKE %({name})s OR address ILIKE %({name})s OR number ILIKE %({name})s)" for name in values
    )
    return len(search.rows(app, _listing(municipality_id, asked.where), PAGE + 1, fits, values))


def _by_key(app: Connection[Any], number: str) -> int:
    found = app.execute(f"SELECT {DESK_COLUMNS} FROM report WHERE number = %s", (number,))  # noqa: S608
    return len(found.fetchall())


def _one(connection: Connection[Any], query: str, *values: Any) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None


# --- the reports ------------------------------------------------------------------------------------------------------

_INSERT: Final = """
INSERT INTO report (municipality_id, id, number, state, category_id, group_slug, decided_by, suggestions, department_id,
  routing, lon, lat, cell, cell_x, cell_y, zone_ids, description, address, address_source, language, answers, source,
  is_public, is_emergency, is_open, created_at, month, updated_at, deadline_at)
SELECT %(municipality_id)s, gen_random_uuid(), 'BS-2026-' || row,
  CASE WHEN is_open THEN 'assigned' ELSE 'closed' END, category.id, category.group_slug, 'citizen', '[]',
  (%(offices)s::integer[])[1 + row %% %(many)s], '{}', lon, lat, cell, x, y, '{}', said, address, 'citizen', 'it',
  '{}', 'api', privacy = 'public', row %% 5000 = 7, is_open, created,
  to_char(created AT TIME ZONE 'Europe/Rome', 'YYYYMM')::integer, created, created + interval '30 days'
FROM drawn JOIN category ON category.slug = kind AND category.municipality_id = 0,
  LATERAL (SELECT now() - (%(count)s - row) * (interval '8 years' / %(count)s) AS created,
           row > %(count)s * 0.95 OR row %% 20 = 3 AS is_open) AS moment
"""


def _drawn(owner: Connection[Any], town: Town, said: Callable[[str], None]) -> list[Result]:
    """Exactly so many reports of the town, and their words read; how fast the chore was, where it had to."""
    municipality_id, count, phrases = town
    if _one(owner, "SELECT count(*) FROM report") == count and not _one(owner, "SELECT count(*) FROM search_due"):
        return []
    owner.execute("SET session_replication_role = replica")
    owner.execute("TRUNCATE report, search_due, report_text, search_word, search_gram CASCADE")
    owner.execute(
        "CREATE TEMPORARY TABLE drawn (row integer, kind text, said text, address text, lon float8, lat float8,"
        " cell bigint, x integer, y integer)"
    )
    said("drawing")
    _copy(owner, phrases, count)
    offices = [
        row[0] for row in owner.execute("SELECT id FROM department WHERE municipality_id = %s", (municipality_id,))
    ]
    indexes = without_indexes(owner)
    owner.execute(
        _INSERT,
        {"municipality_id": municipality_id, "offices": offices, "many": len(offices), "count": count},
    )
    said("indexes")
    for statement in indexes:
        owner.execute(statement.encode())
    owner.execute("INSERT INTO search_due (municipality_id, report_id) SELECT municipality_id, id FROM report")
    owner.execute("DROP TABLE drawn; SET session_replication_role = origin")
    owner.commit()
    owner.autocommit = True
    owner.execute("VACUUM (ANALYZE) report, search_due")
    owner.autocommit = False
    begun = time.perf_counter()
    done = 0
    while True:
        owner.execute("SET LOCAL ROLE lampione_province")
        read = search_index.catch_up(owner, municipality_id)
        owner.commit()
        if not read:
            break
        done += read
        said(f"{done:,} / {count:,} reports read")
    rate = done / (time.perf_counter() - begun)
    owner.autocommit = True
    owner.execute("VACUUM (ANALYZE) search_due, report_text, search_word, search_gram")
    owner.autocommit = False
    return [Result(f"search, words read by the chore, {count:,} reports", rate, 1000.0, "reports/s")]


def _copy(owner: Connection[Any], phrases: Sequence[tuple[str, str]], count: int) -> None:
    chance = np.random.default_rng(7)
    names = ["".join(chance.choice(SYLLABLES, chance.integers(2, 6))) for _ in range(STREETS)]
    first = chance.integers(0, len(phrases), count)
    # Streets by Zipf's law: a few are in thousands of reports, most in a handful.
    weights = 1 / (np.arange(1, STREETS + 1) + 10.0)
    street = chance.choice(STREETS, count, p=weights / weights.sum())
    lon, lat = 11.8768 + chance.normal(0, 0.02, count), 45.4064 + chance.normal(0, 0.015, count)
    x, y, cell = cells(lon, lat)
    by_kind: dict[str, list[str]] = {}
    for kind, words in phrases:
        by_kind.setdefault(kind, []).append(words)
    with owner.cursor().copy("COPY drawn FROM STDIN") as copy:
        for row in range(count):
            kind, words = phrases[first[row]]
            others = by_kind[kind]
            text = f"{words}, {others[(row * 7919) % len(others)]} in via {names[street[row]]}"
            address = f"via {names[street[row]]} {row % 140 + 1}"
            copy.write_row((row, kind, text, address, lon[row], lat[row], int(cell[row]), int(x[row]), int(y[row])))
