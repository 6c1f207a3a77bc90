"""Layers of zones: published, changed and ended by days, so that reports keep the zones of their time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from geoalchemy2.shape import from_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from city.database import WriteSession
from city.errors import Conflict, InvalidInput
from city.registry.tables import (
    Zone,
    ZoneLayer,
)
from city.registry.territory import home
from city.registry.upsert import put
from geo.columns import areas, same
from geo.place import WGS84

MOST_TOLERANCE_METRES: Final = 1_000
DAY: Final = timedelta(days=1)


class ZoneFields(NamedTuple):
    """A zone to put: an area, or the lines of a road with half its width in metres. WGS84."""

    code: str
    name: str
    shape: BaseGeometry
    half_width_metres: float | None = None


@dataclass(slots=True)
class ZoneChanges:
    """What `put_zones` did: how many zones were added, changed in place, closed, removed, or equal already."""

    added: int = 0
    changed: int = 0
    closed: int = 0
    removed: int = 0
    unchanged: int = 0


def put_layer(
    session: WriteSession,
    owner: str,
    slug: str,
    *,
    name_it: str,
    name_en: str,
    kind: str = "areas",
    tolerance_metres: float | None = None,
) -> ZoneLayer:
    """A zone layer of a municipality or of the province; None: the tolerance it has (at first none).

    Raises NotFound, InvalidInput, Conflict.
    """
    if tolerance_metres is not None and not 0 <= tolerance_metres <= MOST_TOLERANCE_METRES:
        raise InvalidInput("zones.tolerance", field="tolerance", most=MOST_TOLERANCE_METRES)
    if kind not in {"areas", "corridors"}:
        raise InvalidInput("territory.bad_kind", field="kind", value=kind, known="areas, corridors")
    key = {"municipality_id": home(session, owner).id, "slug": slug}
    known = session.scalar(select(ZoneLayer).filter_by(**key))
    if known is not None and known.kind != kind:
        raise Conflict("territory.other_kind", field="kind", layer=slug, kind=known.kind)
    values: dict[str, Any] = {"name_it": name_it, "name_en": name_en, "kind": kind}
    return put(
        session, ZoneLayer, key, values if tolerance_metres is None else values | {"tolerance_metres": tolerance_metres}
    )


def put_zones(
    session: WriteSession,
    layer: ZoneLayer,
    zones: Iterable[ZoneFields],
    *,
    valid_from: date | None = None,
    replace: bool = True,
) -> ZoneChanges:
    """Put zones into the layer, known by their code; with `replace` those not among them go.

    A zone that was in force before `valid_from` (default: today) and now changes or goes is closed on that day, so
    that old reports keep the zones of their time; one that was not yet in force then is changed or removed in place.
    Raises InvalidInput, naming the zone, for a wrong shape or a code that comes twice.
    """
    first_day = valid_from or datetime.now(UTC).date()
    there = {
        zone.code: zone
        for zone in session.scalars(
            select(Zone).where(
                Zone.municipality_id == layer.municipality_id,
                Zone.layer_id == layer.id,
                Zone.valid_until.is_(None) | (Zone.valid_until > first_day),
            )
        )
    }
    changes = ZoneChanges()
    met: set[str] = set()
    for zone in zones:
        if zone.code in met:
            raise InvalidInput("territory.code_twice", field="code", value=zone.code)
        met.add(zone.code)
        _put_zone(session, layer, _checked(zone, layer), there.get(zone.code), first_day=first_day, changes=changes)
    if replace:
        for gone in (zone for code, zone in there.items() if code not in met):
            _end(session, gone, first_day, changes)
    session.flush()
    return changes


def _put_zone(
    session: WriteSession,
    layer: ZoneLayer,
    zone: ZoneFields,
    known: Zone | None,
    *,
    first_day: date,
    changes: ZoneChanges,
) -> None:
    if known is not None and _equal(known, zone):
        changes.unchanged += 1
        return
    values = {
        "name": zone.name,
        "shape": from_shape(zone.shape, srid=WGS84),
        "half_width_metres": zone.half_width_metres,
    }
    if known is not None and known.valid_from >= first_day:
        for name, value in values.items():
            setattr(known, name, value)
        changes.changed += 1
        return
    if known is not None:
        _end(session, known, first_day, changes)
        session.flush()
    session.add(
        Zone(municipality_id=layer.municipality_id, layer_id=layer.id, code=zone.code, valid_from=first_day, **values)
    )
    changes.added += 1


def _end(session: WriteSession, zone: Zone, first_day: date, changes: ZoneChanges) -> None:
    if zone.valid_from < first_day:
        zone.valid_until = first_day
        changes.closed += 1
    else:
        session.delete(zone)
        changes.removed += 1


def _equal(known: Zone, zone: ZoneFields) -> bool:
    return (
        known.name == zone.name
        and known.half_width_metres == zone.half_width_metres
        and known.valid_until is None
        and same(known.shape, zone.shape)
    )


def _checked(zone: ZoneFields, layer: ZoneLayer) -> ZoneFields:
    if layer.kind == "areas":
        area = areas(zone.shape)
        if area is None:
            raise InvalidInput("territory.no_area", field="shape", value=zone.name)
        return zone._replace(shape=area, half_width_metres=None)
    if zone.shape.geom_type not in {"LineString", "MultiLineString"} or zone.shape.is_empty:
        raise InvalidInput("territory.no_line", field="shape", value=zone.name)
    if not zone.half_width_metres or zone.half_width_metres <= 0:
        raise InvalidInput("territory.no_half_width", field="half_width_metres", value=zone.name)
    return zone
