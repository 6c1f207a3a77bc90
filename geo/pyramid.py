"""The tile pyramid: any tile is one range of the index, whatever the number of reports behind it.

The database appends a change (`tile_delta`) in the transaction that shows, moves or hides a report; `fold` adds the
changes up into the cells of every level, in batches; a tile reads its cells and the changes not yet folded, in one
snapshot, so it is never behind. Sums are of whole numbers: folding in any order gives the same cells as `rebuild`.
"""

from __future__ import annotations

from typing import Any, Final

from psycopg import Connection
from psycopg.types.json import Jsonb

from geo.place import PYRAMID_LEVEL

CLUSTER_BITS: Final = 4
"""A clustered tile has 2^4 cells a side."""
FIRST_SINGLE_ZOOM: Final = 14
"""From this zoom on, tiles show single reports."""
FINEST_FOLDED: Final = FIRST_SINGLE_ZOOM - 1 + CLUSTER_BITS
BATCH: Final = 10_000

_FOLD: Final = f"""
WITH taken AS (
  DELETE FROM tile_delta WHERE id = ANY (ARRAY(
    SELECT id FROM tile_delta ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED))
  RETURNING cell, municipality_id, group_slug, count, x, y
), sums AS (
  SELECT level, cell >> (2 * ({PYRAMID_LEVEL} - level)) AS cell, municipality_id, group_slug,
         sum(count)::integer AS count, sum(count * x::bigint)::bigint AS sum_x, sum(count * y::bigint)::bigint AS sum_y
  FROM taken, generate_series({CLUSTER_BITS}, {FINEST_FOLDED}) AS level
  GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
), folded AS (
  INSERT INTO tile_cell AS old (level, cell, municipality_id, group_slug, count, sum_x, sum_y)
  SELECT * FROM sums
  ON CONFLICT (level, cell, municipality_id, group_slug) DO UPDATE
  SET count = old.count + excluded.count, sum_x = old.sum_x + excluded.sum_x, sum_y = old.sum_y + excluded.sum_y
  RETURNING level, cell, municipality_id, group_slug, count
)
SELECT (SELECT count(*) FROM taken),
       (SELECT coalesce(json_agg(folded), '[]') FROM folded WHERE count = 0)
"""  # noqa: S608

_SWEEP: Final = """
DELETE FROM tile_cell AS old
USING jsonb_to_recordset(%s) AS emptied (level smallint, cell bigint, municipality_id integer, group_slug text)
WHERE (old.level, old.cell, old.municipality_id, old.group_slug)
    = (emptied.level, emptied.cell, emptied.municipality_id, emptied.group_slug) AND old.count = 0
"""


def fold(connection: Connection[Any], *, most: int = BATCH) -> int:
    """Fold a batch of at most so many changes into the cells; how many there were. Several may fold at once.

    The rows are taken in the order of their keys, so that two folders wait for one another and never in a circle.
    """
    taken, emptied = connection.execute(_FOLD, [most]).fetchone() or (0, [])
    if emptied:
        connection.execute(_SWEEP, [Jsonb(emptied)])
    return int(taken)


def rebuild(connection: Connection[Any]) -> int:
    """Count all cells anew from the reports; how many cells there are.

    Reports wait meanwhile: changes are locked out, so that none is counted twice or not at all.
    """
    connection.execute("LOCK TABLE report, tile_delta, tile_cell IN SHARE ROW EXCLUSIVE MODE")
    connection.execute("DELETE FROM tile_delta")
    connection.execute("DELETE FROM tile_cell")
    cursor = connection.execute(
        f"""
        INSERT INTO tile_cell (level, cell, municipality_id, group_slug, count, sum_x, sum_y)
        SELECT level, cell >> (2 * ({PYRAMID_LEVEL} - level)), municipality_id, group_slug,
               count(*)::integer, sum(cell_x::bigint)::bigint, sum(cell_y::bigint)::bigint
        FROM report, generate_series({CLUSTER_BITS}, {FINEST_FOLDED}) AS level
        WHERE is_public AND is_open
        GROUP BY 1, 2, 3, 4
        """  # noqa: S608
    )
    return cursor.rowcount
