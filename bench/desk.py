"""How long the desk's lists take in one municipality with very many reports: a page of each, and how many there are.

The reports are the council's, of which some open ones are given to people and crews, wait, are dangerous or climbed a
ladder. Ours is what a request does, as lampione_app under row-level security; the peer counts to the end.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from psycopg import Connection

from bench.council import Town, draw
from bench.results import Result
from city.database import ReadSession, reading
from city.records import worklists
from city.records.worklists import Condition, Order, Worklist, WorklistFilter
from city.registry.municipality import MunicipalityView
from city.registry.staff.rights import Narrowing, Post, Right, Staff

PAGE: Final = 50
TIMES: Final = 11
PEER_TIMES: Final = 3
WANTED_MS: Final = 50.0

_GIVEN_OUT: Final = """
UPDATE report SET
  state = (ARRAY['assigned', 'assigned', 'planned', 'in_progress', 'waiting', 'triage', 'reopened'])[1 + cell %% 7],
  paused_at = CASE WHEN cell %% 7 = 4 THEN created_at END,
  person_id = CASE WHEN cell %% 3 = 0 THEN (%(people)s::integer[])[1 + cell %% %(many)s] END,
  is_emergency = cell %% 500 = 0, escalation = (cell %% 300 = 0)::integer
WHERE is_open AND municipality_id = %(municipality_id)s
"""


def prepare(owner: Connection[Any], municipality: MunicipalityView, reports: int) -> None:
    """So many reports of the municipality; those of an earlier run are kept if they are as many."""
    found = owner.execute("SELECT count(*) FROM report WHERE person_id IS NOT NULL").fetchone()
    total = owner.execute("SELECT count(*) FROM report").fetchone()
    if found is not None and found[0] and total == (reports,):
        return
    draw(
        owner,
        Town(municipality.id, municipality.slug, "", reports),
        [office.id for office in municipality.departments.values()],
        [kind.id for kind in municipality.categories.values() if kind.is_public],
        [min(municipality.zones)],
    )
    people = [row[0] for row in owner.execute("SELECT id FROM person WHERE municipality_id = %s", (municipality.id,))]
    owner.execute("SET session_replication_role = replica")
    values = {"people": people, "many": len(people), "municipality_id": municipality.id}
    owner.execute(_GIVEN_OUT, values)
    owner.execute("SET session_replication_role = origin")
    owner.commit()
    owner.autocommit = True
    owner.execute("VACUUM (ANALYZE) report, watcher, mention")
    owner.autocommit = False


def measure(municipality: MunicipalityView, person_id: int, reports: int) -> list[Result]:
    """Medians for the front desk, which may read all, an office, which may read its own, and for green in one zone."""
    office = max(key for key in municipality.by_id if key != municipality.fallback.id)
    zone = municipality.zones[min(municipality.zones)]
    green = Narrowing(groups=frozenset({"green"}), zones=frozenset({f"{zone.layer}/{zone.code}"}))
    rights = frozenset(Right)
    found: list[Result] = []
    for name, post in (
        ("front desk", Post("clerk", rights, municipality.fallback.id)),
        ("an office", Post("clerk", rights, office)),
        ("green in a zone", Post("clerk", rights, within=green)),
    ):
        staff = Staff(person_id, "", "", "it", municipality.id, (post,))
        lists = {one: worklists.condition(municipality, staff, WorklistFilter(worklist=one)) for one in Worklist}
        what = f"desk, {name}, {reports:,} reports"
        with reading(municipality.id) as session:
            for worklist, of in lists.items():
                page = _median(TIMES, partial(_page, session, municipality, staff, of))
                found.append(
                    Result(f"{what}, {worklist.value}: slowest page / {WANTED_MS:.0f} ms", page, WANTED_MS, "ms", 1.0)
                )
            numbers = _median(TIMES, partial(_all, session, lists.values(), worklists.count))
            peer = _median(PEER_TIMES, partial(_all, session, lists.values(), _to_the_end))
        found.append(Result(f"{what}: all numbers / counted to the end", numbers, peer, "ms"))
    return found


def _median(times: int, look: Callable[[], object]) -> float:
    """Of so many looks after a first one, milliseconds; where a look says how long it took, that."""
    taken = []
    for _ in range(times + 1):
        begun = time.perf_counter()
        said = look()
        taken.append(said if isinstance(said, float) else (time.perf_counter() - begun) * 1000)
    return statistics.median(taken[1:])


def _page(session: ReadSession, municipality: MunicipalityView, staff: Staff, of: Condition) -> float:
    """The slowest of the first pages in each order, milliseconds."""
    slowest = 0.0
    for order in Order:
        begun = time.perf_counter()
        worklists.page(session, municipality, staff, of, order=order, limit=PAGE, cursor=None)
        slowest = max(slowest, (time.perf_counter() - begun) * 1000)
    return slowest


def _all(session: ReadSession, lists: Iterable[Condition], counting: Callable[[ReadSession, Condition], int]) -> None:
    for of in lists:
        counting(session, of)


def _to_the_end(session: ReadSession, of: Condition) -> int:
    row = session.raw.execute(f"SELECT count(*) FROM report WHERE {of.where}", of.values).fetchone()  # noqa: S608
    return int(row[0]) if row else 0
