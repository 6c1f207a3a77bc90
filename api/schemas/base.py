"""What all shapes share: strict bodies, lines and names, places, problems."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from city.errors import InvalidInput
from city.registry.sign_in.fiscal_codes import checked
from city.reports.checks import LONGEST_TEXT


def _one_line(words: str) -> str:
    """`words`, which hold no control character and no line break of any kind, so that no header can hold two."""
    if any(unicodedata.category(letter) in {"Cc", "Zl", "Zp"} for letter in words):
        raise PydanticCustomError("control_characters", "control characters")
    return words


def _in_our_times(moment: datetime) -> datetime:
    """`moment`, which the calendars of both Python and PostgreSQL hold in every zone."""
    if not 1 < moment.year < 9999:  # noqa: PLR2004
        raise PydanticCustomError("datetime_parsing", "no date")
    return moment


def a_fiscal_code(code: str) -> str:
    """`code`, in capitals, which somebody can have."""
    try:
        return checked(code)
    except InvalidInput as error:
        raise PydanticCustomError("fiscal_code", "no fiscal code") from error


Line = Annotated[str, AfterValidator(_one_line)]
Name = Annotated[Line, StringConstraints(min_length=1, max_length=120)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_our_times)]
Words = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Degrees = Annotated[float, Field(allow_inf_nan=False)]
Id = Annotated[UUID, Field(strict=False)]
"""A UUID as JSON has it, a string."""


class Strict(BaseModel):
    """A body: no unknown fields, no silent conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PointIn(Strict):
    """A GeoJSON Point: longitude, latitude; an altitude is ignored."""

    type: Literal["Point"]
    coordinates: Annotated[list[Degrees], Field(min_length=2, max_length=3)]


class NamedIn(Strict):
    """A name to give, in both languages."""

    it: Name
    en: Name


class Named(BaseModel):
    """A name in both languages."""

    it: str
    en: str


AddressSource = Literal["citizen", "register"]
"""Who said a report's address: its reporter, or our register where the reporter did not."""


class PlaceOut(BaseModel):
    """A place in WGS84 degrees."""

    lon: float
    lat: float


class ZoneOut(BaseModel):
    """A zone of a layer."""

    layer: str
    code: str
    name: str


class MunicipalityOut(BaseModel):
    """A hosted municipality."""

    slug: str
    name: str


class PointOut(BaseModel):
    """A GeoJSON Point."""

    type: Literal["Point"]
    coordinates: list[float]


class MunicipalityListed(MunicipalityOut):
    """A hosted municipality; `app_io`: it answers there, whoever gives a fiscal code for that."""

    istat_code: str | None
    accepts_anonymous: bool
    languages: list[str]
    app_io: bool


class Health(BaseModel):
    """Whether this process can work."""

    status: Literal["ok", "down"]
    database: bool
    classifier: bool


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    field: str | None = None
    errors: list[dict[str, str]] | None = None
