"""Import boundaries and zones from the files municipalities have: read, check, repair, keep, and say what was found."""

from __future__ import annotations

import getpass
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from geoalchemy2.shape import to_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from city.database import PROVINCE, ReadSession, WriteSession, provincial
from city.errors import Conflict, InvalidInput, LampioneError
from city.registry import publishing, territory
from city.registry.tables import Municipality, ZoneLayer
from city.registry.territory import MunicipalityFields, ZoneChanges, ZoneFields
from city.texts import said
from geo.faults import Area, Faults, check, repaired
from geo.reading import ITALY, Feature, Layer, UnreadableLayer, read_layer, suspected

NAME_FIELDS: Final = [
    "name",
    "nome",
    "denominazione",
    "denom",
    "comune",
    "nome_com",
    "municipality",
    "descrizione",
    "descrizion",
    "description",
    "quartiere",
    "localita",
    "circoscrizione",
    "nome_circ",
    "municipio",
    "label",
    "etichetta",
    "titolo",
    "title",
    "zona",
    "zone",
    "comune_nom",
    "den_com",
]
CODE_FIELDS: Final = [
    "code",
    "codice",
    "cod",
    "sigla",
    "zona",
    "zone",
    "id_zona",
    "cod_zona",
    "linkzona",
    "numero",
    "numero_cir",
    "num",
    "id",
    "fid",
    "objectid",
    "gid",
    "pchiave",
]
ISTAT_FIELDS: Final = [
    "com_istat_code",
    "pro_com_t",
    "istat_code",
    "istat",
    "codice_istat",
    "cod_istat",
    "codistat",
    "pro_com",
    "com_istat_code_num",
    "istat_com",
]
HALF_WIDTH_FIELDS: Final = ("half_width_metres", "half_width", "semilarghezza", "mezza_larghezza")
TELLING: Final = 0.6
"""A name with this share of different values names the features; one with fewer names something larger."""
ELSEWHERE: Final = 0.95
"""An area with this share outside the boundary is another municipality's that only touches it, and is left out."""


@dataclass(frozen=True)
class Source:
    """A file with layers, and how to read it where that cannot be guessed."""

    path: Path
    crs: str | None = None
    layer: str | None = None
    name_field: str | None = None
    code_field: str | None = None


@dataclass
class Imported:
    """What an import did."""

    source: Layer
    fields: dict[str, str | None]
    """What was read from which property of the file; None: made by ourselves."""
    faults: Faults
    names: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Names of what was not imported, and the reason as a sentence."""
    changes: ZoneChanges | None = None
    refusal: LampioneError | None = None
    """Why it was not published."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "imported": len(self.names),
            "names": self.names,
            "left_out": [{"name": name, "reason": reason} for name, reason in self.left_out],
            "format": self.source.format,
            "crs": self.source.crs,
            "fields": self.fields,
            "changes": None
            if self.changes is None
            else {name: getattr(self.changes, name) for name in ZoneChanges.__slots__},
            "faults": self.faults.as_json(),
            "serious": self.faults.serious(),
            "refused": self.refusal is not None,
        }


# --- reading ---------------------------------------------------------------------------------------------------------


def read(source: Source, boundary: BaseGeometry | None = None) -> Layer:
    """The layer of the file, which must have something in `boundary`.

    Raises InvalidInput: unreadable, or a coordinate system that cannot be right, with the one it looks like.
    """
    try:
        layer = read_layer(source.path, crs=source.crs, layer=source.layer)
    except UnreadableLayer as error:
        raise InvalidInput(f"reading.{error.reason}", field="file", **error.values) from error
    if not layer.shapes:
        raise InvalidInput("reading.no_shapes", field="file", path=source.path.name)
    _check_place(layer, boundary)
    return layer


def _check_place(layer: Layer, boundary: BaseGeometry | None) -> None:
    if layer.is_on_earth and _touches(layer, boundary or ITALY):
        return
    guesses = suspected(layer.sample, boundary or ITALY) or suspected(layer.sample)
    likely = [guess for guess in guesses if guess.crs != layer.crs and guess.share >= guesses[0].share / 2]
    if likely:
        others = ", ".join(guess.crs for guess in likely[1:4])
        raise InvalidInput(
            "reading.suspected" if layer.crs else "reading.suspected_undeclared",
            field="crs",
            declared=layer.crs or "-",
            crs=likely[0].crs,
            name=likely[0].name,
            others=said("reading.others", others=others) if others else "",
        )
    if not layer.is_on_earth:
        raise InvalidInput("reading.not_on_earth", field="crs", declared=layer.crs or "-")
    if boundary is not None:
        raise InvalidInput("importing.nothing_inside", field="file")


def _touches(layer: Layer, place: BaseGeometry) -> bool:
    shapely.prepare(place)
    return bool(shapely.intersects(place, np.array(layer.shapes, dtype=object)).any())


