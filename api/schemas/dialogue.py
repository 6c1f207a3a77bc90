"""The shapes of the desk's talk with reporters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.base import Named, Slug, Strict, Words
from api.schemas.desk import CategoryIn, DepartmentIn, MasterIn, SplitIn
from api.schemas.receipt import AskedQuestion, GivenFeedback
from city.reports.dialogue.questions import LONGEST
from city.reports.dialogue.replies import LONGEST as LONGEST_TEMPLATE
from city.reports.dialogue.replies import TemplateFields
from city.reports.lifecycle import State

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


class MoveTried(Strict):
    """A step in the report's life; `leave_children`: solve it although parts of its work are open."""

    to: Annotated[State, Field(strict=False)]
    reason: Words | None = None
    leave_children: bool = False


class UpdateTried(Strict):
    """Something said to the reporter."""

    text: Words


class PreviewIn(Strict):
    """The change to be tried: exactly one of these."""

    move: MoveTried | None = None
    update: UpdateTried | None = None
    question: QuestionIn | None = None
    category: CategoryIn | None = None
    department: DepartmentIn | None = None
    master: MasterIn | None = None
    split: SplitIn | None = None

    @property
    def chosen(self) -> list[BaseModel]:
        """Those that are given."""
        return [given for name in type(self).model_fields if (given := getattr(self, name)) is not None]


class PreviewedMail(BaseModel):
    """A mail as it would be sent; dots stand for the secret of its link."""

    language: str
    subject: str
    text: str
    html: str


class PreviewOut(BaseModel):
    """What the reporter would get (null: nothing, or no address is known), and how many others would hear of it."""

    mail: PreviewedMail | None
    others: int


class BothIn(Strict):
    """A text in both languages."""

    it: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEMPLATE)]
    en: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEMPLATE)]


class TemplatePut(Strict):
    """A reply template, as it should be; `is_active` false hides the province's of that name."""

    title: BothIn
    text: BothIn
    state: Annotated[State, Field(strict=False)] | None = None
    group: Slug | None = None
    category: Slug | None = None
    is_active: bool = True

    @property
    def fields(self) -> TemplateFields:
        """The same for the city."""
        return TemplateFields(
            title_it=self.title.it,
            title_en=self.title.en,
            text_it=self.text.it,
            text_en=self.text.en,
            state=self.state,
            group=self.group,
            category=self.category,
            is_active=self.is_active,
        )


class TemplateOut(BaseModel):
    """A reply template; `filled` is its text for the report that was named, to be edited before it is sent."""

    slug: str
    title: Named
    state: State | None
    group: str | None
    category: str | None
    text: Named
    is_active: bool
    is_own: bool
    filled: str | None


class TemplatesOut(BaseModel):
    """Reply templates, those that fit best first."""

    templates: list[TemplateOut]


class FeedbackListed(GivenFeedback):
    """What a reporter said, and of which report."""

    id: UUID
    number: str
    state: State
    category: str
    department: str


class FeedbackPage(BaseModel):
    """What reporters said, newest first; follow `next` as `cursor` until it is null."""

    feedback: list[FeedbackListed]
    next: str | None


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
