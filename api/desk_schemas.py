"""The shapes of the desk: what staff send when they change a report, and what they see of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas import (
    AddressSource,
    Id,
    Named,
    PlaceOut,
    PublicTimelineEntry,
    Slug,
    Strict,
    SuggestedCategory,
    Words,
    ZoneOut,
)
from city.reports.lifecycle import State


class MoveIn(Strict):
    """A step in the report's life."""

    to: Annotated[State, Field(strict=False)]
    reason: Words | None = None
    internal_note: Words | None = None


class UpdateIn(Strict):
    """Something said about a report."""

    text: Words
    is_public: bool = False


class CategoryIn(Strict):
    """The right category."""

    category: Slug
    note: Words | None = None


class DepartmentIn(Strict):
    """The right department, and why."""

    department: Slug
    reason: Words


class CrewIn(Strict):
    """A crew, or null to take the report back."""

    crew: Slug | None


class PersonIn(Strict):
    """Who at the desk looks after the report, by the id that `/desk/people` gives; null: nobody any more."""

    person: Annotated[int, Field(ge=1, le=2**31 - 1)] | None


class MasterIn(Strict):
    """The report of which this one is a duplicate."""

    master: Id


class SplitIn(Strict):
    """Why a duplicate is none."""

    reason: Words | None = None


class ReleaseIn(Strict):
    """What everyone may read and see."""

    public_description: Words | None
    photos: list[Id] | None = None


class StaffTimelineEntry(PublicTimelineEntry):
    """What staff know of what happened."""

    is_public: bool
    person: str | None
    details: dict[str, Any]


class DeskReport(BaseModel):
    """A report in a worklist."""

    id: UUID
    number: str
    version: int
    state: State
    is_open: bool
    is_late: bool
    is_emergency: bool
    is_public: bool
    category: str
    group: str
    decided_by: str
    confidence: float | None
    triage_reason: str | None
    department: str
    crew: str | None
    place: PlaceOut
    address: str | None
    address_source: AddressSource | None
    description: str
    language: str
    source: str
    master: UUID | None
    duplicates: int
    photo_count: int
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    promised_at: datetime | None
    paused_at: datetime | None
    person_id: int | None
    person: str | None
    people: int
    parent: UUID | None
    escalation: int
    rating: int | None


class DeskPage(BaseModel):
    """A page of a worklist."""

    reports: list[DeskReport]
    next: str | None


class ReporterOut(BaseModel):
    """Who reported."""

    email: str | None
    name: str | None
    phone: str | None
    language: str


class DeskPhoto(BaseModel):
    """A photo of a report."""

    id: UUID
    state: Literal["received", "ready", "failed"]
    width: int
    height: int
    taken_at: datetime | None
    metres_away: float | None
    is_far: bool
    is_public: bool


class DeliveryOut(BaseModel):
    """A message and its fate."""

    kind: str
    channel: str
    subject: str
    state: Literal["queued", "sent", "refused", "dropped"]
    attempts: int
    problem: str | None
    created_at: datetime
    sent_at: datetime | None


class NearReport(BaseModel):
    """A report nearby that may be the same trouble, open or solved lately, most likely first.

    `days` says how long before it was made (negative: after), `likeness` how alike the words are, `score` how likely it
    is the same trouble (both from 0 to 1), and `why` says so in words.
    """

    id: UUID
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


class GroupMember(BaseModel):
    """A report of the same trouble."""

    id: UUID
    number: str
    state: State
    created_at: datetime


class Together(BaseModel):
    """The reports of the same trouble: the master that this one hangs on, and the duplicates that hang on it."""

    master: GroupMember | None
    duplicates: list[GroupMember]


class DeskReportFull(DeskReport):
    """Everything about a report; `reporter` only for those whose right includes it."""

    public_description: str | None
    answers: dict[str, Any]
    suggestions: list[SuggestedCategory]
    routing: dict[str, Any]
    zones: list[ZoneOut]
    occurred_at: datetime | None
    timeline: list[StaffTimelineEntry]
    photos: list[DeskPhoto]
    deliveries: list[DeliveryOut]
    near_duplicates: list[NearReport]
    together: Together
    moves: list[State]
    reporter: ReporterOut | None = None


class ColleagueOut(BaseModel):
    """Somebody of the staff: `handle` is what a note says after the @."""

    id: int
    name: str
    handle: str
    roles: list[str]
    departments: list[str]
    crews: list[str]
    looks_after_all: bool
    """Whether reports of any department may be given to them."""


class ColleaguesOut(BaseModel):
    """The colleagues of a municipality."""

    people: list[ColleagueOut]
