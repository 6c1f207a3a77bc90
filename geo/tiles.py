"""Vector tiles (Mapbox Vector Tile 2.1), made by PostGIS. Coordinates are those of the Web-Mercator tile grid."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from psycopg import Connection

from geo.cells import Bounds, tile_range
from geo.place import PYRAMID_LEVEL, Place
from geo.pyramid import CLUSTER_BITS, FIRST_SINGLE_ZOOM

EXTENT: Final = 4096
DEEPEST_ZOOM: Final = 22
SINGLE_DEEPEST_ZOOM: Final = 16
"""Deeper tiles would hold the same reports: clients enlarge these."""
FIRST_NAMED_ZOOM: Final = 10
"""From this zoom on, tiles hold the names of zones; those of municipalities are in all."""
MOST_SINGLES: Final = 5_000


class Tile(NamedTuple):
    """One square of the map: zoom, column, row; row 0 is the northernmost."""

    zoom: int
    x: int
    y: int

    @property
    def exists(self) -> bool:
        """Whether there is such a tile."""
        return 0 <= self.zoom <= DEEPEST_ZOOM and 0 <= self.x < 1 << self.zoom and 0 <= self.y < 1 << self.zoom

    @classmethod
    def at(cls, place: Place, zoom: int) -> Tile:
        """The tile of `zoom` that holds `place`."""
        return cls(zoom, *place.cell(zoom))


_IN_TILE: Final = f"""
    ST_MakePoint((x - %(left)s) * {EXTENT}.0 / %(side)s, (y - %(top)s) * {EXTENT}.0 / %(side)s)
