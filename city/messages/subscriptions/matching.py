"""Who is to hear of what happens to a report: its followers, and whoever asked for its place or category.

An area is kept as a few cells of different sizes (`geo.covers`); zones and whole municipalities are numbers among them.
So all subscriptions that hold a place are found by some twenty equalities in one btree, however many there are.
"""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any, Final

from city.registry.municipality import MunicipalityView
from geo.covers import HOLDS_SQL, cells_holding
from geo.nearby import FLAT_SQL, flat_values
from geo.place import Place

EVERYWHERE: Final = 0
"""The number of the whole municipality; zones have negative ones, cells positive ones."""
REPORTS, NOTICES = 1, 2
"""What may be wished for."""

MATCH_SQL: Final = f"""
  SELECT DISTINCT near.subscriber_id, near.subscription_id
  FROM subscription_cell AS near
  WHERE near.municipality_id = %(municipality_id)s AND near.cell = ANY(%(cells)s::bigint[])
    AND near.wishes & %(wish)s <> 0 AND (near.groups IS NULL OR %(group)s = ANY(near.groups))
    AND CASE WHEN near.is_inside THEN true
             WHEN near.square IS NOT NULL THEN {FLAT_SQL.format("near")} <= near.square
             ELSE EXISTS (
               SELECT FROM subscription
               WHERE subscription.municipality_id = near.municipality_id AND subscription.id = near.subscription_id
                 AND {HOLDS_SQL.format("subscription.shape")}) END
"""  # noqa: S608
"""Who asked to hear of a place, and by which subscription; see `values_of`."""


def zone_number(path: str) -> int:
    """The number that a zone `layer/code` has among the cells, the same for ever."""
    return -1 - int.from_bytes(hashlib.blake2b(path.encode(), digest_size=7).digest())


def numbers_of(municipality: MunicipalityView, place: Place, day: date) -> list[int]:
    """The numbers under which subscriptions for this place may stand."""
    zones = [zone_number(zone.path) for zone in municipality.zones_at(place, day)]
    return [EVERYWHERE, *zones, *cells_holding(place)]


def values_of(municipality: MunicipalityView, place: Place, day: date, group: str) -> dict[str, Any]:
    """The values of MATCH_SQL, for a report."""
    return {
        "municipality_id": municipality.id,
        "cells": numbers_of(municipality, place, day),
        "wish": REPORTS,
        "group": group,
        **flat_values(place),
    }
