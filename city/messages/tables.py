"""The rows of messages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKeyConstraint, Index, SmallInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class Delivery(Base):
    """One message to one address by one channel, with its fate."""

    __tablename__ = "delivery"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        CheckConstraint("state IN ('queued', 'sent', 'refused')", name="state"),
        Index("delivery_once_unique", "municipality_id", "entry_id", "report_id", "address", unique=True),
        Index("delivery_report_index", "municipality_id", "report_id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    report_id: Mapped[UUID]
    entry_id: Mapped[int] = mapped_column(BigInteger)
    """The timeline entry that it tells of."""
    channel: Mapped[str] = mapped_column(server_default="email")
    address: Mapped[str]
    language: Mapped[str]
    subject: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="queued")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    problem: Mapped[str | None]
    """What the mail server said last, without the address."""
    receipt: Mapped[str | None]
    """Message-ID, or the local twin's file."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