"""

_FOLDED: Final = """
  SELECT cell, group_slug, count, sum_x, sum_y FROM tile_cell
  WHERE level = %(level)s AND cell BETWEEN %(first)s >> %(shift)s AND %(last)s >> %(shift)s
    AND (%(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s)
  UNION ALL
  SELECT cell >> %(shift)s, group_slug, count, count * x::bigint, count * y::bigint FROM tile_delta
  WHERE cell BETWEEN %(first)s AND %(last)s
    AND (%(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s)
"""
"""What the pyramid knows: its cells, and the changes not yet folded into them."""

_COUNTED: Final = """
  SELECT cell >> %(shift)s AS cell, group_slug, count(*) AS count, sum(cell_x::bigint) AS sum_x,
         sum(cell_y::bigint) AS sum_y
  FROM report WHERE cell BETWEEN %(first)s AND %(last)s AND is_public AND is_open
    AND (%(municipality_id)s::integer IS NULL OR municipality_id = %(municipality_id)s)
  GROUP BY 1, 2
"""
"""The same, counted from the reports themselves."""

_CLUSTERS: Final = f"""
WITH found AS ({{}}), grouped AS (
  SELECT cell, group_slug, sum(count)::integer AS count, sum(sum_x) AS sum_x, sum(sum_y) AS sum_y
  FROM found GROUP BY cell, group_slug HAVING sum(count) > 0
), clusters AS (
  SELECT sum(count)::integer AS count, sum(sum_x)::float8 / sum(count) AS x, sum(sum_y)::float8 / sum(count) AS y,
         jsonb_object_agg(group_slug, count) AS groups,
         (array_agg(group_slug ORDER BY count DESC, group_slug))[1] AS "group"
  FROM grouped GROUP BY cell
)
SELECT ST_AsMVT(feature, 'reports', {EXTENT}, 'geom')
FROM (SELECT {_IN_TILE} AS geom, count, "group", groups FROM clusters) AS feature
"""  # noqa: S608

_SINGLES: Final = f"""
SELECT ST_AsMVT(feature, 'reports', {EXTENT}, 'geom') FROM (
  SELECT {_IN_TILE} AS geom, 1 AS count, number, category, "group", state, age_days FROM (
    SELECT cell_x AS x, cell_y AS y, number, category.slug AS category, report.group_slug AS "group", state,
           extract(day FROM now() - report.created_at)::integer AS age_days
    FROM report JOIN category ON category.id = report.category_id
    WHERE cell BETWEEN %(first)s AND %(last)s AND is_public AND is_open
      AND (%(municipality_id)s::integer IS NULL OR report.municipality_id = %(municipality_id)s)
    ORDER BY report.created_at DESC LIMIT {MOST_SINGLES}
  ) AS single
) AS feature
"""  # noqa: S608

_ZONES: Final = f"""
WITH tile AS (
  SELECT ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s) AS box,
         ST_Transform(ST_TileEnvelope(%(zoom)s, %(x)s, %(y)s, margin => 0.0625), 4326) AS around
), zones AS (
  SELECT ST_AsMVTGeom(ST_Transform(zone.shape, 3857), tile.box, {EXTENT}, 256, true) AS geom,
         zone.code, zone.name, zone_layer.slug AS layer, zone_layer.kind, zone.half_width_metres,
         coalesce(municipality.slug, '') AS municipality
  FROM tile, zone
  JOIN zone_layer ON zone_layer.municipality_id = zone.municipality_id AND zone_layer.id = zone.layer_id
  LEFT JOIN municipality ON municipality.id = zone.municipality_id
  WHERE zone.shape && tile.around AND zone.valid_from <= current_date
    AND (zone.valid_until IS NULL OR zone.valid_until > current_date)
    AND (%(municipality_id)s::integer IS NULL OR zone.municipality_id IN (0, %(municipality_id)s))
), boundaries AS (
  SELECT ST_AsMVTGeom(ST_Transform(boundary, 3857), tile.box, {EXTENT}, 256, true) AS geom, slug, name
  FROM tile, municipality WHERE boundary && tile.around AND is_active
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
)
SELECT coalesce((SELECT ST_AsMVT(zones, 'zones', {EXTENT}, 'geom') FROM zones WHERE geom IS NOT NULL), '')
    || coalesce((SELECT ST_AsMVT(boundaries, 'municipalities', {EXTENT}, 'geom') FROM boundaries
                 WHERE geom IS NOT NULL), '')
    || coalesce((SELECT ST_AsMVT(names, 'names', {EXTENT}, 'geom') FROM names WHERE geom IS NOT NULL), '')
"""  # noqa: S608


def reports_tile(connection: Connection[Any], tile: Tile, municipality_id: int | None = None) -> bytes:
    """The open public reports of one tile: clusters with counts per category group, or single reports close up.

    Layer `reports`. A cluster has `count`, `group` (the most frequent) and one count per group under the group's
    slug; a single report has `count` 1, `number`, `category`, `group`, `state` and `age_days`.
    """
    query = _CLUSTERS.format(_FOLDED) if tile.zoom < FIRST_SINGLE_ZOOM else _SINGLES
    return _bytes(connection, query, _reports_values(tile, municipality_id))


def _reports_values(tile: Tile, municipality_id: int | None) -> dict[str, Any]:
    shift = PYRAMID_LEVEL - tile.zoom
    cells = tile_range(tile.zoom, tile.x, tile.y)
    level = tile.zoom + CLUSTER_BITS
    return {
        "first": cells.first,
        "last": cells.last,
        "level": level,
        "shift": 2 * (PYRAMID_LEVEL - level),
        "left": tile.x << shift,
        "top": tile.y << shift,
        "side": 1 << shift,
        "municipality_id": municipality_id,
    }


def counted_tile(connection: Connection[Any], tile: Tile, municipality_id: int | None = None) -> bytes:
    """The clusters of one tile counted on the fly, without the pyramid: its referee in tests, its peer in `bench`."""
    return _bytes(connection, _CLUSTERS.format(_COUNTED), _reports_values(tile, municipality_id))


def zones_tile(connection: Connection[Any], tile: Tile, municipality_id: int | None = None) -> bytes:
    """Zones in force (layer `zones`: code, name, layer, kind) and boundaries (layer `municipalities`: slug, name).

    Layer `names` has one point inside each of them (`name`, `kind`), so that a map of many tiles names each once.
    """
    values = {"zoom": tile.zoom, "x": tile.x, "y": tile.y, "municipality_id": municipality_id}
    return _bytes(connection, _ZONES, values)


def bounds_of_municipalities(connection: Connection[Any], municipality_id: int | None = None) -> Bounds | None:
    """The box around all hosted municipalities, or one of them; None where there is none."""
    row = connection.execute(
        "SELECT ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box)"
        " FROM (SELECT ST_Extent(boundary) AS box FROM municipality"
        "       WHERE is_active AND (%(id)s::integer IS NULL OR id = %(id)s)) AS extent",
        {"id": municipality_id},
    ).fetchone()
    return Bounds(*row) if row and row[0] is not None else None


def _bytes(connection: Connection[Any], query: str, values: dict[str, Any]) -> bytes:
    row = connection.execute(query, values).fetchone()
    return bytes(row[0] or b"") if row else b""
