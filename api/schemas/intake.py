"""A new report: what its reporter says, and what is answered."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.schemas.base import (
    Degrees,
    Id,
    Moment,
    MunicipalityOut,
    Named,
    PlaceOut,
    PointIn,
    Slug,
    Strict,
    Words,
    ZoneOut,
    _one_line,
    a_fiscal_code,
)
from city.registry.sign_in.citizen_tables import Citizen
from city.registry.sign_in.fiscal_codes import LONGEST
from city.reports.checks import LONGEST_ADDRESS
from city.reports.judging import Contact, Submission
from city.reports.lifecycle import State
from city.reports.photos import IncomingPhoto
from geo.place import Place

_EMAIL: Final = re.compile(r"[^@\s<>\",;:\\()\[\]]{1,64}@[^@\s<>\",;:\\()\[\]]+\.[^@\s<>\",;:\\()\[\].]{2,63}")


class ContactIn(Strict):
    """How to reach the reporter."""

    email: Annotated[str, StringConstraints(max_length=254)] | None = None
    name: Annotated[str, StringConstraints(max_length=120)] | None = None
    phone: Annotated[str, StringConstraints(max_length=30, pattern=r"^[+0-9 ()./-]*$")] | None = None
    fiscal_code: Annotated[
        str | None,
        Field(description="To be answered in app IO, where the municipality has `app_io`", max_length=LONGEST),
    ] = None
    app_io: Annotated[
        bool, Field(description="To be answered in app IO, under the fiscal number of the citizen's sign-in")
    ] = False

    @field_validator("email", "name", "phone")
    @classmethod
    def _nothing(cls, value: str | None) -> str | None:
        return _one_line((value or "").strip()) or None

    @field_validator("email")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not _EMAIL.fullmatch(value):
            raise PydanticCustomError("email", "no e-mail address")
        return value

    @field_validator("fiscal_code")
    @classmethod
    def _code(cls, value: str | None) -> str | None:
        return a_fiscal_code(value) if value and value.strip() else None


class PlaceIn(Strict):
    """A place: `lon` and `lat`, or `place` as a GeoJSON Point. Degrees, WGS84."""

    lon: Degrees | None = None
    lat: Degrees | None = None
    place: PointIn | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.place is None and (self.lon is None or self.lat is None):
            raise PydanticCustomError("place_needed", "say where")
        return self

    @property
    def where(self) -> Place:
        """The place."""
        if self.place is not None:
            return Place(self.place.coordinates[0], self.place.coordinates[1])
        return Place(self.lon or 0.0, self.lat or 0.0)


class ReportIn(PlaceIn):
    """A new report."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "lon": 12.9135,
                    "lat": 43.9098,
                    "description": "Lampione spento davanti al civico 12, la sera non si vede niente",
                    "address": "Viale Trieste 12",
                    "contact": {"email": "cittadina@example.org"},
                    "client_reference": "0190a5c4-7e1b-7c5e-8f1a-2b3c4d5e6f70",
                }
            ]
        }
    )

    description: Words
    category: Slug | None = None
    address: Annotated[str, StringConstraints(max_length=LONGEST_ADDRESS)] | None = None
    answers: Annotated[dict[str, str], Field(max_length=50)] = Field(default_factory=dict)
    contact: ContactIn = Field(default_factory=ContactIn)
    client_reference: Id | None = None
    occurred_at: Moment | None = None
    source: Literal["web", "app", "phone", "counter", "email", "api"] = "web"
    language: Literal["it", "en"] | None = None

    @field_validator("description")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise PydanticCustomError("blank", "the description is missing")
        return value

    def submission(self, photos: list[IncomingPhoto], citizen: Citizen | None = None) -> Submission:
        """As the intake takes it; from `citizen`, where one is signed in."""
        contact = self.contact
        return Submission(
            place=self.where,
            description=self.description,
            category=self.category,
            address=self.address,
            answers=self.answers,
            contact=Contact(contact.email, contact.name, contact.phone, contact.fiscal_code, contact.app_io),
            client_reference=self.client_reference,
            occurred_at=self.occurred_at,
            source=self.source,
            language=self.language,
            photos=photos,
            citizen=citizen,
        )


class SuggestionIn(PlaceIn):
    """A text being typed, and where."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"lon": 12.9135, "lat": 43.9098, "text": "cavo scoperto sul lampione"}]}
    )

    text: Words


class SuggestedCategory(BaseModel):
    """A category the classifier thinks of, 0 to 1."""

    category: str
    group: str
    confidence: float


class CategoryOut(BaseModel):
    """The category, how sure, and who decided."""

    slug: str
    group: str
    name: Named
    decided_by: Literal["citizen", "classifier", "staff", "nobody"]
    confidence: float | None
    words: list[str]
    suggestions: list[SuggestedCategory]


class ReasonOut(BaseModel):
    """Why this department: rule, version and the facts used; rule null means the municipality's default."""

    rule: int | None
    version: int | None
    inherited: bool | None
    note: Named | None
    facts: dict[str, Any]
    problem: str | None


class DepartmentOut(BaseModel):
    """The department in charge, and why."""

    slug: str
    name: Named
    kind: Literal["office", "outside"]
    reason: ReasonOut


class EmergencyOut(BaseModel):
    """Words of danger found: call first."""

    words: list[str]
    call: str
    advice: str


class NearDuplicateOut(BaseModel):
    """A public report nearby that is likely the same trouble, open or solved lately.

    `days` says how long before it was made, `likeness` how alike the words are (in quarters), `score` how likely it is
    the same trouble (both from 0 to 1), and `why` says so in words. What the other citizen wrote is not told.
    """

    number: str
    state: State
    category: str
    metres: float
    created_at: datetime
    solved_at: datetime | None
    days: float
    likeness: float
    score: float
    why: Named


class NewPhotoOut(BaseModel):
    """A photo that came with the report; `is_far` when it says it was taken elsewhere."""

    id: UUID
    is_far: bool


class NoticeNamed(BaseModel):
    """A notice of the municipality that is running at the place."""

    number: str
    kind: str
    title: Named
    starts_at: datetime
    ends_at: datetime | None


class LinksOut(BaseModel):
    """Where to go on."""

    self: str
    status: str
    map: str


class ReportCreated(BaseModel):
    """The answer to a new report. Keep the receipt token: it opens the report to its reporter."""

    id: UUID
    number: str
    receipt_token: str
    state: State
    municipality: MunicipalityOut
    zones: list[ZoneOut]
    category: CategoryOut
    department: DepartmentOut
    triage_reason: str | None
    emergency: EmergencyOut | None
    place: PlaceOut
    address: str | None
    """The reporter's own words, or where there are none what the municipality's register says of the place."""
    language: str
    is_public: bool
    created_at: datetime
    deadline_at: datetime
    photos: list[NewPhotoOut]
    near_duplicates: list[NearDuplicateOut]
    notices: list[NoticeNamed]
    links: LinksOut


class SuggestionsOut(BaseModel):
    """What an app asks while the citizen types."""

    municipality: MunicipalityOut
    suggestions: list[SuggestedCategory]
    decided: bool
    language: str
    words: list[str]
    department: DepartmentOut
    near_duplicates: list[NearDuplicateOut]
    notices: list[NoticeNamed]
    emergency: EmergencyOut | None