def find_field(
    features: Sequence[Feature], wanted: str | None, candidates: Sequence[str], *, unique: bool
) -> str | None:
    """The property to read: the one asked for, else the first likely one that every feature has and that tells them
    apart (all of them, if `unique`; else most of them, or better than the others).

    Raises InvalidInput for one that is not there, with those that are.
    """
    names = list(dict.fromkeys(name for feature in features for name in feature.properties))
    if wanted is not None:
        if wanted not in names:
            raise InvalidInput("importing.no_field", field="fields", value=wanted, known=", ".join(names) or "-")
        return wanted
    by_lower = {name.lower(): name for name in reversed(names)}
    found: dict[str, float] = {}
    for name in (by_lower[candidate] for candidate in candidates if candidate in by_lower):
        values = [words(feature.properties.get(name)) for feature in features]
        if all(values):
            found[name] = len(set(values)) / len(values)
    enough = 1.0 if unique else TELLING
    telling = [name for name, share in found.items() if share >= enough]
    if telling or unique or not found:
        return next(iter(telling), None)
    return max(found, key=lambda name: found[name])


def words(value: Any) -> str:
    """A property as text: numbers without a useless fraction, spaces tidied, "" for nothing."""
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return re.sub(r"\s+", " ", str(value)).strip()


# --- municipalities --------------------------------------------------------------------------------------------------


def import_municipalities(source: Source, *, istat_field: str | None = None, only: Sequence[str] = ()) -> Imported:
    """Make a municipality of every area in the file, or give known ones (by ISTAT code or name) their boundary.

    Raises InvalidInput.
    """
    layer = read(source)
    name_field = find_field(layer.features, source.name_field, NAME_FIELDS, unique=False)
    istat = find_field(layer.features, istat_field, ISTAT_FIELDS, unique=True)
    if name_field is None:
        raise InvalidInput("importing.no_name_field", field="fields", known=", ".join(layer.features[0].properties))
    wanted = {territory.slug_of(name) for name in only}
    features = [
        feature
        for feature in layer.features
        if not wanted or territory.slug_of(words(feature.properties.get(name_field)) or "-x") in wanted
    ]
    if not features:
        raise InvalidInput("importing.none_of_them", field="only", value=", ".join(only))
    with provincial() as session:
        return _keep_municipalities(session, layer, features, name_field, istat)


def _keep_municipalities(
    session: WriteSession, layer: Layer, features: Sequence[Feature], name_field: str, istat_field: str | None
) -> Imported:
    areas = []
    for feature in features:
        name = words(feature.properties.get(name_field)) or f"{feature.number}"
        areas.append(Area(istat_code(feature, istat_field), name, feature.shape))
    neighbours = _hosted(session, {area.code for area in areas}, {territory.slug_of(area.name) for area in areas})
    faults = _with_neighbours(check(areas), areas, neighbours)
    done = Imported(layer, {"name": name_field, "istat_code": istat_field}, faults)
    for area, shape in zip(areas, faults.shapes, strict=False):
        if shape is None:
            done.left_out.append((area.name, said("importing.no_area")))
            continue
        municipality = _known(session, area)
        if municipality is None:
            municipality = territory.create_municipality(
                session,
                MunicipalityFields(name=area.name, slug=_free_slug(session, area), istat_code=area.code or None),
            )
        territory.put_boundary(session, municipality, shape)
        done.names.append(area.name)
    return done


def _with_neighbours(faults: Faults, areas: Sequence[Area], neighbours: Sequence[Area]) -> Faults:
    """The faults of the file, and where its areas reach into municipalities that are here already."""
    if not neighbours:
        return faults
    both = check([*areas, *neighbours])
    overlaps = [overlap for overlap in both.overlaps if overlap.one < len(areas)]
    return replace(faults, names=both.names, overlaps=overlaps)


def istat_code(feature: Feature, name: str | None) -> str:
    """The ISTAT code in the property `name`, with its leading zeros; "" where there is none."""
    code = words(feature.properties.get(name)) if name else ""
    return code.zfill(6) if code.isdigit() else code


def _known(session: ReadSession, area: Area) -> Municipality | None:
    if area.code:
        known = session.scalar(select(Municipality).where(Municipality.istat_code == area.code))
        if known is not None:
            return known
    same = session.scalar(select(Municipality).where(Municipality.slug == territory.slug_of(area.name)))
    return same if same is not None and same.istat_code in {None, area.code or None} and same.id != PROVINCE else None


def _free_slug(session: ReadSession, area: Area) -> str:
    """The slug of the name; with the ISTAT code where another municipality has the same name."""
    slug = territory.slug_of(area.name)
    taken = session.scalar(select(Municipality.id).where(Municipality.slug == slug)) is not None
    return territory.slug_of(f"{slug}-{area.code or 'bis'}") if taken else slug


def _hosted(session: ReadSession, istat_codes: set[str], slugs: set[str]) -> list[Area]:
    """The municipalities that are here already and not in the file."""
    rows = session.scalars(select(Municipality).where(Municipality.boundary.is_not(None)))
    return [
        Area(row.istat_code or "", row.name, to_shape(row.boundary))
        for row in rows
        if row.boundary is not None
        and row.slug not in slugs
        and (row.istat_code is None or row.istat_code not in istat_codes)
    ]


# --- zones -----------------------------------------------------------------------------------------------------------


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
    return territory.put_layer(
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
