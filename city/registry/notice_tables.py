"""The rows of notices: what the municipality tells people of an area, how far it is told, which reports it dates."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base
from geo.columns import plain_area_column

KINDS = ("works", "closure", "waste_strike", "weather_warning", "water_outage", "power_outage", "other")
"""What a notice may be about; their names stand in `texts/notices.toml`."""


class Notice(Base):
    """A notice. Nobody but staff sees it before `published_at`."""

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint("state IN ('draft', 'scheduled', 'published', 'ended', 'withdrawn')", name="state"),
        CheckConstraint("state <> 'published' OR published_at IS NOT NULL", name="published"),
        CheckConstraint("title_it <> '' OR title_en <> ''", name="title"),
        Index("notice_number_unique", "number", unique=True),
        Index("notice_state_index", "municipality_id", "state"),
        Index("notice_order_index", "municipality_id", "starts_at", "id"),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="draft")
    version: Mapped[int] = mapped_column(server_default="1")
    kind: Mapped[str]
    title_it: Mapped[str]
    title_en: Mapped[str]
    text_it: Mapped[str]
    text_en: Mapped[str]
    """Where one language is missing, the other is shown."""
    area: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """How the area was described: for whoever goes on writing. What counts is `shape`."""
    where_it: Mapped[str] = mapped_column(server_default="")
    where_en: Mapped[str] = mapped_column(server_default="")
    """The same for everybody, in words."""
    is_everywhere: Mapped[bool]
    shape: Mapped[Any] = mapped_column(plain_area_column())
    zones: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    """`layer/code` of the zones that the area names."""
    groups: Mapped[list[str] | None] = mapped_column(ARRAY(TEXT))
    """Slugs of the category groups that it is about; null: it is everybody's concern."""
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expected_on: Mapped[date | None] = mapped_column(Date)
    """The day by which it should be over: what reports inside may be told."""
    publish_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """From when on it is not shown among the current ones, whatever its period."""
    link: Mapped[str | None]
    department_id: Mapped[int]
    is_urgent: Mapped[bool] = mapped_column(server_default=text("false"))
    """Told at once, also to those who want to be told in the morning only."""
    applies_to_reports: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether open reports inside are promised its expected day."""
    reason: Mapped[str | None]
    """Why it was withdrawn."""
    person_id: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    over_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class NoticeTelling(Base):
    """One time that a notice is told to people: first, of an important change, or of its withdrawal.

    Letters are put down in batches, subscriber after subscriber in the order of their ids; `told_up_to` is how far.
    """

    __tablename__ = "notice_telling"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "notice_id"], ["notice.municipality_id", "notice.id"], ondelete="CASCADE"
        ),
        CheckConstraint("what IN ('announced', 'changed', 'withdrawn')", name="what"),
        Index("notice_telling_notice_index", "municipality_id", "notice_id"),
        Index("notice_telling_going_index", "municipality_id", "id", postgresql_where=text("over_at IS NULL")),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    notice_id: Mapped[UUID]
    version: Mapped[int]
    """The notice's, from which on it says what is told here; each letter that left keeps the one that it said."""
    what: Mapped[str]
    words: Mapped[str | None]
    """What has changed, or why it was withdrawn."""
    told_up_to: Mapped[UUID] = mapped_column(server_default=text("'00000000-0000-0000-0000-000000000000'"))
    queued_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the last letter was put down."""
    paused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    over_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When nothing was left to be sent."""
    is_noted: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it is written down for webhooks."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class NoticeReport(Base):
    """A report that was promised a notice's expected day."""

    __tablename__ = "notice_report"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "notice_id"], ["notice.municipality_id", "notice.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        Index("notice_report_report_index", "municipality_id", "report_id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    notice_id: Mapped[UUID] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    until: Mapped[date] = mapped_column(Date)
