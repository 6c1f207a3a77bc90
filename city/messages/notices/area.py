"""The area of a notice, as staff describe it: drawn, of zones, of streets, or the whole municipality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Final

import orjson
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from city.database import ReadSession
from city.errors import InvalidInput, TooLarge
from city.messages.drawing import AREAS, LINES, drawn
from city.messages.subscriptions.matching import EVERYWHERE, zone_number
from city.registry.addresses.street_names import words_of
from city.registry.addresses.tables import HouseNumber, Street
from city.registry.municipality import MunicipalityView, Registry
from city.texts import text
from geo.columns import read_shape
from geo.meeting import joined, simplified
from geo.zones import corridor

MOST_PARTS: Final = 50
MOST_CORNERS: Final = 2_000
MOST_KEPT_CORNERS: Final = 5_000
LEAST_WIDTH_METRES, MOST_WIDTH_METRES = 2.0, 2_000.0
STREET_HALF_WIDTH_METRES: Final = 20.0
"""Houses stand beside the line of their street."""


@dataclass(frozen=True, slots=True)
class DrawnPart:
    """A drawn GeoJSON geometry: polygons, or lines with a width in metres."""

    geometry: Mapping[str, Any]
    width_metres: float | None = None


@dataclass(frozen=True, slots=True)
class StreetPart:
    """A street of the register, by its name; all of it, or the house numbers from `first` to `last`."""

    name: str
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Area:
    """Where a notice holds: everywhere, or in all of these together."""

    everywhere: bool = False
    drawn: Sequence[DrawnPart] = ()
    zones: Sequence[tuple[str, str]] = ()
    streets: Sequence[StreetPart] = ()

    def as_json(self) -> dict[str, Any]:
        """As it is kept, and shown to whoever goes on writing."""
        return {
            "everywhere": self.everywhere,
            "drawn": [{"geometry": dict(one.geometry), "width_metres": one.width_metres} for one in self.drawn],
            "zones": [{"layer": layer, "code": code} for layer, code in self.zones],
            "streets": [{"name": one.name, "first": one.first, "last": one.last} for one in self.streets],
        }


def shape_of(session: ReadSession, registry: Registry, municipality: MunicipalityView, area: Area) -> BaseGeometry:
    """The ground of the area, a MultiPolygon in WGS84.

    Raises InvalidInput naming the part that is wrong, or where there is none; TooLarge.
    """
    home = registry.boundaries.area(municipality.id)
    if area.everywhere:
        if home is None:
            raise InvalidInput("notices.no_boundary", field="area")
        return joined([home])
    if len(area.drawn) + len(area.zones) + len(area.streets) > MOST_PARTS:
        raise TooLarge("notices.many_parts", field="area", most=MOST_PARTS)
    parts = [
        *(_drawn(part) for part in area.drawn),
        *(_zone(municipality, f"{layer}/{code}") for layer, code in area.zones),
        *(_street(session, municipality, part) for part in area.streets),
    ]
    whole = simplified(joined(parts), MOST_KEPT_CORNERS)
    if whole.is_empty:
        raise InvalidInput("notices.nowhere", field="area")
    if home is not None and not whole.intersects(home):
        raise InvalidInput("notices.elsewhere", field="area", municipality=municipality.name)
    return whole


def said(municipality: MunicipalityView, area: Area, language: str) -> str:
    """Where it is, for people: zones and streets by their names."""
    say = partial(text, language=language)
    if area.everywhere:
        return say("notices.where.everywhere", municipality=municipality.name)
    zones = [municipality.zone_name(f"{layer}/{code}") for layer, code in area.zones]
    streets = [_stretch_said(part, language) for part in area.streets]
    named = "; ".join([*zones, *streets])
    if not area.drawn:
        return named
    return say("notices.where.drawn_too", named=named) if named else say("notices.where.drawn")


def _stretch_said(part: StreetPart, language: str) -> str:
    first, last = part.first, part.last
    if first is None and last is None:
        return part.name
    how = "onwards" if last is None else "until" if first is None else "house" if first == last else "between"
    return text(f"notices.where.{how}", language=language, street=part.name, first=first, last=last)


def numbers_of(municipality: MunicipalityView, shape: BaseGeometry, zones: Iterable[str], day: date) -> list[int]:
    """The numbers under which subscriptions stand that meet the area for sure: of its zones, and of everything."""
    met = [zone.path for zone in municipality.zones_met(shape, day)]
    return sorted({EVERYWHERE, *(zone_number(path) for path in (*zones, *met))})


def _drawn(part: DrawnPart) -> BaseGeometry:
    geojson = orjson.dumps(part.geometry).decode()
    shape = drawn(geojson, (*AREAS, *LINES), field="area.drawn", most_corners=MOST_CORNERS)
    if shape.geom_type not in LINES:
        return shape
    width = part.width_metres or 0.0
    if not LEAST_WIDTH_METRES <= width <= MOST_WIDTH_METRES:
        raise InvalidInput(
            "notices.width", field="area.drawn", least=int(LEAST_WIDTH_METRES), most=int(MOST_WIDTH_METRES)
        )
    return corridor(shape, width / 2)


def _zone(municipality: MunicipalityView, path: str) -> BaseGeometry:
    zone = municipality.zone_in_force(path, municipality.today())
    area = municipality.index.area(zone.id) if zone is not None else None
    if area is None:
        raise InvalidInput("notices.no_zone", field="area.zones", value=path)
    return area


def _street(session: ReadSession, municipality: MunicipalityView, part: StreetPart) -> BaseGeometry:
    """Around the street's lines, its houses, or both; several streets of one name are all meant."""
    words = " ".join(words_of(part.name))
    streets = session.execute(
        select(Street.id, Street.shape).where(Street.municipality_id == municipality.id, Street.words == words)
    ).all()
    if not streets:
        raise InvalidInput("notices.no_street", field="area.streets", value=part.name)
    found = [_along(session, municipality, street_id, read_shape(shape), part) for street_id, shape in streets]
    whole = joined([one for one in found if one is not None])
    if whole.is_empty:
        raise InvalidInput("notices.no_numbers", field="area.streets", value=part.name)
    return whole


def _along(
    session: ReadSession, municipality: MunicipalityView, street_id: int, line: BaseGeometry | None, part: StreetPart
) -> BaseGeometry | None:
    is_whole = part.first is None and part.last is None
    houses = session.execute(
        select(HouseNumber.lon, HouseNumber.lat)
        .where(
            HouseNumber.municipality_id == municipality.id,
            HouseNumber.street_id == street_id,
            HouseNumber.number >= (part.first or 0),
            HouseNumber.number <= (part.last if part.last is not None else 10**6),
        )
        .order_by(HouseNumber.number % 2, HouseNumber.number, HouseNumber.suffix)
    ).all()
    if is_whole and line is not None:
        return corridor(line, STREET_HALF_WIDTH_METRES)
    if not houses:
        return None
    # The houses, and between them the street's own line; where there is none, whatever lies between.
    points = [(house.lon, house.lat) for house in houses]
    ground = corridor(shapely.MultiPoint(points), STREET_HALF_WIDTH_METRES)
    reach = corridor(shapely.convex_hull(shapely.MultiPoint(points)), STREET_HALF_WIDTH_METRES)
    if line is None:
        return reach
    between = shapely.intersection(line, reach)
    return joined([ground, corridor(between, STREET_HALF_WIDTH_METRES)]) if not between.is_empty else ground
