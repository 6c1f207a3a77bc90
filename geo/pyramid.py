"""The tile pyramid: any tile is one range of the index, whatever the number of reports behind it.

The database appends a change (`tile_delta`) in the transaction that shows, moves or hides a report; `fold` adds the
changes up into the cells of every level, in batches; a tile reads its cells and the changes not yet folded, in one
snapshot, so it is never behind. Sums are of whole numbers: folding in any order gives the same cells as `rebuild`.

A cell's row holds the figures of each department and category group, so that the filters of a map read no more rows
than the map itself. Rows are kept for all time; on coarser levels also by year, and on still coarser ones by month:
closer up a month is so few reports that they are counted from their own index. On coarse levels, where a cell holds
many municipalities, a row counts all of them together; a municipality's own map, which is a few cells of the last of
these levels, is gathered from its own rows there.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final

from psycopg import Connection

from geo.place import PYRAMID_LEVEL

HEAT_BITS: Final = 4
"""A tile of the heat has 2^4 cells a side."""
CLUSTER_BITS: Final = 3
"""A tile of clusters has 2^3 cells a side: their circles need room for a number."""
COARSEST_FOLDED: Final = HEAT_BITS
FIRST_SINGLE_ZOOM: Final = 14
"""From this zoom on, tiles show single reports."""
FINEST_FOLDED: Final = FIRST_SINGLE_ZOOM - 1 + HEAT_BITS
FINEST_YEARLY: Final = 14
"""The last level with rows for each year."""
FINEST_MONTHLY: Final = 12
"""The last level with rows for each month."""
FINEST_SHARED: Final = 12
"""The last level with rows for all municipalities in a cell together, and the first with rows for each."""
COARSE_LEVEL: Final = 15
"""A coarse report is in the middle of its cell of this level, some 860 m wide in Italy."""
BATCH: Final = 10_000
KEPT_MINUTES: Final = 10
"""How long it is known what a fold has folded, for those who keep tiles."""

_FOLDING: Final = zlib.crc32(b"fold tiles")
_KEY: Final = "level, month, scope, cell, municipality_id"
_COUNTS: Final = ("todo", "doing", "done", "other", "coarse_open", "coarse_total")
_PLACES: Final = ("sum_x", "sum_y")
_FIGURES: Final = ("department_id", "group_id", *_COUNTS[:4], *_PLACES, *_COUNTS[4:])

_ADDED: Final = ", ".join(
    [*(f"sum({name})::integer AS {name}" for name in _COUNTS), *(f"sum({name})::bigint AS {name}" for name in _PLACES)]
)
"""Figures added up."""


def _changes(source: str, count: str) -> str:
    """The figures of changes, or of reports, added up: what each counts as, by its stage."""
    stages = [f"sum({count}) FILTER (WHERE stage = {stage})" for stage in range(4)]
    coarse = [f"sum({count}) FILTER (WHERE is_coarse AND stage < 2)", f"sum({count}) FILTER (WHERE is_coarse)"]
    places = [f"sum({count} * {axis}) FILTER (WHERE stage < 2)" for axis in ("x", "y")]
    names = zip((*_COUNTS, *_PLACES), (*stages, *coarse, *places), strict=True)
    sums = ", ".join(f"coalesce({expression}, 0)::bigint AS {name}" for name, expression in names)
    return f"""
  SELECT cell >> {2 * (PYRAMID_LEVEL - FINEST_FOLDED)} AS cell, {source}.municipality_id, department_id,
         category_group.id AS group_id, month, {sums}
  FROM {source} JOIN category_group ON category_group.municipality_id = 0 AND category_group.slug = group_slug
  GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608


