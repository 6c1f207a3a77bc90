"""The shapes of notices: as staff write them, and as everybody reads them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.schemas.base import Line, Named, PlaceOut, Slug, Strict, Words
from city.messages.notices.area import MOST_PARTS, Area, DrawnPart, StreetPart
from city.messages.notices.handling import LONGEST_TITLE, NoticeFields

Kind = Literal["works", "closure", "waste_strike", "weather_warning", "water_outage", "power_outage", "other"]
NoticeState = Literal["draft", "scheduled", "published", "ended", "withdrawn"]
PublicState = Literal["published", "ended", "withdrawn"]
House = Annotated[int, Field(ge=1, le=99_999)]


def _in_our_times(moment: datetime) -> datetime:
    if not 1 < moment.year < 9999:  # noqa: PLR2004
        raise PydanticCustomError("datetime_parsing", "no date")
    return moment


WallMoment = Annotated[datetime, Field(strict=False), AfterValidator(_in_our_times)]
"""A moment; without an offset it is the municipality's clock that says it."""
Day = Annotated[date, Field(strict=False)]


class TitleIn(Strict):
    """A title in both languages, one of which may be missing."""

    it: Annotated[Line, StringConstraints(max_length=LONGEST_TITLE)] | None = None
    en: Annotated[Line, StringConstraints(max_length=LONGEST_TITLE)] | None = None


class TextIn(Strict):
    """A text in both languages, one of which may be missing."""

    it: Words | None = None
    en: Words | None = None


class DrawnIn(Strict):
    """A drawn part: a GeoJSON polygon, or a line with the width of the strip along it."""

    geometry: Annotated[dict[str, Any], Field(description="GeoJSON Polygon, MultiPolygon, LineString, MultiLineString")]
    width_metres: Annotated[float, Field(strict=False, allow_inf_nan=False)] | None = None


class ZoneIn(Strict):
    """A zone, by its layer and its code there."""

    layer: Slug
    code: Annotated[Line, StringConstraints(min_length=1, max_length=63)]


class StreetIn(Strict):
    """A street of the register: all of it, or the house numbers from `first` to `last`."""

    name: Annotated[Line, StringConstraints(min_length=1, max_length=200)]
    first: House | None = None
    last: House | None = None


class AreaIn(Strict):
    """Where it holds: everywhere, or in all of these together."""

    everywhere: bool = False
    drawn: Annotated[list[DrawnIn], Field(max_length=MOST_PARTS)] = Field(default_factory=list)
    zones: Annotated[list[ZoneIn], Field(max_length=MOST_PARTS)] = Field(default_factory=list)
    streets: Annotated[list[StreetIn], Field(max_length=MOST_PARTS)] = Field(default_factory=list)

    def area(self) -> Area:
        """As the city knows it."""
        return Area(
            everywhere=self.everywhere,
            drawn=[DrawnPart(one.geometry, one.width_metres) for one in self.drawn],
            zones=[(one.layer, one.code) for one in self.zones],
            streets=[StreetPart(one.name, one.first, one.last) for one in self.streets],
        )


class NoticeIn(Strict):
    """A notice, as it should be."""

    kind: Kind
    title: TitleIn
    text: TextIn
    area: AreaIn
    starts_at: WallMoment
    ends_at: WallMoment | None = None
    expected_on: Day | None = None
    publish_at: WallMoment | None = None
    expires_at: WallMoment | None = None
    groups: Annotated[list[Slug], Field(max_length=30)] | None = None
    link: Annotated[Line, StringConstraints(max_length=500, pattern=r"^https?://\S+$")] | None = None
    department: Slug
    is_urgent: bool = False
    applies_to_reports: bool = False

    def fields(self, clock: ZoneInfo) -> NoticeFields:
        """As the city knows it, where `clock` is the municipality's."""

        def aware(moment: datetime | None) -> datetime | None:
            return moment.replace(tzinfo=clock) if moment is not None and moment.tzinfo is None else moment

        return NoticeFields(
            kind=self.kind,
            title_it=self.title.it,
            title_en=self.title.en,
            text_it=self.text.it,
            text_en=self.text.en,
            area=self.area.area(),
            starts_at=aware(self.starts_at) or self.starts_at,
            ends_at=aware(self.ends_at),
            expected_on=self.expected_on,
            publish_at=aware(self.publish_at),
            expires_at=aware(self.expires_at),
            groups=self.groups,
            link=self.link,
            department=self.department,
            is_urgent=self.is_urgent,
            applies_to_reports=self.applies_to_reports,
        )


