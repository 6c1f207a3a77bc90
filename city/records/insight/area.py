"""The piece of ground that somebody asks about: a zone of a municipality, or a circle."""

from __future__ import annotations

from typing import Final

from shapely.geometry.base import BaseGeometry

from city.errors import InvalidInput
from city.registry.municipality import MunicipalityView
from city.reports.checks import checked
from geo.covers import circle
from geo.place import Place

MOST_METRES: Final = 20_000


def area_of(
    municipality: MunicipalityView | None,
    *,
    zone: str | None = None,
    place: tuple[float | None, float | None] = (None, None),
    metres: float | None = None,
) -> BaseGeometry | None:
    """The shape of a zone, given as `layer/code`, or of a circle around `place` (lon, lat); None where neither is.

    Raises InvalidInput.
    """
    lon, lat = place
    if zone is None and metres is None and lon is None and lat is None:
        return None
    if zone is not None:
        if metres is not None or lon is not None or lat is not None:
            raise InvalidInput("area.one_of", field="zone")
        if municipality is None:
            raise InvalidInput("area.whose_zone", field="municipality")
        return _zone(municipality, zone)
    if lon is None or lat is None or metres is None or not 1 <= metres <= MOST_METRES:
        raise InvalidInput("area.circle", field="metres", most=MOST_METRES)
    return circle(checked(Place(lon, lat)), metres)


def _zone(municipality: MunicipalityView, name: str) -> BaseGeometry:
    zone = municipality.zone_in_force(name, municipality.today())
    area = municipality.index.area(zone.id) if zone is not None else None
    if area is None:
        raise InvalidInput("subscriptions.no_zone", field="zone", value=name)
    return area
