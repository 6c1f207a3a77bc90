"""The statements that make vector tiles. Each is one look at one snapshot: cells, changes not yet folded, reports.

Rows come in an order of their own, so that a tile with the same content has the same bytes, whoever makes it.
"""

from __future__ import annotations

from typing import Final

from geo.place import PYRAMID_LEVEL
from geo.pyramid import COARSE_LEVEL, FINEST_SHARED, HEAT_BITS, STAGE

EXTENT: Final = 4096
MOST_SINGLES: Final = 1_200
"""Reports on one tile; where there are more, they are gathered into cells even close up (a tile has 30 kB at most)."""
FIRST_NAMED_ZOOM: Final = 10
"""From this zoom on, tiles hold the names of zones; those of municipalities are in all."""

_AT: Final = f"ST_MakePoint(({{x}} - %(left)s) * {EXTENT}.0 / %(side)s, ({{y}} - %(top)s) * {EXTENT}.0 / %(side)s)"
_OWN: Final = "(%(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s)"

COARSE_SHIFT: Final = 2 * (PYRAMID_LEVEL - COARSE_LEVEL)

# --- where figures come from ------------------------------------------------------------------------------------------

_CELLS: Final = """
  FROM tile_cell WHERE level = %(level)s AND month = ANY(%(nodes)s::integer[]) AND scope = %(scope)s
    AND cell BETWEEN %(first)s >> %(source_shift)s::integer AND %(last)s >> %(source_shift)s::integer
"""
_CELL: Final = "cell >> %(gathering)s::integer AS cell"
_ONLY: Final = f" AND (%(level)s <= {FINEST_SHARED} OR {_OWN})"
"""On the fine levels one municipality's rows stand among the others'."""

_CHANGES: Final = f"""
  FROM tile_delta WHERE cardinality(%(nodes)s::integer[]) > 0 AND cell BETWEEN %(first)s AND %(last)s AND {_OWN}
    AND month BETWEEN %(first_month)s AND %(last_month)s AND month <> ALL(%(single_months)s::integer[])
"""
_REPORTS: Final = f"""
  FROM report WHERE is_public AND month = ANY(%(single_months)s::integer[])
    AND cell BETWEEN %(first)s AND %(last)s AND {_OWN}
"""
_REPORTS_ALWAYS: Final = f"""
  FROM report WHERE is_public AND is_open = ANY(%(openness)s::boolean[])
    AND cell BETWEEN %(first)s AND %(last)s AND {_OWN}
"""
"""The same of all time: by the index of cells, where the other is by that of months."""
# --- open reports -----------------------------------------------------------------------------------------------------

CLUSTERS: Final = f"""
WITH pieces AS (
  SELECT {_CELL}, open, sum_x, sum_y, top, groups {_CELLS} {_ONLY} AND open > 0
  UNION ALL
  SELECT cell, sum(open)::integer, sum(sum_x)::bigint, sum(sum_y)::bigint, NULL, jsonb_object_agg(group_slug, open)
  FROM (
    SELECT cell >> %(shift)s::integer AS cell, group_slug, sum(count) AS open, sum(count * x) AS sum_x,
           sum(count * y) AS sum_y
    {_CHANGES} AND stage < 2 GROUP BY 1, 2
  ) AS changed GROUP BY cell
), clusters AS (
  SELECT cell, sum(open)::integer AS open, sum(sum_x)::bigint AS sum_x, sum(sum_y)::bigint AS sum_y,
         count(*) AS pieces, min(top) AS top, array_agg(groups) AS groups
  FROM pieces GROUP BY cell HAVING sum(open) > 0
)
SELECT ST_AsMVT(feature, 'reports', {EXTENT}, 'geom') FROM (
  SELECT {_AT.format(x="sum_x::float8 / open", y="sum_y::float8 / open")} AS geom, open AS count,
         coalesce(joined.top, clusters.top) AS "group", coalesce(joined.groups, clusters.groups[1]) AS groups
  FROM clusters, LATERAL (
    SELECT (array_agg(key ORDER BY open DESC, key))[1] AS top, jsonb_object_agg(key, open) AS groups
    FROM (
      SELECT key, sum(value::integer) AS open FROM unnest(clusters.groups) AS piece, jsonb_each_text(piece)
      WHERE pieces > 1 OR clusters.top IS NULL GROUP BY key HAVING sum(value::integer) > 0
    ) AS summed
  ) AS joined
  ORDER BY cell
) AS feature
"""
"""All open reports in clusters. Where one row says it all, it is shown as it lies there."""

