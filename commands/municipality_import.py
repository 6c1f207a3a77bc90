"""Import municipalities with their boundaries from a file, or give known ones theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from geoalchemy2.shape import to_shape
from sqlalchemy import select

from city.database import PROVINCE, ReadSession, WriteSession, provincial
from city.errors import InvalidInput
from city.registry import territory
from city.registry.tables import Municipality
from city.registry.territory import MunicipalityFields
from city.texts import said
from commands.layers import ISTAT_FIELDS, NAME_FIELDS, Imported, Source, find_field, istat_code, read, words
from geo.faults import Area, Faults, check
from geo.reading import Feature, Layer


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
