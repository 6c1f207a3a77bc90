"""How long the council's figures and its monthly report take in one town with very many reports.

Figures are asked for over HTTP, each time for other months, so that none is kept yet; then once more, kept. Beside them
stands what a plain program would ask the database, as the same reader and over the same months: exact percentiles of
those that ended, which leave out whoever waits still. The report is held against what a person waits for.
"""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from psycopg import Connection

from bench.nation import without_indexes
from bench.results import Result

ENDS: Final = ("2026-10", "2026-09", "2026-08")
"""The last of twelve months that are asked for, in turn."""
KEPT_TIMES: Final = 20
REPORT_SECONDS: Final = 5.0
PAPER_SECONDS: Final = 10.0
KEPT_MILLISECONDS: Final = 20.0
YEARS: Final = 8


class Town(NamedTuple):
    """Whose figures: number and name of the municipality, a zone layer of it, and how many reports."""

    municipality_id: int
    slug: str
    layer: str
    reports: int


class Asked(NamedTuple):
    """A question to the API, and what a plain program asks the database; None: no such thing."""

    name: str
    path: str
    parameters: dict[str, str]
    plain: str | None


_WAITS: Final = """
  percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY answered_at - created_at),
  percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY solved_at - created_at)
"""
_PLAIN: Final = """
SELECT {key}, created_at >= %(start_at)s, count(*), count(*) FILTER (WHERE is_open),
  count(*) FILTER (WHERE state IN ('resolved', 'closed')), {waits}
FROM report WHERE municipality_id = %(municipality_id)s AND is_public
  AND created_at >= %(before_at)s AND created_at < %(end_at)s GROUP BY 1, 2
"""
_AGES: Final = """
SELECT department_id, count(*), percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY created_at), min(created_at)
FROM report WHERE municipality_id = %(municipality_id)s AND is_public AND is_open GROUP BY 1
"""
_FLOW: Final = """
SELECT date_trunc('month', created_at AT TIME ZONE 'Europe/Rome'), count(*) FROM report
WHERE municipality_id = %(municipality_id)s AND is_public AND created_at >= %(start_at)s AND created_at < %(end_at)s
GROUP BY 1
UNION ALL
SELECT date_trunc('month', solved_at AT TIME ZONE 'Europe/Rome'), count(*) FROM report
WHERE municipality_id = %(municipality_id)s AND is_public AND solved_at >= %(start_at)s AND solved_at < %(end_at)s
GROUP BY 1
"""


def measure(reader: Connection[Any], address: str, town: Town, said: Callable[[str], None]) -> list[Result]:
    """Every question on the reports that `draw` has left; `reader` as the public."""
    size = f"{town.reports:,} reports"
    found: list[Result] = []
    for asked in _questions(town):
        said(asked.name)
        ours = statistics.median(_asked(address, town, asked, end) for end in ENDS)
        if asked.plain is not None:
            plain = statistics.median(_plainly(reader, town, asked.plain, end) for end in ENDS)
            found.append(Result(f"{asked.name}, {size} / plain percentiles", ours, plain, "ms"))
    said("kept")
    asked = next(_questions(town))
    kept = statistics.median(_asked(address, town, asked, ENDS[-1]) for _ in range(KEPT_TIMES))
    found.append(Result(f"{asked.name}, {size}, kept / {KEPT_MILLISECONDS:.0f} ms", kept, KEPT_MILLISECONDS, "ms", 1.0))
    for kind, limit in (("html", REPORT_SECONDS), ("pdf", PAPER_SECONDS)):
        said(f"report.{kind}")
        report = Asked("monthly report", f"report.{kind}", {"language": "it"}, None)
        ours = statistics.median(_asked(address, town, report, month, is_month=True) for month in ENDS)
        found.append(Result(f"monthly report.{kind}, {size} / {limit:.0f} s", ours, limit * 1000, "ms", 1.0))
    return found


def _questions(town: Town) -> Iterator[Asked]:
    for by, key in (("department", "department_id"), ("month", "month"), ("zone", "unnest(zone_ids)")):
        more = {"layer": town.layer} if by == "zone" else {}
        yield Asked(f"year by {by}", "zones", {"by": by} | more, _PLAIN.format(key=key, waits=_WAITS))
    yield Asked(
        "year by zone and department",
        "zones",
        {"by": "zone", "layer": town.layer, "across": "department"},
        _PLAIN.format(key="unnest(zone_ids), department_id", waits=_WAITS).replace("GROUP BY 1, 2", "GROUP BY 1, 2, 3"),
    )
    yield Asked("flow of a year", "flow", {}, _FLOW)
    yield Asked("ages by department", "ageing", {"by": "department"}, _AGES)


