"""A report as whoever holds its receipt sees it, and what they may answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    Field,
    StringConstraints,
)

from api.schemas.base import AddressSource, MunicipalityOut, Named, PlaceOut, Strict, Words
from api.schemas.public import PublicTimelineEntry
from api.schemas.subscription import SubscriberPut
from city.reports.dialogue.feedback import HIGHEST, LONGEST, LOWEST
from city.reports.hearing import Manner
from city.reports.lifecycle import State


class HolderMoveIn(Strict):
    """What the reporter may do: withdraw, or reopen with a reason."""

    to: Literal["withdrawn", "reopened"]
    reason: Words | None = None


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


class FeedbackIn(Strict):
    """How it was dealt with, 1 (bad) to 5 (good), and whether it is really solved (null: no word on that)."""

    rating: Annotated[int, Field(ge=LOWEST, le=HIGHEST)]
    text: Annotated[str, StringConstraints(max_length=LONGEST)] | None = None
    is_solved: bool | None = None


class MessagesIn(SubscriberPut):
    """How a reporter wants to be told about a report, or (`is_muted`) no more, but for the outcome."""

    is_muted: bool = False

    def manner(self) -> Manner:
        """As the city knows it."""
        return Manner(self.is_muted, self.language, self.rhythm, self.quiet)


class AnswerIn(Strict):
    """The answer to a question of the desk; without `question` to the one that is open."""

    question: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    text: Words
