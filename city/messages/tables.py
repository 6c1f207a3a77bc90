"""The rows of messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Computed,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
    func,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base

FAILED: Final = ("bounced", "refused")


class Delivery(Base):
    """One message to one address by one channel, with its fate."""

    __tablename__ = "delivery"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        CheckConstraint("state IN ('queued', 'sent', 'refused', 'dropped', 'bounced')", name="state"),
        CheckConstraint("bounce IN ('hard', 'soft', 'delayed', 'ours', 'complaint')", name="bounce"),
        Index(
            "delivery_once_unique",
            "municipality_id",
            "entry_id",
            "report_id",
            "address",
            unique=True,
            postgresql_where=text("resends IS NULL"),
        ),
        CheckConstraint("kind = 'report' OR once IS NOT NULL", name="once"),
        Index("delivery_kind_once_unique", "municipality_id", "once", unique=True),
        Index("delivery_report_index", "municipality_id", "report_id"),
        Index(
            "delivery_resends_unique",
            "municipality_id",
            "resends",
            unique=True,
            postgresql_where=text("resends IS NOT NULL"),
        ),
        Index("delivery_log_index", "municipality_id", "created_at", "id"),
        Index(
            "delivery_mailbox_index",
            "municipality_id",
            "mailbox",
            "created_at",
            "id",
            postgresql_where=text("mailbox <> ''"),
        ),
        Index("delivery_bounced_index", "municipality_id", "bounced_at", postgresql_where=text("bounce IS NOT NULL")),
        Index("delivery_known_index", "created_at", postgresql_where=text("address <> ''")),
        Index(
            "delivery_queued_index",
            "municipality_id",
            "kind",
            "channel",
            "created_at",
            "id",
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "delivery_telling_index",
            "municipality_id",
            "telling_id",
            "state",
            "due_at",
            "id",
            postgresql_where=text("telling_id IS NOT NULL"),
        ),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    kind: Mapped[str] = mapped_column(server_default="report")
    """What it is about: `report` tells the reporter what has happened; the others stand in `kinds.py`."""
    report_id: Mapped[UUID | None]
    entry_id: Mapped[int | None] = mapped_column(BigInteger)
    """The timeline entry that it tells of, where it is of the kind `report`."""
    about: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    """What the letter is composed of when it is sent: ids only."""
    once: Mapped[str | None]
    """Kind, what it is about, and to whom: so that no job that comes twice writes twice."""
    person_id: Mapped[int | None]
    """To which of the staff."""
    telling_id: Mapped[int | None] = mapped_column(BigInteger)
    """Of which telling of a notice it is a letter."""
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Before when a notice's letter is not sent."""
    channel: Mapped[str] = mapped_column(server_default="email")
    """One of `city.messages.channels`."""
    address: Mapped[str]
    """Forgotten, with all of the row that is not needed any more, after some months: see `forgetting`."""
    mailbox: Mapped[str] = mapped_column(Computed("lower(address)", persisted=True))
    """The address in small letters, to be found by: row-level security lets no index of a function serve."""
    language: Mapped[str]
    subject: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="queued")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    problem: Mapped[str | None]
    """What kept it from being sent, without the address, as `errors.sentence_of` reads it."""
    receipt: Mapped[str | None]
    """Message-ID, or the local twin's file."""
    dropped_for: Mapped[str | None]
    """Why it was not sent: `paused`, its address takes nothing; `muted`, its reader wants to hear no more of the
    report; `moot`, there was nothing left to say."""
    bounce: Mapped[str | None]
    """What came back, as `city.outside.mail_status` judges it."""
    status: Mapped[str | None]
    """The status code (RFC 3463) that came with it."""
    bounced_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    opened_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When its link was opened first, where that is noted, and how often since."""
    openings: Mapped[int] = mapped_column(server_default="0")
    resends: Mapped[UUID | None]
    """The delivery that this one repeats."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    @hybrid_property
    def has_failed(self) -> bool:
        """Whether its reader has not got it and will not, as things are."""
        return self.state in FAILED or self.dropped_for == "paused"

    @has_failed.inplace.expression
    @classmethod
    def _has_failed(cls) -> ColumnElement[bool]:
        return or_(cls.state.in_(FAILED), cls.dropped_for == "paused")


class PausedAddress(Base):
    """An address that takes no mail: nothing is sent there by this municipality until somebody lifts the pause."""

    __tablename__ = "paused_address"
    __table_args__ = (Index("paused_address_unique", "municipality_id", "address", unique=True),)

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    address: Mapped[str]
    """In small letters."""
    bounce: Mapped[str]
    """`hard`, or `soft` where it was several times."""
    status: Mapped[str]
    paused_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
