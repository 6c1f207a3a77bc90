"""The shapes of addresses going out."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from api.schemas.base import MunicipalityOut, PlaceOut


class AddressOut(BaseModel):
    """An address and where it is."""

    label: str
    street: str | None
    number: str | None
    """As the plate says it, with its suffix: `12/A`."""
    postcode: str | None
    locality: str | None
    municipality: MunicipalityOut
    place: PlaceOut
    precision: Literal["number", "near_number", "street"]
    """The very number; one on the same side a few doors away; or only the street."""


class AddressFound(AddressOut):
    """A candidate for what was typed, and how well it answers: 0 to 1."""

    score: float
    source: Literal["register", "outside"]
    """The municipality's register, or the outside geocoder, which is asked only where the register knows nothing."""


class AddressesOut(BaseModel):
    """The candidates, the likeliest first."""

    addresses: list[AddressFound]


class AddressAt(AddressOut):
    """The address of a place, and how far it is."""

    metres: float


class AddressAtOut(BaseModel):
    """The address nearest to a place; null where none is near enough to name it."""

    municipality: MunicipalityOut
    address: AddressAt | None
