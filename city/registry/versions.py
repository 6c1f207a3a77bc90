"""The versions of a zone layer: which layers there are, and which zones were in force on which day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from geoalchemy2.shape import to_shape
from sqlalchemy import select

from city.database import PROVINCE, ReadSession
from city.errors import NotFound
from city.registry.layers import ZoneFields
from city.registry.tables import Municipality, Zone, ZoneLayer
from city.registry.territory import home
from geo.faults import Area
from geo.zones import ZoneShape, area_of


@dataclass(frozen=True, slots=True)
class Owned:
    """A layer and whose it is."""

    owner: Municipality
    layer: ZoneLayer


def layers(session: ReadSession, owner: str | None = None, layer: str | None = None) -> list[Owned]:
    """The layers of one owner (a municipality's slug, or the province's; None: of all), or the one called `layer`.

    The province's come first. Raises NotFound for an owner or a layer that is not there.
    """
    query = (
        select(Municipality, ZoneLayer)
        .join(ZoneLayer, ZoneLayer.municipality_id == Municipality.id)
        .order_by(Municipality.kind.desc(), Municipality.name, ZoneLayer.slug)
    )
    if owner is not None:
        query = query.where(Municipality.id == home(session, owner).id)
    if layer is not None:
        query = query.where(ZoneLayer.slug == layer)
    found = [Owned(one, its) for one, its in session.execute(query)]
    if layer is not None and not found:
        known = sorted({owned.layer.slug for owned in layers(session, owner)})
        raise NotFound("zones.unknown_layer", field="layer", value=layer, known=", ".join(known) or "-")
    return found


def zones_on(session: ReadSession, layer: ZoneLayer, day: date) -> list[ZoneFields]:
    """The zones of the layer in force on `day`, by code."""
    rows = session.scalars(
        select(Zone)
        .where(
            Zone.municipality_id == layer.municipality_id,
            Zone.layer_id == layer.id,
            Zone.valid_from <= day,
            Zone.valid_until.is_(None) | (Zone.valid_until > day),
        )
        .order_by(Zone.code)
    )
    return [ZoneFields(row.code, row.name, to_shape(row.shape), row.half_width_metres) for row in rows]


def days_of_change(session: ReadSession, layer: ZoneLayer) -> list[date]:
    """The days on which another version of the layer came into force, the oldest first."""
    rows = session.execute(
        select(Zone.valid_from, Zone.valid_until).where(
            Zone.municipality_id == layer.municipality_id, Zone.layer_id == layer.id
        )
    )
    return sorted({day for row in rows for day in row if day is not None})


def as_areas(zones: Sequence[ZoneFields]) -> list[Area]:
    """The zones as areas, roads widened."""
    return [
        Area(zone.code, zone.name, area_of(ZoneShape(0, zone.shape, zone.half_width_metres)).shape) for zone in zones
    ]


def is_provincial(owned: Owned) -> bool:
    """Whether every municipality inherits the layer."""
    return owned.owner.id == PROVINCE
