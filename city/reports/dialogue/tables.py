"""The rows of the talk with reporters: reply templates, questions, feedback, and the terms of all that."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class DialogueTerms(Base):
    """How many days reporters and desk have for what; what is not set is as the province has it."""

    __tablename__ = "dialogue_terms"
    __table_args__ = (
        CheckConstraint(
            "reopening_days BETWEEN 1 AND 365 AND closing_days BETWEEN 1 AND 365 AND answer_days BETWEEN 1 AND 60",
            name="days",
        ),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reopening_days: Mapped[int | None] = mapped_column(SmallInteger)
    closing_days: Mapped[int | None] = mapped_column(SmallInteger)
    answer_days: Mapped[int | None] = mapped_column(SmallInteger)


class ReplyTemplate(Base):
    """A text that staff edit before they send it: for a state (or any) and a category, a group, or all."""

    __tablename__ = "reply_template"

    municipality_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slug: Mapped[str] = mapped_column(primary_key=True)
    title_it: Mapped[str]
    title_en: Mapped[str]
    state: Mapped[str | None]
    """Into which the report goes; None: it says something and stays where it is."""
    group_slug: Mapped[str | None]
    category_slug: Mapped[str | None]
    text_it: Mapped[str]
    text_en: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))


class Question(Base):
    """What the desk asks the reporter, and what came of it. Its words stay between the two."""

    __tablename__ = "question"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        CheckConstraint("state IN ('open', 'answered', 'expired', 'withdrawn')", name="state"),
        Index("question_report_index", "municipality_id", "report_id", "id"),
        Index(
            "question_open_unique",
            "municipality_id",
            "report_id",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("question_due_index", "due_at", postgresql_where=text("state = 'open'")),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    report_id: Mapped[UUID]
    words: Mapped[str]
    person_id: Mapped[int | None]
    """Who asked."""
    state: Mapped[str] = mapped_column(server_default="open")
    from_state: Mapped[str]
    """Where the report was, and where it goes back to."""
    triage_reason: Mapped[str | None]
    """Why it was in triage, if it was."""
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    remind_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    reminded_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """When the report goes back to the desk by itself."""
    answer: Mapped[str | None]
    answered_by: Mapped[str | None]
    """`citizen`, or `staff` who wrote down what they were told."""
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Feedback(Base):
    """What the reporter thinks of how the report was dealt with; the words are for the office only."""

    __tablename__ = "feedback"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),
        Index("feedback_given_index", "municipality_id", "given_at"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    rating: Mapped[int] = mapped_column(SmallInteger)
    words: Mapped[str | None]
    is_solved: Mapped[bool | None]
    """Whether the reporter says that it is solved; None: did not say."""
    given_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When it was last said."""
