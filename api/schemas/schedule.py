"""The shapes of report schedules."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.base import Line, Name, Slug, Strict
from city.registry.schedules import MOST, ScheduleFields

Address = Annotated[Line, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class SchedulePut(Strict):
    """Who gets the monthly report by mail, on which day of the following month, and of which reports."""

    name: Name
    day: Annotated[int, Field(ge=1, le=28, description="at seven in the morning there")]
    recipients: Annotated[
        list[Address],
        Field(
            min_length=1,
            max_length=MOST,
            description="who works here gets what they may read; any other address what is public",
        ),
    ]
    department: Annotated[Slug | None, Field(description="only this department's reports")] = None
    group: Annotated[Slug | None, Field(description="only this group of categories")] = None
    language: Annotated[Literal["it", "en"], Field(description="for addresses outside")] = "it"
    is_active: bool = True

    def fields(self) -> ScheduleFields:
        """As the registry takes it."""
        return ScheduleFields(**self.model_dump())


class RecipientOut(BaseModel):
    """An address, and whether its reader gets what staff may read or what is public."""

    address: str
    audience: Literal["public", "staff"]


class LetterOut(BaseModel):
    """What became of one letter."""

    address: str
    state: Literal["queued", "sent", "refused", "dropped", "bounced"]
    attempts: int
    problem: str | None
    sent_at: datetime | None


class ScheduleOut(BaseModel):
    """A schedule, when it is due next, and the last letters."""

    id: int
    name: str
    day: int
    recipients: list[RecipientOut]
    department: str | None
    group: str | None
    language: str
    is_active: bool
    next_on: date | None
    last_month: Annotated[str, Field(description="the last month whose letters were promised", examples=["2026-10"])]
    letters: Annotated[list[LetterOut], Field(description="of that month")]


class TrialOut(BaseModel):
    """A trial that is on its way."""

    month: str
    address: str
