"""The rows of report schedules."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Identity, SmallInteger, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class ReportSchedule(Base):
    """Who gets a municipality's monthly report by mail, and on which day."""

    __tablename__ = "report_schedule"
    __table_args__ = (CheckConstraint("day BETWEEN 1 AND 28", name="day"),)

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str]
    day: Mapped[int] = mapped_column(SmallInteger)
    """Of the month that follows the one told of; a day that every month has."""
    recipients: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Addresses. Whoever works here gets what they may read, the others what is public."""
    department_slug: Mapped[str | None]
    group_slug: Mapped[str | None]
    """Whose reports, of which kind; None: all."""
    language: Mapped[str]
    """For addresses outside; who works here has a language of their own."""
    is_active: Mapped[bool]
    noted_month: Mapped[date]
    """The first day of the last month whose letters were promised, or that was over before there was a schedule."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
