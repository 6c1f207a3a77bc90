"""The shapes of the desk's talk with reporters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from api.schemas import AskedQuestion, Strict, Words
from city.reports.questions import LONGEST

Days = Annotated[int, Field(ge=1, le=365)]
AnswerDays = Annotated[int, Field(ge=1, le=60)]


class QuestionIn(Strict):
    """What the reporter is asked, and how many days there are for the answer (null: as usual here)."""

    text: Annotated[str, StringConstraints(max_length=LONGEST)]
    days: AnswerDays | None = None


class AnswerDownIn(Strict):
    """What the reporter said by telephone or at the counter."""

    text: Words


class DeskQuestion(AskedQuestion):
    """A question as the desk knows it."""

    person_id: int | None
    reminded_at: datetime | None


class DeskQuestions(BaseModel):
    """The questions of a report, the oldest first."""

    questions: list[DeskQuestion]


class TermsIn(Strict):
    """The municipality's own days; null: as the province has it."""

    reopening_days: Days | None
    closing_days: Days | None
    answer_days: AnswerDays | None


class OwnTerms(BaseModel):
    """What the municipality has set itself."""

    reopening_days: int | None
    closing_days: int | None
    answer_days: int | None


class TermsOut(BaseModel):
    """In how many calendar days a report can be reopened, is closed once solved, and a question is to be answered."""

    reopening_days: int
    closing_days: int
    answer_days: int
    own: OwnTerms