class NoticeChange(NoticeIn):
    """A notice, as it should be from now on. `tell`: whether everybody who got it is to hear `what_changed`.

    `confirm_urgent`: yes, a scheduled one that becomes urgent is to wake people up.
    """

    tell: bool = False
    what_changed: Words | None = None
    confirm_urgent: bool = False


class PublishIn(Strict):
    """Let it be seen. `confirm_urgent`: yes, wake people up."""

    confirm_urgent: bool = False


class WithdrawIn(Strict):
    """Why it is taken back; of one that nobody has seen yet, nothing need be said."""

    reason: Words | None = None


class PauseIn(Strict):
    """Whether letters that are not sent yet are held back."""

    is_paused: bool


class PublicNotice(BaseModel):
    """A notice as everybody reads it; moments by the municipality's clock."""

    number: str
    municipality: str
    state: PublicState
    is_running: bool
    """Whether it holds just now."""
    kind: Kind
    kind_name: Named
    title: Named
    text: Named
    where: Named
    """In words; empty where it stands on the map only."""
    everywhere: bool
    middle: PlaceOut
    """A place inside its area."""
    groups: list[str] | None
    starts_at: datetime
    ends_at: datetime | None
    expected_on: date | None
    link: str | None
    department: str
    is_urgent: bool
    reason: str | None
    published_at: datetime
    updated_at: datetime
    version: int


class PublicNoticeWithArea(PublicNotice):
    """The same with its area, a GeoJSON MultiPolygon."""

    area: dict[str, Any]


class NoticePage(BaseModel):
    """A page of notices; follow `next` as `cursor` until it is null."""

    notices: list[PublicNotice]
    next: str | None


class DeskNoticeListed(BaseModel):
    """A notice in the staff's list."""

    id: UUID
    number: str
    state: NoticeState
    version: int
    kind: Kind
    title: Named
    department: str
    starts_at: datetime
    ends_at: datetime | None
    publish_at: datetime | None
    published_at: datetime | None
    is_urgent: bool
    updated_at: datetime


class DeskNotice(DeskNoticeListed):
    """A notice as staff write it."""

    text: Named
    area: dict[str, Any]
    shape: dict[str, Any]
    """The ground that comes of it, a GeoJSON MultiPolygon."""
    expected_on: date | None
    expires_at: datetime | None
    groups: list[str] | None
    link: str | None
    applies_to_reports: bool
    reason: str | None
    over_at: datetime | None
    reports: int
    """Reports that have taken its expected day."""


class DeskNoticePage(BaseModel):
    """A page of the staff's list, newest first."""

    notices: list[DeskNoticeListed]
    next: str | None


class LetterPreview(BaseModel):
    """The letter as it would be sent now."""

    language: Literal["it", "en"]
    subject: str
    text: str
    html: str


class NoticePreview(BaseModel):
    """What would come of publishing it now; of the reports, the first hundred numbers."""

    recipients: int
    channels: dict[str, int]
    shape: dict[str, Any]
    letters: list[LetterPreview]
    reports: int
    report_numbers: list[str]


class LettersCounted(BaseModel):
    """Letters by their fate."""

    queued: int
    sent: int
    refused: int
    dropped: int
    bounced: int


class TellingOut(BaseModel):
    """One time that the notice is told to people, and how far it is.

    `waiting` are those that are not due yet (quiet hours, morning mail, a second try); `expected_at` is when the others
    will have left at the rate of the last minute.
    """

    what: Literal["announced", "changed", "withdrawn"]
    words: str | None
    begun_at: datetime
    queued_at: datetime | None
    paused_at: datetime | None
    over_at: datetime | None
    letters: LettersCounted
    left: int
    waiting: int
    per_minute: int
    expected_at: datetime | None
    channels: dict[str, int]


class NoticeProgress(BaseModel):
    """How far the letters of a notice are."""

    tellings: list[TellingOut]
