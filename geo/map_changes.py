"""What has changed on the map since a process last looked: asked of the database, exact, without any message sent.

A look remembers PostgreSQL's snapshot. The next one asks for changes by transactions that the former snapshot did not
see: those not yet folded stand in `tile_delta`, those folded meanwhile in `tile_fold`. So a transaction that took long
is seen when it is kept, in whatever order transactions began.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection

from geo.pyramid import KEPT_MINUTES

MOST_CELLS: Final = 5_000
"""More changed cells than this at once count as everything."""
LONGEST_REST_SECONDS: Final = 60.0 * KEPT_MINUTES / 2
"""After a longer rest than this, what was folded meanwhile may be forgotten already."""

_UNSEEN: Final = "{0} >= %(since)s AND NOT pg_visible_in_snapshot({0}::text::xid8, %(snapshot)s::pg_snapshot)"
_KNOWN: Final = """
SELECT pg_current_snapshot()::text, extract(epoch FROM now())::float8, (SELECT version FROM registry_version),
  (SELECT coalesce(sum(extract(epoch FROM computed_at)), 0)::float8 FROM hotspot_run),
"""
_LOOK: Final = f"""
{_KNOWN}
  ARRAY(
    SELECT cell FROM tile_delta WHERE {_UNSEEN.format("transaction")}
    UNION ALL
    SELECT folded.cell FROM tile_fold, unnest(transactions, cells) AS folded (transaction, cell)
    WHERE {_UNSEEN.format("tile_fold.transaction")} AND {_UNSEEN.format("folded.transaction")}
    LIMIT {MOST_CELLS + 1}
  ),
  EXISTS (SELECT FROM tile_fold WHERE cells IS NULL AND {_UNSEEN.format("transaction")})
"""  # noqa: S608
_FIRST: Final = f"{_KNOWN} '{{}}'::bigint[], true"


class Look(NamedTuple):
    """What one look saw: the cells changed since the one before (None: anything may have).

    `registry_version` changes with the registry, `hotspots_version` when hot spots are worked out anew or forgotten.
    """

    snapshot: str
    at: float
    registry_version: int
    hotspots_version: float
    cells: list[int] | None


async def look(connection: AsyncConnection[Any], before: Look | None) -> Look:
    """What has changed since `before`; the first time, anything may have. Raises psycopg.Error."""
    if before is None:
        cursor = await connection.execute(_FIRST)
    else:
        since = int(before.snapshot.partition(":")[0])
        cursor = await connection.execute(_LOOK, {"since": since, "snapshot": before.snapshot})
    row = await cursor.fetchone()
    assert row is not None
    snapshot, at, registry, hotspots, cells, is_everything = row
    rested = at - before.at if before else 0.0
    if is_everything or len(cells) > MOST_CELLS or not 0 <= rested <= LONGEST_REST_SECONDS:
        return Look(snapshot, at, registry, hotspots, None)
    return Look(snapshot, at, registry, hotspots, cells)
