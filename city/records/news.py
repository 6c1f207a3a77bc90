"""What has just happened to reports, for whoever may read them: the source of the streams of live changes.

A change is what one transaction did to one report. What is told of it are codes and numbers only, never anybody's
words: the reader asks for the report itself, with their own rights. A look is one statement for all who listen, on an
index of the timeline by transaction; nothing is written, noted or sent when a report changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from psycopg import AsyncConnection, Connection

from city.jobs import CHANNEL
from city.position import Position
from city.registry.municipality import MunicipalityView
from city.registry.staff.rights import Sight

MOST_ENTRIES: Final = 2_000
"""More new timeline entries than this are not told one by one: the lists are to be read anew."""
LONGEST_AWAY_SECONDS: Final = 600
"""Whoever was away for longer reads the lists anew."""

AT_REST: Final = frozenset(
    {
        *("received", "assigned", "triage", "moved", "update", "note", "released", "person", "merged", "split"),
        *("asked", "answered", "unanswered", "question_withdrawn", "reopening_asked", "confirmed"),
        *("promised", "promise_taken_back", "slipped", "master_moved", "master_update", "master_news"),
    }
)
"""Entries after which a report is still its department's and crew's. Any other may have passed it on, so those who can
not read it are told that much."""

LISTEN: Final = f"LISTEN {CHANNEL}"
"""The bell that wakes the workers after a commit wakes the streams too; where it fails, they look a moment later."""

_BEGIN: Final = "SELECT pg_current_snapshot()::text, extract(epoch FROM now())::bigint, NULL"
_ENTRY: Final = "SELECT municipality_id, report_id, id, what, transaction FROM timeline_entry WHERE transaction"
_LOOK: Final = f"""
SELECT pg_current_snapshot()::text, extract(epoch FROM now())::bigint,
(SELECT coalesce(json_agg(change), '[]')::text FROM (
  SELECT entry.transaction, max(entry.id) AS entry, count(*) AS entries,
         array_agg(entry.what ORDER BY entry.id) AS what,
         report.municipality_id, report.id, report.number, report.state, report.is_open, report.version,
         report.department_id, report.crew_id, report.category_id, report.group_slug, report.zone_ids, report.person_id
  FROM (
    {_ENTRY} >= %(until)s AND transaction < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
      AND municipality_id = ANY (%(municipalities)s)
    UNION ALL
    {_ENTRY} = ANY (%(pending)s) AND municipality_id = ANY (%(municipalities)s)
    LIMIT {MOST_ENTRIES + 1}
  ) AS entry
  JOIN report ON report.municipality_id = entry.municipality_id AND report.id = entry.report_id
  GROUP BY entry.transaction, report.municipality_id, report.id
) AS change)
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction did to one report: the timeline's `what`s in order, and how the report is now."""

    transaction: int
    entry: int
    """The last of its timeline entries."""
    what: tuple[str, ...]
    municipality_id: int
    id: UUID
    number: str
    state: str
    is_open: bool
    version: int
    department_id: int
    crew_id: int | None
    category_id: int
    group_slug: str
    zone_ids: tuple[int, ...]
    person_id: int | None

    @property
    def may_have_passed_on(self) -> bool:
        """Whether somebody else may have had the report before."""
        return not AT_REST.issuperset(self.what)


class Seen(NamedTuple):
    """What a look found: the position after it, and the changes since (None: too many to be told), as yet unordered."""

    position: Position
    changes: list[Change] | None

    def since(self, before: Position) -> Iterator[tuple[Change, Position]]:
        """Each change not told yet, in the order in which to tell them, and the position with it told."""
        fresh = [change for change in self.changes or () if not before.has_told(change.transaction, change.entry)]
        fresh.sort(key=lambda change: (change.transaction != before.transaction, change.transaction, change.entry))
        for change in fresh:
            yield change, before.within(change.transaction, change.entry, self.position)


def message(change: Change, sight: Sight, municipality: MunicipalityView) -> tuple[str, bytes] | None:
    """What those with that sight are told of a change, event and JSON; None: nothing.

    `report`: this happened to a report that they may read. `gone`: if they have this report on a list, it may be
    somebody else's by now.
    """
    if change.municipality_id != sight.municipality_id:
        return None
    if sight.holds(change):
        department, crew = municipality.by_id.get(change.department_id), municipality.crew_ids.get(change.crew_id or 0)
        return "report", orjson.dumps(
            {
                "id": change.id,
                "number": change.number,
                "what": change.what,
                "state": change.state,
                "is_open": change.is_open,
                "version": change.version,
                "municipality": municipality.slug,
                "department": department.slug if department else None,
                "crew": crew.slug if crew else None,
                "person_id": change.person_id,
            }
        )
    if change.may_have_passed_on:
        return "gone", orjson.dumps({"id": change.id, "municipality": municipality.slug})
    return None


async def look(connection: AsyncConnection[Any], before: Position | None, municipalities: Iterable[int]) -> Seen:
    """What has happened in these municipalities since `before` (None: from now on). Raises psycopg.Error."""
    query, values = _asked(before, municipalities)
    cursor = await connection.execute(query, values)
    return _seen(await cursor.fetchone())


def missed(connection: Connection[Any], since: Position, now: Position, municipality_id: int) -> Seen:
    """What has happened between two positions, at a door that shows that municipality's rows. Raises psycopg.Error.

    What `now` has not seen yet is left to the looks that come after it.
    """
    if not 0 <= now.at - since.at <= LONGEST_AWAY_SECONDS or since.until > now.until:
        return Seen(now, None)
    query, values = _asked(since, [municipality_id])
    changes = _seen(connection.execute(query, values).fetchone()).changes
    if changes is None:
        return Seen(now, None)
    return Seen(now, [change for change in changes if now.has_seen(change.transaction)])


def _asked(before: Position | None, municipalities: Iterable[int]) -> tuple[Any, Mapping[str, Any]]:
    if before is None:
        return _BEGIN, {}
    return _LOOK, {
        "until": before.until,
        "pending": sorted(before.pending),
        "municipalities": sorted(municipalities),
    }


def _seen(row: Any) -> Seen:
    snapshot, at, told = row
    rows = orjson.loads(told) if told is not None else []
    position = Position.of(snapshot, at)
    if sum(change["entries"] for change in rows) > MOST_ENTRIES:
        return Seen(position, None)
    return Seen(position, [_change(change) for change in rows])


def _change(row: dict[str, Any]) -> Change:
    del row["entries"]
    return Change(**row | {"id": UUID(row["id"]), "what": tuple(row["what"]), "zone_ids": tuple(row["zone_ids"])})