_SPREAD: Final = f"""
  SELECT level::smallint AS level, period.month, scope.scope, cell >> (2 * (%(base)s::integer - level)) AS cell,
         scope.municipality_id, scope.department_id, group_id, {_ADDED}
  FROM fine, generate_series(%(coarsest)s::integer, %(base)s::integer) AS level,
    LATERAL (VALUES (0), (CASE WHEN level <= {FINEST_YEARLY} THEN fine.month / 100 * 100 END),
                    (CASE WHEN level <= {FINEST_MONTHLY} THEN fine.month END)) AS period (month),
    LATERAL (VALUES (CASE WHEN level = {FINEST_SHARED} THEN fine.municipality_id
                          WHEN level > {FINEST_SHARED} THEN 0 END, fine.municipality_id, fine.department_id),
                    (CASE WHEN level <= {FINEST_SHARED} THEN 0 END, 0, 0))
      AS scope (scope, municipality_id, department_id)
  WHERE period.month IS NOT NULL AND scope.scope IS NOT NULL
  GROUP BY 1, 2, 3, 4, 5, 6, 7
"""  # noqa: S608
"""The figures `fine` (of level `base`) on every level, in every period and on every map where they count."""

_IS_SOMETHING: Final = " OR ".join(f"{name} <> 0" for name in (*_COUNTS, *_PLACES))

_ROWS: Final = f"""
  SELECT {_KEY}, sum(todo + doing)::integer AS open, sum(todo + doing + done + other)::integer AS total,
         sum(coarse_open)::integer AS coarse_open, sum(coarse_total)::integer AS coarse_total,
         sum(sum_x)::bigint AS sum_x, sum(sum_y)::bigint AS sum_y,
         CASE WHEN month = 0 THEN
           (array_agg(slug ORDER BY group_open DESC, slug) FILTER (WHERE group_open > 0))[1] END AS top,
         CASE WHEN month = 0 THEN jsonb_object_agg(slug, group_open) FILTER (WHERE group_open > 0) END AS groups,
         array_agg(ARRAY[{", ".join(_FIGURES)}]::bigint[] ORDER BY department_id, group_id)
           FILTER (WHERE {_IS_SOMETHING}) AS figures
  FROM (
    SELECT parts.*, slug, sum(todo + doing) OVER (PARTITION BY {_KEY}, group_id) AS group_open
    FROM parts JOIN (SELECT id, slug FROM category_group WHERE municipality_id = 0) AS named ON named.id = group_id
  ) AS known GROUP BY {_KEY}
"""  # noqa: S608
"""Rows of `tile_cell` made of `parts`; one without figures has nothing left in it."""

_COLUMNS: Final = f"{_KEY}, open, total, coarse_open, coarse_total, sum_x, sum_y, top, groups, figures"
_UPDATED: Final = ", ".join(
    f"{name} = excluded.{name}" for name in _COLUMNS.split(", ") if name not in _KEY.split(", ")
)
_SAME_KEY: Final = " AND ".join(f"tile_cell.{name} = {{0}}.{name}" for name in _KEY.split(", "))

_UNPACKED: Final = ", ".join(
    f"figures[part][{_FIGURES.index(name) + 1}]" for name in ("department_id", "group_id", *_COUNTS, *_PLACES)
)

_FOLD: Final = f"""
WITH taken AS (
  DELETE FROM tile_delta WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM tile_delta ORDER BY transaction LIMIT %(most)s FOR UPDATE SKIP LOCKED))
  RETURNING *
), fine AS ({_changes("taken", "count")}
), spread AS ({_SPREAD}
), touched AS (
  SELECT DISTINCT {_KEY} FROM spread
), parts AS (
  SELECT {_KEY}, department_id, group_id, {_ADDED} FROM (
    SELECT {_KEY}, department_id, group_id, {", ".join((*_COUNTS, *_PLACES))} FROM spread
    UNION ALL
    SELECT {", ".join(f"touched.{name}" for name in _KEY.split(", "))}, before.*
    FROM touched, LATERAL (
      SELECT {_UNPACKED}
      FROM tile_cell, generate_subscripts(figures, 1) AS part WHERE {_SAME_KEY.format("touched")}
      OFFSET 0
    ) AS before
  ) AS both_of_them GROUP BY {_KEY}, department_id, group_id
), made AS ({_ROWS}
), kept AS (
  INSERT INTO tile_cell ({_COLUMNS}) SELECT {_COLUMNS} FROM made WHERE figures IS NOT NULL ORDER BY {_KEY}
  ON CONFLICT ({_KEY}) DO UPDATE SET {_UPDATED}
), emptied AS (
  DELETE FROM tile_cell USING made WHERE made.figures IS NULL AND {_SAME_KEY.format("made")}
), noted AS (
  INSERT INTO tile_fold (transactions, cells) SELECT array_agg(transaction), array_agg(cell) FROM taken
  HAVING count(*) > 0
)
SELECT count(*) FROM taken
"""  # noqa: S608


