"""Import zones from a file into a layer: areas that are the owner's, or roads as corridors."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import shapely
from geoalchemy2.shape import to_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from city.database import PROVINCE, ReadSession, WriteSession, provincial
from city.errors import Conflict, InvalidInput
from city.registry import layers, publishing, territory
from city.registry.layers import ZoneFields
from city.registry.tables import Municipality, ZoneLayer
from city.texts import said
from commands.layers import CODE_FIELDS, NAME_FIELDS, Imported, Source, find_field, read, words
from geo.faults import Area, Faults, check, repaired
from geo.reading import Feature, Layer

HALF_WIDTH_FIELDS: Final = ("half_width_metres", "half_width", "semilarghezza", "mezza_larghezza")


ELSEWHERE: Final = 0.95
"""An area with this share outside the boundary is another municipality's that only touches it, and is left out."""


@dataclass(frozen=True)
class ZoneTarget:
    """Where zones go."""

    owner: str
    layer: str
    kind: str = "areas"
    half_width_metres: float | None = None
    valid_from: date | None = None
    title: str | None = None
    tolerance_metres: float | None = None
    accepted_because: str | None = None


def import_zones(source: Source, target: ZoneTarget) -> Imported:
    """Put the zones of the file into a layer, in place of those it had; with serious faults only for a reason.

    Raises InvalidInput, NotFound, Conflict. A refusal for faults is told in the answer, with the faults.
    """
    with provincial() as session:
        imported, zones = read_zones(session, source, target)
        if not zones:
            return imported
        publication = publishing.Publication(
            by=getpass.getuser(),
            valid_from=target.valid_from,
            source=source.path.name,
            faults=imported.faults.counts(),
            serious=imported.faults.serious(),
            accepted_because=target.accepted_because,
        )
        try:
            with session.begin_nested():
                imported.changes = publishing.publish(session, _zone_layer(session, target), zones, publication)
        except Conflict as error:
            if error.key != "zones.faulty":
                raise
            imported.refusal = error
            return imported
        imported.names = [zone.name for zone in zones]
        return imported


def read_zones(session: ReadSession, source: Source, target: ZoneTarget) -> tuple[Imported, list[ZoneFields]]:
    """The zones in the file that are the owner's, checked; nothing is kept. Raises InvalidInput, NotFound."""
    boundary = boundary_of(session, territory.home(session, target.owner))
    layer = read(source, boundary)
    if target.kind == "areas":
        return _areas(layer, source, boundary)
    return _corridors(layer, source, target, boundary)


def boundary_of(session: ReadSession, owner: Municipality) -> BaseGeometry | None:
    """The ground of a municipality; of the province, that of all its municipalities. None: not known."""
    if owner.id != PROVINCE:
        return None if owner.boundary is None else to_shape(owner.boundary)
    shapes = session.scalars(select(Municipality.boundary).where(Municipality.boundary.is_not(None)))
    known = [to_shape(shape) for shape in shapes if shape is not None]
    return shapely.union_all(np.array(known, dtype=object)) if known else None


def _zone_layer(session: WriteSession, target: ZoneTarget) -> ZoneLayer:
    owner = territory.home(session, target.owner)
    slug = territory.slug_of(target.layer)
    known = session.scalar(select(ZoneLayer).filter_by(municipality_id=owner.id, slug=slug))
    title = target.title or (known.name_it if known else target.layer.replace("-", " ").capitalize())
    english = known.name_en if known and not target.title else title
    return layers.put_layer(
        session,
        target.owner,
        slug,
        name_it=title,
        name_en=english,
        kind=target.kind,
        tolerance_metres=target.tolerance_metres,
    )


def _areas(layer: Layer, source: Source, boundary: BaseGeometry | None) -> tuple[Imported, list[ZoneFields]]:
    if all(shape.geom_type in {"LineString", "MultiLineString"} for shape in layer.shapes):
        raise InvalidInput("importing.lines", field="kind")
    if boundary is not None:
        return _areas_within(layer, source, boundary)
    return _named_areas(layer, layer.features, source, None, [])


