"""The same search by distance with PostGIS's own means: what searching by cells is measured against.

Not for use under row-level security: its operators are not leakproof, so the index would go unused.
"""

from __future__ import annotations

from typing import Any, Final, LiteralString

from psycopg import Connection

from geo.place import WGS84

_POINT: Final = f"ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), {WGS84})::geography"

WITHIN: Final = f"ST_DWithin(place::geography, {_POINT}, %(metres)s)"
"""A condition on a table with a point `place`: within `metres` of `lon`, `lat`."""

NEAREST_FIRST: Final = f"place::geography <-> {_POINT}"
"""An order: by distance."""

_INDEX: Final[LiteralString] = "CREATE INDEX IF NOT EXISTS report_place_peer ON report USING gist ((place::geography))"


def index_places(connection: Connection[Any]) -> None:
    """Give reports the spatial index that `WITHIN` uses, as their owner. Takes minutes for millions."""
    connection.execute(_INDEX)
