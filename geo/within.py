"""The same search by distance with PostGIS's own means: what searching by cells is measured against.

Not for use under row-level security: its operators are not leakproof, so the index would go unused.
"""

from __future__ import annotations

from typing import Any, Final, LiteralString

from psycopg import Connection

from geo.place import WGS84, Place

_POINT: Final = f"ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), {WGS84})::geography"

WITHIN: Final = f"ST_DWithin(place::geography, {_POINT}, %(metres)s)"
"""A condition on a table with a point `place`: within `metres` of `lon`, `lat`."""

NEAREST_FIRST: Final = f"place::geography <-> {_POINT}"
"""An order: by distance."""

_INDEX: Final[LiteralString] = "CREATE INDEX IF NOT EXISTS report_place_peer ON report USING gist ((place::geography))"


def index_places(connection: Connection[Any]) -> None:
    """Give reports the spatial index that `WITHIN` uses, as their owner. Takes minutes for millions."""
    connection.execute(_INDEX)


AREAS_SQL: Final[LiteralString] = """
  CREATE TABLE IF NOT EXISTS area_peer (id bigint, area geometry);
  TRUNCATE area_peer;
  CREATE INDEX IF NOT EXISTS area_peer_index ON area_peer USING gist (area)
"""
"""Areas with a spatial index; rows are `id` and an area as extended WKB."""

_HOLDING: Final = f"SELECT count(*) FROM area_peer WHERE ST_Covers(area, ST_SetSRID(ST_MakePoint(%s, %s), {WGS84}))"  # noqa: S608


def areas_holding(connection: Connection[Any], place: Place) -> int:
    """How many areas of `area_peer` hold `place`."""
    row = connection.execute(_HOLDING, place).fetchone()
    return int(row[0]) if row else 0