def _areas_within(layer: Layer, source: Source, boundary: BaseGeometry) -> tuple[Imported, list[ZoneFields]]:
    """Only those that have something inside: a file of a whole province may be imported for one municipality."""
    shapely.prepare(boundary)
    inside, left_out = [], []
    name_field = find_field(layer.features, source.name_field, NAME_FIELDS, unique=False)
    for feature in layer.features:
        if feature.shape is None or feature.shape.is_empty or _share_outside(feature.shape, boundary) < ELSEWHERE:
            inside.append(feature)
        else:
            name = words(feature.properties.get(name_field)) if name_field else ""
            left_out.append((name or f"{feature.number}", said("importing.wholly_outside")))
    if not inside:
        raise InvalidInput("importing.nothing_inside", field="file")
    return _named_areas(layer, inside, source, boundary, left_out)


def _share_outside(shape: BaseGeometry, boundary: BaseGeometry) -> float:
    if not shapely.intersects(boundary, shape):
        return 1.0
    area = repaired(shape)
    if area is None:
        return 0.0
    return float(shapely.area(shapely.difference(area, boundary)) / max(shapely.area(area), 1e-15))


def _named_areas(
    layer: Layer,
    features: Sequence[Feature],
    source: Source,
    boundary: BaseGeometry | None,
    left_out: list[tuple[str, str]],
) -> tuple[Imported, list[ZoneFields]]:
    codes, names, fields = _called(features, source)
    areas = [Area(code, name, feature.shape) for code, name, feature in zip(codes, names, features, strict=True)]
    faults = check(areas, boundary)
    imported = Imported(layer, fields, faults, left_out=left_out)
    zones = []
    for code, name, shape in zip(_unique(codes), names, faults.shapes, strict=True):
        if shape is None:
            imported.left_out.append((name, said("importing.no_area")))
        else:
            zones.append(ZoneFields(code, name, shape))
    return imported, zones


def _corridors(
    layer: Layer, source: Source, target: ZoneTarget, boundary: BaseGeometry | None
) -> tuple[Imported, list[ZoneFields]]:
    codes, names, fields = _called(layer.features, source)
    width_field = find_field(layer.features, None, HALF_WIDTH_FIELDS, unique=False)
    fields["half_width_metres"] = width_field
    imported = Imported(layer, fields, Faults(names=names, shapes=[]))
    zones = []
    for code, name, feature in zip(_unique(codes), names, layer.features, strict=True):
        shape = feature.shape
        if shape is None or shape.is_empty or shape.geom_type not in {"LineString", "MultiLineString"}:
            imported.left_out.append((name, said("importing.no_line")))
        elif boundary is not None and not shapely.intersects(boundary, shape):
            imported.left_out.append((name, said("importing.wholly_outside")))
        else:
            half = target.half_width_metres or _number(feature.properties.get(width_field or ""))
            if not half or half <= 0:
                raise InvalidInput("territory.no_half_width", field="half_width_metres", value=name)
            zones.append(ZoneFields(code, name, shape, half))
    return imported, zones


def _called(features: Sequence[Feature], source: Source) -> tuple[list[str], list[str], dict[str, str | None]]:
    """Codes and names of the zones, and the properties they were read from."""
    code_field = find_field(features, source.code_field, CODE_FIELDS, unique=source.code_field is None)
    name_field = find_field(features, source.name_field, NAME_FIELDS, unique=False)
    codes = [words(feature.properties.get(code_field or "")) or f"{feature.number}" for feature in features]
    names = [
        words(feature.properties.get(name_field or "")) or code for code, feature in zip(codes, features, strict=True)
    ]
    return codes, names, {"code": code_field, "name": name_field}


def _unique(codes: Sequence[str]) -> list[str]:
    """The codes, with `-2`, `-3` … where one has been there before."""
    met: dict[str, int] = {}
    result = []
    for code in codes:
        met[code] = met.get(code, 0) + 1
        result.append(code if met[code] == 1 else f"{code}-{met[code]}")
    return result


def _number(value: Any) -> float | None:
    try:
        return float(words(value).replace(",", "."))
    except ValueError:
        return None