_CHOSEN: Final = """
  (%(department_id)s::integer IS NULL OR department_id = %(department_id)s)
  AND (cardinality(%(groups)s::text[]) = 0 OR group_slug = ANY(%(groups)s::text[]))
"""
_CHOSEN_PARTS: Final = """
  (%(department_id)s::integer IS NULL OR figures[part][1] = %(department_id)s)
  AND (cardinality(%(groups)s::text[]) = 0 OR figures[part][2] = ANY(ARRAY(
    SELECT id FROM category_group WHERE municipality_id = 0 AND slug = ANY(%(groups)s::text[]))))
"""
_COUNT: Final = " + ".join(f"%(stage_{stage})s * figures[part][{stage + 3}]" for stage in range(4))
_OPEN_COUNT: Final = "%(stage_0)s * figures[part][3] + %(stage_1)s * figures[part][4]"
_COUNTS: Final = f"(ARRAY[{', '.join(f'%(stage_{stage})s' for stage in range(4))}])[1 + {{stage}}]"
"""1 where a stage is wanted, else 0."""

_PARTS: Final = f"""
  SELECT cell, slug AS group_slug, count, shown_open, open, sum_x, sum_y FROM (
    SELECT cell, group_id, sum(count) AS count, sum(shown_open) AS shown_open, sum(open) AS open, sum(sum_x) AS sum_x,
           sum(sum_y) AS sum_y
    FROM (
      SELECT cell, figures[part][2] AS group_id, {_COUNT} AS count, {_OPEN_COUNT} AS shown_open,
             figures[part][3] + figures[part][4] AS open, figures[part][7] AS sum_x, figures[part][8] AS sum_y
      FROM (SELECT {_CELL}, figures {_CELLS} {_ONLY}) AS found, generate_subscripts(figures, 1) AS part
      WHERE {_CHOSEN_PARTS}
    ) AS part GROUP BY cell, group_id
  ) AS folded JOIN category_group ON category_group.municipality_id = 0 AND category_group.id = group_id
  UNION ALL
  SELECT cell >> %(shift)s::integer, group_slug, count * {_COUNTS.format(stage="stage")},
         count * {_COUNTS.format(stage="stage")} * (stage < 2)::integer, (stage < 2)::integer * count,
         (stage < 2)::integer * count * x, (stage < 2)::integer * count * y
  {_CHANGES} AND {_CHOSEN}
  UNION ALL
  SELECT cell >> %(shift)s::integer, group_slug, {_COUNTS.format(stage=STAGE)},
         {_COUNTS.format(stage=STAGE)} * is_open::integer, is_open::integer, is_open::integer * cell_x,
         is_open::integer * cell_y
  {_REPORTS} AND {_CHOSEN}
"""

CHOSEN_CLUSTERS: Final = f"""
WITH parts AS ({_PARTS}), by_group AS (
  SELECT cell, group_slug, sum(count)::integer AS count, sum(open)::integer AS open, sum(sum_x)::float8 AS sum_x,
         sum(sum_y)::float8 AS sum_y
  FROM parts GROUP BY cell, group_slug
)
SELECT ST_AsMVT(feature, 'reports', {EXTENT}, 'geom') FROM (
  SELECT {_AT.format(x="sum(sum_x) / sum(open)", y="sum(sum_y) / sum(open)")} AS geom, sum(count)::integer AS count,
         (array_agg(group_slug ORDER BY count DESC, group_slug))[1] AS "group",
         jsonb_object_agg(group_slug, count) AS groups
  FROM by_group WHERE count > 0 GROUP BY cell ORDER BY cell
) AS feature
"""
"""Open reports of some departments, groups, stages or months in clusters."""

