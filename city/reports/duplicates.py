"""Is it this one? Open reports of the same kind of trouble within a few steps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from city.settings import settings
from geo.cells import CellRange, around, covering
from geo.place import Place

MOST: Final = 5

NEARBY_SQL: Final = """
    SELECT near.*
    FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS range (first, last), LATERAL (
      SELECT id, number, state, category_id, lon, lat, created_at, is_public, master_id FROM report
      WHERE municipality_id = %(municipality_id)s AND cell BETWEEN range.first AND range.last
        AND is_open AND group_slug = %(group)s
      ORDER BY cell LIMIT 200
    ) AS near
    LIMIT 200
"""
"""Reports nearby, by ranges of cells (`search_ranges`); to be measured exactly afterwards (`nearest`).

One look into the index for each range: the order by cell leaves the planner no other way, whatever it guesses.
"""


class Nearby(NamedTuple):
    """An open report near a place."""

    id: UUID
    number: str
    state: str
    category_id: int
    place: Place
    created_at: datetime
    is_public: bool
    metres: float


def search_ranges(place: Place) -> list[CellRange]:
    """The ranges of cells to look in."""
    return covering(around(place, settings().duplicate_radius_metres))


def nearest(place: Place, rows: Iterable[dict[str, Any]]) -> list[Nearby]:
    """The rows of NEARBY_SQL really within the radius, nearest first, at most five."""
    found = []
    for row in rows:
        there = Place(row["lon"], row["lat"])
        metres = place.distance_metres(there)
        if metres <= settings().duplicate_radius_metres:
            found.append(
                Nearby(
                    UUID(str(row["id"])),
                    row["number"],
                    row["state"],
                    row["category_id"],
                    there,
                    _moment(row["created_at"]),
                    row["is_public"],
                    metres,
                )
            )
    return sorted(found, key=lambda near: near.metres)[:MOST]


def _moment(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
