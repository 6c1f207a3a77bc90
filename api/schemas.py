"""The shapes of what comes in and goes out. Body models are strict and refuse fields they do not know."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.search_schemas import Searched
from city.errors import InvalidInput
from city.registry.sign_in.citizen_tables import Citizen
from city.registry.sign_in.fiscal_codes import LONGEST, checked
from city.registry.working_time import CALENDAR_DAYS, Unit
from city.reports.checks import LONGEST_ADDRESS, LONGEST_TEXT
from city.reports.judging import Contact, Submission
from city.reports.lifecycle import State
from city.reports.photos import IncomingPhoto
from geo.place import Place

_EMAIL: Final = re.compile(r"[^@\s<>\",;:\\()\[\]]{1,64}@[^@\s<>\",;:\\()\[\]]+\.[^@\s<>\",;:\\()\[\].]{2,63}")


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


class HolderMoveIn(Strict):
    """What the reporter may do: withdraw, or reopen with a reason."""

    to: Literal["withdrawn", "reopened"]
    reason: Words | None = None


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


class PublicTimelineEntry(BaseModel):
    """What everyone may know of what happened."""

    at: datetime
    what: str
    actor: Literal["citizen", "contractor", "outside", "staff", "system"]
    from_state: State | None
    to_state: State | None
    note: str | None


class PublicReport(BaseModel):
    """A report as everyone sees it."""

    number: str
    state: State
    is_open: bool
    place: PlaceOut
    municipality: str
    category: str
    group: str
    department: str
    handed_to: Named | None
    description: str | None
    people: int
    photos: list[UUID]
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    promised_at: datetime | None


class PublicReportWithTimeline(PublicReport):
    """A report as everyone sees it, with what happened."""

    timeline: list[PublicTimelineEntry]


class PublicPage(BaseModel):
    """A page of public reports; follow `next` as `cursor` until it is null."""

    reports: list[PublicReport]
    next: str | None
    searched: Searched | None = None
    """How `q` was understood; only where there is one."""


class PointOut(BaseModel):
    """A GeoJSON Point."""

    type: Literal["Point"]
    coordinates: list[float]


class PublicFeature(BaseModel):
    """A report as a GeoJSON Feature."""

    type: Literal["Feature"]
    id: str
    geometry: PointOut
    properties: dict[str, Any]


class PublicFeatures(BaseModel):
    """A page of public reports as a GeoJSON FeatureCollection."""

    type: Literal["FeatureCollection"]
    features: list[PublicFeature]
    next: str | None
    searched: Searched | None = None
    """How `q` was understood; only where there is one."""


class AskedQuestion(BaseModel):
    """A question to the reporter, and what came of it."""

    id: int
    text: str
    state: Literal["open", "answered", "expired", "withdrawn"]
    asked_at: datetime
    due_at: datetime
    answer: str | None
    answered_by: Literal["citizen", "staff"] | None
    ended_at: datetime | None


class GivenFeedback(BaseModel):
    """What the reporter thinks of how it was dealt with, 1 to 5; `is_solved` null: did not say."""

    rating: int
    text: str | None
    is_solved: bool | None
    given_at: datetime


class JoinedTo(BaseModel):
    """The report that another one hangs on as a duplicate."""

    number: str
    state: State


class MessagesOut(BaseModel):
    """How a reporter is written to about a report.

    `is_muted`: not at all, but for the receipt and the outcome. `rhythm` `daily`: in one message a day, in the morning.
    Nothing is sent from `quiet_from` to `quiet_until`, by the municipality's clock.
    """

    is_muted: bool
    language: Literal["it", "en"]
    rhythm: Literal["at_once", "daily"]
    quiet_from: str | None
    quiet_until: str | None


class HolderReport(BaseModel):
    """A report as its reporter sees it; `people` have reported the same trouble."""

    id: UUID
    number: str
    state: State
    master: JoinedTo | None
    people: int
    is_open: bool
    place: PlaceOut
    municipality: MunicipalityOut
    category: str
    category_name: Named
    department: str
    department_name: Named
    handed_to: Named | None
    description: str
    address: str | None
    address_source: AddressSource | None
    photos: list[UUID]
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    promised_at: datetime | None
    timeline: list[PublicTimelineEntry]
    moves: list[State]
    reopen_until: datetime | None
    may_rate: bool
    feedback: GivenFeedback | None
    questions: list[AskedQuestion]
    messages: MessagesOut | None
    """Null where nobody is written to."""


class QuestionChoice(BaseModel):
    """One possible answer."""

    value: str
    it: str
    en: str


class QuestionOut(BaseModel):
    """A question of a category."""

    key: str
    it: str
    en: str
    choices: list[QuestionChoice] = Field(default_factory=list)


class DeadlineSpan(Strict):
    """How much time there is to solve something: days count from the day after and end at midnight; working hours are
    office hours, to the minute.
    """

    amount: Annotated[int, Field(ge=1, le=3650)]
    unit: Unit = CALENDAR_DAYS


class CategoryListed(BaseModel):
    """A category one may choose."""

    slug: str
    group: str
    name: Named
    is_public: bool
    deadline: DeadlineSpan
    questions: list[QuestionOut]


class GroupListed(BaseModel):
    """A group of categories."""

    slug: str
    name: Named
    icon: str
    colour: str


class CategoriesOut(BaseModel):
    """The categories of a municipality."""

    municipality: MunicipalityOut
    accepts_anonymous: bool
    groups: list[GroupListed]
    categories: list[CategoryListed]


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