def fold(connection: Connection[Any], *, most: int = BATCH) -> int:
    """Fold a batch of at most so many changes into the cells; how many there were.

    Folders wait for one another: the second reads the cells as the first has left them. Whatever kills one leaves its
    changes unfolded.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_FOLDING])
    row = connection.execute(_FOLD, {"most": most, "base": FINEST_FOLDED, "coarsest": COARSEST_FOLDED}).fetchone()
    return int(row[0]) if row else 0


def forget_folds(connection: Connection[Any]) -> None:
    """Forget what was folded long ago."""
    connection.execute(f"DELETE FROM tile_fold WHERE at < now() - interval '{KEPT_MINUTES} minutes'")  # noqa: S608


STAGE: Final = """
  CASE WHEN state IN ('planned', 'in_progress', 'waiting', 'forwarded') THEN 1 WHEN is_open THEN 0
       WHEN state IN ('resolved', 'closed') THEN 2 ELSE 3 END
"""
"""Of a report's life, as migration 0004's triggers note it: 0 nobody is on it yet, 1 somebody is, 2 solved, 3 over."""
_COARSE_BITS: Final = PYRAMID_LEVEL - COARSE_LEVEL
_MIDDLE: Final = f"(({{0}} >> {_COARSE_BITS}) << {_COARSE_BITS}) + {1 << (_COARSE_BITS - 1)}"
_MIDDLE_KEY: Final = f"((cell >> {2 * _COARSE_BITS}) << {2 * _COARSE_BITS}) + {3 << (2 * _COARSE_BITS - 2)}"

_REPORTS: Final = f"""
  SELECT municipality_id, department_id, group_slug, month, is_coarse,
         CASE WHEN is_coarse THEN {_MIDDLE_KEY} ELSE cell END AS cell,
         CASE WHEN is_coarse THEN {_MIDDLE.format("cell_x")} ELSE cell_x END AS x,
         CASE WHEN is_coarse THEN {_MIDDLE.format("cell_y")} ELSE cell_y END AS y,
         {STAGE} AS stage
  FROM report WHERE is_public OR is_coarse
"""  # noqa: S608
"""Reports as the triggers of migration 0004 see them."""


def rebuild(connection: Connection[Any], progress: Callable[[float], None] = lambda _share: None) -> int:
    """Count all cells anew from the reports; how many cells there are. `progress` hears the share done, 0 to 1.

    Changes of reports wait meanwhile: they are locked out, so that none is counted twice or not at all.
    """
    connection.execute("LOCK TABLE report, tile_delta, tile_cell IN SHARE ROW EXCLUSIVE MODE")
    connection.execute("SET LOCAL work_mem = '256MB'; SET LOCAL statement_timeout = 0")
    connection.execute("DELETE FROM tile_delta; DELETE FROM tile_cell; INSERT INTO tile_fold DEFAULT VALUES")
    connection.execute(
        f"CREATE TEMPORARY TABLE fine ON COMMIT DROP AS WITH reports AS ({_REPORTS}) {_changes('reports', '1')}"
    )
    cells = 0
    for level in range(FINEST_FOLDED, COARSEST_FOLDED - 1, -1):
        cells += connection.execute(
            f"WITH parts AS ({_SPREAD}), made AS ({_ROWS})"  # noqa: S608
            f" INSERT INTO tile_cell ({_COLUMNS}) SELECT {_COLUMNS} FROM made ORDER BY {_KEY}",
            {"base": level, "coarsest": level},
        ).rowcount
        connection.execute(
            "CREATE TEMPORARY TABLE coarser ON COMMIT DROP AS"  # noqa: S608
            f" SELECT cell >> 2 AS cell, municipality_id, department_id, group_id, month, {_ADDED} FROM fine"
            " GROUP BY 1, 2, 3, 4, 5; DROP TABLE fine; ALTER TABLE coarser RENAME TO fine"
        )
        progress((FINEST_FOLDED - level + 1) / (FINEST_FOLDED - COARSEST_FOLDED + 1))
    connection.execute("DROP TABLE fine")
    return cells