_COARSE: Final = f"""
  SELECT x, y, sum(count)::integer AS count
  FROM unnest(%(coarse_cells)s::bigint[], %(coarse_xs)s::integer[], %(coarse_ys)s::integer[]) AS coarse (cell, x, y),
    LATERAL (
      SELECT figures[part][9] AS count
      FROM (SELECT figures, municipality_id FROM tile_cell WHERE level = {COARSE_LEVEL} AND month = 0 AND scope = 0
              AND tile_cell.cell = coarse.cell AND coarse_open > 0 AND {_OWN}) AS found,
        generate_subscripts(figures, 1) AS part,
        LATERAL (SELECT figures[part][1] AS department_id, slug AS group_slug FROM category_group
                 WHERE category_group.municipality_id = 0 AND category_group.id = figures[part][2]) AS whose
      WHERE {_CHOSEN}
      UNION ALL
      SELECT count FROM tile_delta WHERE is_coarse AND stage < 2 AND {_OWN} AND {_CHOSEN}
        AND tile_delta.cell = (coarse.cell << {COARSE_SHIFT}) + {3 << (COARSE_SHIFT - 2)}
    ) AS counted
  GROUP BY x, y HAVING sum(count) > 0
"""
"""What is shown only as cells, close up: one number for each of these cells, in its middle."""

_COUNTED_CLUSTERS: Final = f"""
WITH by_group AS (
  SELECT cell >> %(shift)s::integer AS cell, group_slug, count(*)::integer AS count,
         sum(cell_x) AS sum_x, sum(cell_y) AS sum_y
  {{reports}} AND {_CHOSEN} AND ({STAGE}) = ANY(%(stages)s::integer[]) GROUP BY 1, 2
), clusters AS (
  SELECT cell, sum(sum_x)::float8 / sum(count) AS x, sum(sum_y)::float8 / sum(count) AS y,
         sum(count)::integer AS count, (array_agg(group_slug ORDER BY count DESC, group_slug))[1] AS "group",
         jsonb_object_agg(group_slug, count) AS groups
  FROM by_group GROUP BY cell
  UNION ALL
  SELECT -x, x, y, count, NULL, NULL FROM ({_COARSE}) AS coarse
)
SELECT ST_AsMVT(feature, 'reports', {EXTENT}, 'geom') FROM (
  SELECT {_AT.format(x="x", y="y")} AS geom, count, "group", groups FROM clusters ORDER BY cell, y
) AS feature
"""
COUNTED_CLUSTERS: Final = {
    True: _COUNTED_CLUSTERS.format(reports=_REPORTS_ALWAYS),
    False: _COUNTED_CLUSTERS.format(reports=_REPORTS),
}
"""The same counted from the reports themselves: close up, and as the referee of the pyramid. By whether always."""

_SINGLES: Final = f"""
WITH singles AS (
  SELECT cell_x AS x, cell_y AS y, number, category.slug AS category, report.group_slug AS "group", state,
         to_char(report.created_at, 'YYYY-MM-DD') AS since, report.created_at, report.id
  FROM report JOIN category ON category.id = report.category_id
  WHERE is_public AND is_open AND {{period}} cell BETWEEN %(first)s AND %(last)s
    AND ({STAGE}) = ANY(%(stages)s::integer[])
    AND {_CHOSEN.replace("group_slug", "report.group_slug")} AND {_OWN.replace("OR ", "OR report.")}
  LIMIT {MOST_SINGLES + 1}
), features AS (
  SELECT x, y, 1 AS count, number, category, "group", state, since, created_at, id FROM singles
  UNION ALL
  SELECT x, y, count, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM ({_COARSE}) AS coarse
)
SELECT ST_AsMVT(feature, 'reports', {EXTENT}, 'geom'), (SELECT count(*) FROM singles) FROM (
  SELECT {_AT.format(x="x", y="y")} AS geom, count, number, category, "group", state, since
  FROM features ORDER BY created_at NULLS FIRST, id, x, y
) AS feature
"""
SINGLES: Final = {
    True: _SINGLES.format(period=""),
    False: _SINGLES.format(period="month = ANY(%(single_months)s::integer[]) AND"),
}
"""Open reports one by one, the newest on top. By whether of all time."""