def _asked(address: str, town: Town, asked: Asked, end: str, *, is_month: bool = False) -> float:
    """Milliseconds until the answer is here. Raises AssertionError where it is none."""
    period = {"month": end} if is_month else {"from": f"{int(end[:4]) - 1}{_after(end)}", "to": end}
    if asked.path == "ageing":
        period = {"at": end} if end != ENDS[0] else {}
    parameters = {"municipality": town.slug} | asked.parameters | period
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=180)
    begun = time.perf_counter()
    connection.request("GET", f"/api/v1/insight/{asked.path}?{urlencode(parameters)}")
    answer = connection.getresponse()
    body = answer.read()
    taken = (time.perf_counter() - begun) * 1000
    connection.close()
    assert answer.status == 200, (answer.status, body[:300])  # noqa: PLR2004
    return taken


def _after(end: str) -> str:
    """The month after `end`, a year before, as `-MM`; of December January of the same year is not asked here."""
    return f"-{int(end[5:]) + 1:02}"


def _plainly(reader: Connection[Any], town: Town, query: str, end: str) -> float:
    year, month = int(end[:4]), int(end[5:]) + 1
    values = {
        "municipality_id": town.municipality_id,
        "before_at": f"{year - 2}-{month:02}-01 00:00 Europe/Rome",
        "start_at": f"{year - 1}-{month:02}-01 00:00 Europe/Rome",
        "end_at": f"{year}-{month:02}-01 00:00 Europe/Rome",
    }
    begun = time.perf_counter()
    reader.execute(query.encode(), values).fetchall()
    taken = (time.perf_counter() - begun) * 1000
    reader.commit()
    return taken


_DRAW: Final = """
INSERT INTO report (municipality_id, id, number, state, category_id, group_slug, decided_by, suggestions, department_id,
  routing, lon, lat, cell, cell_x, cell_y, zone_ids, description, source, language, answers, is_public, is_open,
  created_at, month, updated_at, deadline_at, answered_at, solved_at, confirmed_at, reopened_at, rating)
SELECT %(municipality_id)s, gen_random_uuid(), 'CO-' || row,
  CASE WHEN is_open THEN 'assigned' WHEN row %% 3 = 0 THEN 'resolved' ELSE 'closed' END,
  kind.id, kind.group_slug, 'citizen', '[]', (%(offices)s::integer[])[1 + floor(random() ^ 2 * %(many)s)::integer],
  '{}', lon, lat, row, 0, 0, ARRAY[(%(zones)s::integer[])[1 + floor(random() * %(many_zones)s)::integer]],
  'lampione spento', 'api', 'it', '{}', true, is_open, created_at,
  to_char(created_at AT TIME ZONE 'Europe/Rome', 'YYYYMM')::integer, created_at, created_at + interval '20 days',
  answered_at, CASE WHEN is_open THEN NULL ELSE answered_at + wait * 3 END,
  CASE WHEN NOT is_open AND row %% 4 = 0 THEN answered_at + wait * 4 END,
  CASE WHEN row %% 25 = 0 THEN answered_at + wait * 4 END, CASE WHEN row %% 7 = 0 THEN 1 + row %% 5 END
FROM (
  SELECT row, 11.8768 + (random() + random() - 1) * 0.05 AS lon, 45.4064 + (random() + random() - 1) * 0.04 AS lat,
    made_at AS created_at, made_at + wait AS answered_at, wait,
    row > %(count)s * 0.97 OR row %% 50 = 3 AS is_open,
    (%(kinds)s::integer[])[1 + floor(random() ^ 2 * %(many_kinds)s)::integer] AS kind_id
  FROM (
    SELECT row, timestamptz '2026-11-01' - (%(count)s - row) * (interval '{years} years' / %(count)s) AS made_at,
      -ln(1 - random()) * interval '2 days' AS wait
    FROM generate_series(1, %(count)s) AS row
  ) AS moment
) AS drawn JOIN category AS kind ON kind.id = kind_id
"""


def draw(owner: Connection[Any], town: Town, offices: list[int], kinds: list[int], zones: list[int]) -> None:
    """Exactly so many reports of the town over eight years; those of an earlier run are kept if they are as many."""
    found = owner.execute("SELECT count(*) FROM report").fetchone()
    if found is not None and found[0] == town.reports:
        return
    owner.execute("SET session_replication_role = replica; SELECT setseed(0.5)")
    owner.execute("TRUNCATE report CASCADE")
    indexes = without_indexes(owner)
    owner.execute(
        _DRAW.replace("{years}", str(YEARS)).encode(),
        {
            "municipality_id": town.municipality_id,
            "count": town.reports,
            "offices": offices,
            "many": len(offices),
            "kinds": kinds,
            "many_kinds": len(kinds),
            "zones": zones,
            "many_zones": len(zones),
        },
    )
    for statement in indexes:
        owner.execute(statement.encode())
    owner.execute("SET session_replication_role = origin")
    owner.commit()
    owner.autocommit = True
    owner.execute("VACUUM (ANALYZE) report")
    owner.autocommit = False
