"""The shapes of what is done to many reports at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.base import Id, Slug, Strict, Words
from api.schemas.desk import ConditionsIn, PersonId
from city.records.worklists import Order
from city.reports import stacks
from city.reports.lifecycle import State
from city.reports.mentions import Unknown


class MoveMany(Strict):
    """Take the same step; the reason is read by the reporters, the internal note is not."""

    do: Literal["move"]
    to: Annotated[State, Field(strict=False)]
    reason: Words | None = None
    internal_note: Words | None = None


class AssignMany(Strict):
    """Give them to a colleague, or (null) to nobody."""

    do: Literal["person"]
    person: PersonId | None


class CrewMany(Strict):
    """Give them to a crew, or (null) take them back."""

    do: Literal["crew"]
    crew: Slug | None


class DepartmentMany(Strict):
    """Pass them to another department; the reason is read by the reporters."""

    do: Literal["department"]
    department: Slug
    reason: Words


class CategoryMany(Strict):
    """Correct their category."""

    do: Literal["category"]
    category: Slug
    note: Words | None = None


class NoteMany(Strict):
    """Write the same internal note; it may name colleagues with @."""

    do: Literal["note"]
    text: Words
    unknown_mentions: Annotated[Unknown, Field(strict=False)] = Unknown.REFUSE


class WatchMany(Strict):
    """Watch them, or stop watching."""

    do: Literal["watch"]
    watch: bool


class StackedIn(Strict):
    """A report, and the version of it that was read; without one, in a preview, as it is now."""

    id: Id
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None


class SelectionIn(Strict):
    """The first 500 reports of a list, in its order: what fits the conditions, and the kept list if one is named."""

    conditions: ConditionsIn = Field(default_factory=ConditionsIn)
    filter: PersonId | None = None
    order: Annotated[Order, Field(strict=False)] = Order.NEWEST


class BulkIn(Strict):
    """What is to be done, and to which reports: those named, or in a preview those that a list holds."""

    preview: bool = False
    action: Annotated[
        MoveMany | AssignMany | CrewMany | DepartmentMany | CategoryMany | NoteMany | WatchMany,
        Field(discriminator="do"),
    ]
    reports: Annotated[list[StackedIn], Field(min_length=1, max_length=stacks.MOST)] | None = None
    selection: SelectionIn | None = None
    selection_token: Annotated[str, StringConstraints(max_length=100)] | None = None
    client_reference: Id | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if self.reports and len({one.id for one in self.reports}) < len(self.reports):
            raise PydanticCustomError("each_once", "a report is named twice")
        return self

    @property
    def what(self) -> stacks.Action:
        """The action, as the stacks take it."""
        given = self.action.model_dump(mode="json")
        return stacks.Action(given.pop("do"), given)


class Stacked(BaseModel):
    """A report, and its version."""

    id: UUID
    version: int


class StackedChange(Stacked):
    """A report that is changed: from version `read` to `version`, and which fields from what to what."""

    number: str
    read: int
    changes: dict[str, list[Any]]


class StackedAsItWas(Stacked):
    """A report that already is as it was to become."""

    number: str


class StackedRefusal(BaseModel):
    """A report with which it cannot be done, and why."""

    id: UUID
    number: str | None
    why: str
    field: str | None


class ColleagueTold(BaseModel):
    """A colleague who is written to, and for what."""

    id: int
    name: str
    why: list[str]


class Told(BaseModel):
    """Who is written to: letters to how many reporters, which colleagues, and how many others."""

    letters: int
    reporters: int
    colleagues: list[ColleagueTold]
    others: int


class BulkOut(BaseModel):
    """What would come of it, or what came of it.

    `selected` is how many the selection holds (1001: more than a thousand). Of a preview, `reports` and
    `selection_token` are what doing it must send back.
    """

    preview: bool
    selected: int
    changed: list[StackedChange]
    unchanged: list[StackedAsItWas]
    refused: list[StackedRefusal]
    told: Told
    reports: list[Stacked] | None = None
    selection_token: str | None = None
