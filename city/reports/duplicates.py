"""Is it this one? Open reports of the same kind of trouble within a few steps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from city.settings import settings
from geo.cells import around, covering
from geo.place import Place

MOST: Final = 5

MOST_MEASURED: Final = 10
"""Reports that are fetched, nearest first, to be measured exactly."""

NEARBY_SQL: Final = f"""
    SELECT id, number, state, category_id, lon, lat, created_at, is_public, master_id
    FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS range (first, last), LATERAL (
      SELECT * FROM report
      WHERE municipality_id = %(municipality_id)s AND cell BETWEEN range.first AND range.last
        AND is_open AND group_slug = %(group)s
      ORDER BY cell LIMIT 200
    ) AS near
    ORDER BY (cell_x - %(near_x)s)::float8 ^ 2 + (cell_y - %(near_y)s)::float8 ^ 2 LIMIT {MOST_MEASURED}
"""  # noqa: S608
"""The nearest reports (`search_values`), to be measured exactly afterwards (`nearest`).

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


def search_values(place: Place) -> dict[str, Any]:
    """Where NEARBY_SQL looks: all its values but the municipality's id and the category group."""
    ranges = covering(around(place, settings().duplicate_radius_metres))
    x, y = place.cell()
    return {
        "firsts": [cells.first for cells in ranges],
        "lasts": [cells.last for cells in ranges],
        "near_x": x,
        "near_y": y,
    }


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