# --- heat -------------------------------------------------------------------------------------------------------------


def _middle(axis: int) -> str:
    """The middle of a cell in its tile, along the columns (axis 0) or rows (1): every second bit of its key."""
    bits = " + ".join(f"(((cell >> {2 * bit + axis}) & 1) * {1 << bit})" for bit in range(HEAT_BITS))
    return f"(({bits}) + 0.5) * {EXTENT / (1 << HEAT_BITS)}"


_HEAT_AT: Final = f"ST_MakePoint({_middle(0)}, {_middle(1)})"

_HEAT_FEATURES: Final = f"""
SELECT ST_AsMVT(feature, 'heat', {EXTENT}, 'geom') FROM (
  SELECT {_HEAT_AT} AS geom, count, open FROM ({{}}) AS heat ORDER BY cell
) AS feature
"""

HEAT: Final = _HEAT_FEATURES.format(f"""
  SELECT cell, sum(total)::integer AS count, sum(open)::integer AS open FROM (
    SELECT {_CELL}, total, open {_CELLS} {_ONLY}
    UNION ALL
    SELECT cell >> %(shift)s::integer, count, count * (stage < 2)::integer {_CHANGES}
    UNION ALL
    SELECT cell >> %(shift)s::integer, 1, is_open::integer {_REPORTS}
  ) AS pieces GROUP BY cell HAVING sum(total) > 0
""")
"""All reports of a period, counted by cells."""

CHOSEN_HEAT: Final = _HEAT_FEATURES.format(f"""
  WITH parts AS ({_PARTS})
  SELECT cell, sum(count)::integer AS count,
         sum(shown_open)::integer AS open
  FROM parts GROUP BY cell HAVING sum(count) > 0
""")
"""Of these, only some departments, groups or stages."""

_COUNTED_HEAT: Final = """
  SELECT cell >> %(shift)s::integer AS cell, count(*)::integer AS count,
         count(*) FILTER (WHERE is_open)::integer AS open
  {reports} AND {chosen} AND ({stage}) = ANY(%(stages)s::integer[]) GROUP BY 1
"""
COUNTED_HEAT: Final = {
    is_always: _HEAT_FEATURES.format(_COUNTED_HEAT.format(reports=reports, chosen=_CHOSEN, stage=STAGE))
    for is_always, reports in ((True, _REPORTS_ALWAYS), (False, _REPORTS))
}
"""The same counted from the reports themselves: close up, and as the referee of the pyramid. By whether always.

Coarse ones are left out.
"""

# --- zones ------------------------------------------------------------------------------------------------------------

_SEEN: Final = "ST_Simplify(ST_Transform({shape}, 3857), %(detail_metres)s, true)"
"""A shape without what is too small to be seen: borders drawn for the ground would make a large tile from afar."""

