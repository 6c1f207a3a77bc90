"""The rows of the desk beside the reports: who watches, who was named, whose lists, what was done to many at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, Identity, Index, LargeBinary, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base

_OF_REPORT = (["municipality_id", "report_id"], ["report.municipality_id", "report.id"])
_OF_PERSON = (["municipality_id", "person_id"], ["person.municipality_id", "person.id"])


class Watcher(Base):
    """Somebody of the staff who wants to hear of what others do with a report."""

    __tablename__ = "watcher"
    __table_args__ = (
        ForeignKeyConstraint(*_OF_REPORT, ondelete="CASCADE"),
        ForeignKeyConstraint(*_OF_PERSON, ondelete="CASCADE"),
        Index("watcher_report_index", "municipality_id", "report_id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    told_id: Mapped[int] = mapped_column(BigInteger)
    """The timeline entry of the report up to which they were told, or have seen it themselves."""
    since_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Mention(Base):
    """Somebody of the staff whom an internal note names."""

    __tablename__ = "mention"
    __table_args__ = (
        ForeignKeyConstraint(*_OF_REPORT, ondelete="CASCADE"),
        ForeignKeyConstraint(*_OF_PERSON, ondelete="CASCADE"),
        Index("mention_report_index", "municipality_id", "report_id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """The timeline entry that holds the note."""
    report_id: Mapped[UUID]
    seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class SavedFilter(Base):
    """A list that somebody has put together, for themselves or for a department."""

    __tablename__ = "saved_filter"
    __table_args__ = (
        ForeignKeyConstraint(*_OF_PERSON, ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["municipality_id", "department_id"],
            ["department.municipality_id", "department.id"],
            ondelete="CASCADE",
        ),
        Index("saved_filter_name_unique", "municipality_id", "person_id", "name", unique=True),
        Index("saved_filter_department_index", "municipality_id", "department_id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    person_id: Mapped[int]
    department_id: Mapped[int | None]
    """With whom it is shared; none: nobody."""
    name: Mapped[str]
    conditions: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """As `WorklistFilter` writes itself."""
    sorting: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class StackRun(Base):
    """What was done to many reports at once, so that the same wish sent twice is done once."""

    __tablename__ = "stack_run"
    __table_args__ = (ForeignKeyConstraint(*_OF_PERSON, ondelete="CASCADE"),)

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[int | None]
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
