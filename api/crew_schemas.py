"""The shapes of what a crew's tablet gets and sends."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from api.schemas import Named, PlaceOut, QuestionOut
from city.reports.lifecycle import State


class CrewOut(BaseModel):
    """A crew."""

    slug: str
    name: str


class JobCategory(BaseModel):
    """What the trouble is."""

    slug: str
    group: str
    name: Named


class JobPhoto(BaseModel):
    """A photo of a job; `links` lead to its copies `large`, `medium`, `small`, to be fetched with the same sign-in."""

    id: UUID
    width: int
    height: int
    taken_at: datetime | None
    metres_away: float | None
    links: dict[str, str]


class JobEntry(BaseModel):
    """An entry of a job's history, public or among colleagues."""

    at: datetime
    what: str
    actor: str
    person: str | None
    from_state: str | None
    to_state: str | None
    note: str | None
    is_public: bool


class Job(BaseModel):
    """A report as a crew needs it where there is no network. `version` is the base of what is done to it there."""

    id: UUID
    number: str
    version: int
    state: State
    is_emergency: bool
    is_late: bool
    category: JobCategory
    questions: list[QuestionOut]
    answers: dict[str, Any]
    department: str
    place: PlaceOut
    address: str | None
    description: str
    language: str
    people: int
    parent: UUID | None
    created_at: datetime
    deadline_at: datetime
    promised_at: datetime | None
    paused_at: datetime | None
    moves: list[State]
    photos: list[JobPhoto]
    timeline: list[JobEntry]


class FieldReason(BaseModel):
    """Why a job cannot be done."""

    slug: str
    name: Named


class FieldMaterial(BaseModel):
    """What may be used up; `group` says for which categories (null: all)."""

    slug: str
    group: str | None
    unit: str
    name: Named


class FieldForm(BaseModel):
    """What the tablet offers to choose from."""

    reasons: list[FieldReason]
    units: list[str]
    materials: list[FieldMaterial]


class DayOut(BaseModel):
    """A crew's jobs in the order to visit them; `more` are left out because they are too many and farther away."""

    crew: CrewOut
    jobs: list[Job]
    more: int
    form: FieldForm
