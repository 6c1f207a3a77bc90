"""Anybody's errand: where is this address, and what is the address here?"""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request, Response

from api.problems import language_of
from api.schemas.address import AddressAtOut, AddressesOut
from api.schemas.base import Slug
from city.database import public
from city.errors import InvalidInput, Unavailable
from city.failures import told
from city.outside.address_finder import OutsideAddress, finder
from city.registry import view
from city.registry.addresses import finding
from city.registry.addresses.finding import LARGEST_LIST
from city.registry.addresses.street_names import LONGEST_QUERY
from city.registry.municipality import MunicipalityView, Registry
from city.reports.checks import checked, cleaned
from geo.place import Place
from geo.points import bounds_of

OUTSIDE_SCORE: Final = 0.5
"""What an outside answer is worth: it says nothing of how sure it is."""

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1/addresses", tags=["addresses"])

Lon = Annotated[float | None, Query(allow_inf_nan=False)]
Lat = Annotated[float | None, Query(allow_inf_nan=False)]


@router.get("", response_model=AddressesOut)
def find_addresses(
    request: Request,
    q: Annotated[str, Query(max_length=LONGEST_QUERY, description="Street and number as people type them.")],
    municipality: Annotated[Slug | None, Query()] = None,
    lon: Lon = None,
    lat: Lat = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_LIST)] = 5,
) -> Response:
    """Candidates for a typed address, the likeliest first; near `lon`, `lat` before elsewhere. Slips are forgiven."""
    words = cleaned(q, field="q", longest=LONGEST_QUERY)
    if words is None:
        raise InvalidInput("addresses.no_words", field="q")
    near = _place(lon, lat)
    with public() as session:
        registry = view.fresh(session)
        chosen = registry.municipality(municipality) if municipality else None
        found = finding.search(session, registry, words, municipality=chosen, near=near, limit=limit)
    listed = [answer.as_json() | {"score": answer.score, "source": "register"} for answer in found]
    return _json({"addresses": listed or _outside(registry, words, chosen, limit, language_of(request))})


@router.get("/nearest", response_model=AddressAtOut)
def nearest_address(
    lon: Annotated[float, Query(allow_inf_nan=False)], lat: Annotated[float, Query(allow_inf_nan=False)]
) -> Response:
    """The house number nearest to a place, or the street whose line is, and how far; null where none is near."""
    place = checked(Place(lon, lat))
    with public() as session:
        municipality = view.fresh(session).at(place)
        found = finding.nearest(session, municipality, place)
    named = {"slug": municipality.slug, "name": municipality.name}
    return _json(
        {"municipality": named, "address": found.as_json() | {"metres": found.metres} if found is not None else None}
    )


def _place(lon: float | None, lat: float | None) -> Place | None:
    """Raises InvalidInput for half a place."""
    if lon is None and lat is None:
        return None
    if lon is None or lat is None:
        raise InvalidInput("addresses.half_place", field="lon" if lon is None else "lat")
    return checked(Place(lon, lat))


def _outside(
    registry: Registry, words: str, chosen: MunicipalityView | None, limit: int, language: str
) -> list[dict[str, Any]]:
    """What the outside geocoder knows of our territory, where the operator has named one. Its trouble is not told."""
    bounds = bounds_of(registry.boundaries, [chosen.id] if chosen else None)
    if bounds is None:
        return []
    try:
        found = finder().find(words, bounds, limit, language)
    except Unavailable as error:
        log.warning("the outside geocoder: %s", told(error))
        return []
    return [answer for address in found if (answer := _from_outside(registry, address, chosen)) is not None]


def _from_outside(
    registry: Registry, address: OutsideAddress, chosen: MunicipalityView | None
) -> dict[str, Any] | None:
    """None where it is not in our territory."""
    held = registry.boundaries.holding(address.place)
    if not held or (chosen is not None and chosen.id not in held):
        return None
    there = chosen or registry.municipalities[held[0]]
    return {
        "label": address.label,
        "street": address.street,
        "number": address.number,
        "postcode": address.postcode,
        "locality": None,
        "municipality": {"slug": there.slug, "name": there.name},
        "place": {"lon": address.place.lon, "lat": address.place.lat},
        "precision": "number" if address.number else "street",
        "score": OUTSIDE_SCORE,
        "source": "outside",
    }


def _json(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), headers={"Cache-Control": "no-cache"}, media_type="application/json")
