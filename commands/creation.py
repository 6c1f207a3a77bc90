"""Make a municipality: its boundary from a file, or drawn around the places of reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from geoalchemy2.shape import to_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from city.database import PROVINCE, ReadSession, provincial
from city.errors import Conflict, InvalidInput
from city.registry import territory
from city.registry.tables import Municipality
from city.registry.territory import MunicipalityFields
from city.reports.rules import missing_departments
from commands.layers import ISTAT_FIELDS, NAME_FIELDS, Source, find_field, istat_code, read, words
from commands.report_import import columns_of
from commands.report_rows import RowFile
from commands.report_submissions import places_in
from geo.faults import repaired, square_metres
from geo.hulls import hull_around, without


def boundary_in(source: Source, name: str, *, dissolve: bool) -> tuple[BaseGeometry, str | None]:
    """The boundary in the file and its ISTAT code: the only one, the one called `name`, or all as one (`dissolve`).

    Raises InvalidInput.
    """
    layer = read(source)
    found = layer.features
    if dissolve:
        parts = [area for shape in layer.shapes if (area := repaired(shape)) is not None]
        whole = repaired(shapely.union_all(np.array(parts, dtype=object))) if parts else None
        if whole is None:
            raise InvalidInput("territory.no_area", field="boundary", value=name)
        return whole, None
    if len(found) > 1:
        name_field = find_field(found, None, NAME_FIELDS, unique=False)
        wanted = territory.slug_of(name)
        found = [
            feature
            for feature in found
            if name_field and territory.slug_of(words(feature.properties.get(name_field)) or "-x") == wanted
        ]
    if len(found) != 1 or found[0].shape is None:
        raise InvalidInput("creating.which_boundary", field="boundary", count=len(layer.features), name=name)
    shape = repaired(found[0].shape)
    if shape is None:
        raise InvalidInput("territory.no_area", field="boundary", value=name)
    return shape, istat_code(found[0], find_field(found, None, ISTAT_FIELDS, unique=True)) or None


def hull_of(rows: RowFile, columns: str | None, margin_metres: float) -> BaseGeometry:
    """The ground around the places of the rows. Raises InvalidInput."""
    places = places_in(rows, columns_of(rows, columns))
    if not places:
        raise InvalidInput("creating.no_places", field="around")
    return hull_around(places, margin_metres)


def create(fields: MunicipalityFields, shape: BaseGeometry, *, may_cut: bool) -> dict[str, Any]:
    """Make the municipality; with `may_cut` it gets what of `shape` nobody has yet. What was made, as JSON values.

    Raises Conflict where the slug is taken or nothing is left.
    """
    with provincial() as session:
        slug = fields.slug or territory.slug_of(fields.name)
        if session.scalar(select(Municipality.id).where(Municipality.slug == slug)) is not None:
            raise Conflict("creating.there_already", field="slug", value=slug)
        others = _others(session)
        own = without(shape, [area for _, area in others]) if may_cut else shape
        if own.is_empty:
            raise Conflict("creating.nothing_left", field="around")
        made = territory.create_municipality(session, fields)
        territory.put_boundary(session, made, own)
        overlaps = {} if may_cut else {name: square_metres(shapely.intersection(shape, area)) for name, area in others}
        return {
            "slug": made.slug,
            "name": made.name,
            "prefix": made.prefix,
            "istat_code": made.istat_code,
            "square_kilometres": round(square_metres(own) / 1e6, 2),
            "parts": len(shapely.get_parts(own)),
            "fallback": territory.FRONT_DESK.slug,
            "overlaps": {name: round(m2) for name, m2 in overlaps.items() if m2 > 1},
            "missing_departments": missing_departments(session, made),
        }


def _others(session: ReadSession) -> list[tuple[str, BaseGeometry]]:
    rows = session.scalars(select(Municipality).where(Municipality.boundary.is_not(None), Municipality.id != PROVINCE))
    return [(row.name, to_shape(row.boundary)) for row in rows if row.boundary is not None]