ZONES: Final = f"""
WITH tile AS (
  SELECT ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s) AS box,
         ST_Transform(ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s, margin => 0.0625), 4326) AS around
), zones AS (
  SELECT ST_AsMVTGeom({_SEEN.format(shape="zone.shape")}, tile.box, {EXTENT}, 256, true) AS geom,
         zone.code, zone.name, zone_layer.slug AS layer, zone_layer.kind, zone.half_width_metres,
         coalesce(municipality.slug, '') AS municipality
  FROM tile, zone
  JOIN zone_layer ON zone_layer.municipality_id = zone.municipality_id AND zone_layer.id = zone.layer_id
  LEFT JOIN municipality ON municipality.id = zone.municipality_id
  WHERE zone.shape && tile.around AND zone.valid_from <= current_date
    AND (zone.valid_until IS NULL OR zone.valid_until > current_date)
    AND (%(municipality_id)s::integer IS NULL OR zone.municipality_id IN (0, %(municipality_id)s))
  ORDER BY zone.municipality_id, zone.id
), boundaries AS (
  SELECT ST_AsMVTGeom({_SEEN.format(shape="boundary")}, tile.box, {EXTENT}, 256, true) AS geom, slug, name
  FROM tile, municipality WHERE boundary && tile.around AND is_active ORDER BY id
), spots AS (
  SELECT zone.name, zone_layer.kind, ST_Transform(ST_PointOnSurface(zone.shape), 3857) AS spot
  FROM tile, zone
  JOIN zone_layer ON zone_layer.municipality_id = zone.municipality_id AND zone_layer.id = zone.layer_id
  WHERE %(zoom)s >= {FIRST_NAMED_ZOOM} AND zone_layer.kind = 'areas'
    AND zone.shape && tile.around AND zone.valid_from <= current_date
    AND (zone.valid_until IS NULL OR zone.valid_until > current_date)
    AND (%(municipality_id)s::integer IS NULL OR zone.municipality_id IN (0, %(municipality_id)s))
  UNION ALL
  SELECT name, 'municipality', ST_Transform(ST_PointOnSurface(boundary), 3857)
  FROM tile, municipality WHERE boundary && tile.around AND is_active
), names AS (
  SELECT ST_AsMVTGeom(spot, tile.box, {EXTENT}, 0, true) AS geom, name, kind FROM tile, spots WHERE spot && tile.box
  ORDER BY kind, name, spot
)
SELECT coalesce((SELECT ST_AsMVT(zones, 'zones', {EXTENT}, 'geom') FROM zones WHERE geom IS NOT NULL), '')
    || coalesce((SELECT ST_AsMVT(boundaries, 'municipalities', {EXTENT}, 'geom') FROM boundaries
                 WHERE geom IS NOT NULL), '')
    || coalesce((SELECT ST_AsMVT(names, 'names', {EXTENT}, 'geom') FROM names WHERE geom IS NOT NULL), '')
"""

# --- notices ----------------------------------------------------------------------------------------------------------

_UTC: Final = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
NOTICES: Final = f"""
WITH tile AS (
  SELECT ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s) AS box,
         ST_Transform(ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s, margin => 0.0625), 4326) AS around
), notices AS (
  SELECT ST_AsMVTGeom({_SEEN.format(shape="shape")}, tile.box, {EXTENT}, 256, true) AS geom,
         number, kind, title_it, title_en, {_UTC.format("starts_at")} AS starts_at,
         {_UTC.format("ends_at")} AS ends_at, is_urgent
  FROM tile, notice
  WHERE state = 'published' AND shape && tile.around
    AND (%(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s)
  ORDER BY starts_at, id
), spots AS (
  SELECT number, title_it, title_en, ST_Transform(ST_PointOnSurface(shape), 3857) AS spot
  FROM tile, notice
  WHERE state = 'published' AND shape && tile.around
    AND (%(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s)
), titles AS (
  SELECT ST_AsMVTGeom(spot, tile.box, {EXTENT}, 0, true) AS geom, number, title_it, title_en
  FROM tile, spots WHERE spot && tile.box ORDER BY number
)
SELECT coalesce((SELECT ST_AsMVT(notices, 'notices', {EXTENT}, 'geom') FROM notices WHERE geom IS NOT NULL), '')
    || coalesce((SELECT ST_AsMVT(titles, 'titles', {EXTENT}, 'geom') FROM titles WHERE geom IS NOT NULL), '')
"""
"""Areas of the notices that are published; these change with the registry's version."""

# --- hot spots --------------------------------------------------------------------------------------------------------

HOTSPOTS: Final = f"""
WITH tile AS (
  SELECT ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s) AS box,
         ST_Transform(ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s, margin => 0.0625), 4326) AS around
), squares AS (
  SELECT ST_AsMVTGeom(ST_Transform(shape, 3857), tile.box, {EXTENT}, 256, true) AS geom, group_slug AS "group", count,
         expected, z, q
  FROM tile, hotspot
  WHERE is_public AND z > 0 AND municipality_id = %(municipality_id)s AND group_slug = ANY(%(groups)s::text[])
    AND shape && tile.around
  ORDER BY group_slug, cell_column, cell_row
)
SELECT ST_AsMVT(squares, 'hotspots', {EXTENT}, 'geom') FROM squares WHERE geom IS NOT NULL
"""
"""Squares that stand out, by the public's reports alone."""
