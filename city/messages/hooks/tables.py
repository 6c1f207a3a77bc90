"""The rows of webhooks: endpoints, what each is still to be told, and what it is told once more."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class Webhook(Base):
    """An endpoint of another system that is told what happens; of the province: what happens in every municipality."""

    __tablename__ = "webhook"

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    address: Mapped[str]
    description: Mapped[str]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    """What it is signed with; sealed, and told once."""
    old_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The one before, with which it is signed too until `old_secret_until`."""
    old_secret_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    events: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    """Of these filters an empty one lets everything through; they name slugs."""
    groups: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    departments: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    zones: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    """As `layer/code`: a zone that is drawn anew keeps them."""
    states: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    is_public_only: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether it is told only what everybody may see."""
    has_notes: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it may read the words of the staff's notes."""
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    off_reason: Mapped[str | None]
    """Why it was switched off by itself: `gone` (it said 410), `failing` (for days)."""
    failures: Mapped[int] = mapped_column(server_default="0")
    """Calls in a row that failed."""
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rests_until: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """It is not called before, however much is waiting."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class HookDelivery(Base):
    """One event for one webhook, and what became of it. It says where to read of it, and holds no word of it."""

    __tablename__ = "hook_delivery"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "webhook_id"], ["webhook.municipality_id", "webhook.id"], ondelete="CASCADE"
        ),
        CheckConstraint("state IN ('waiting', 'sent', 'dead', 'dropped')", name="state"),
        Index("hook_delivery_log_index", "municipality_id", "webhook_id", "id"),
        Index(
            "hook_delivery_waiting_index",
            "municipality_id",
            "webhook_id",
            "is_replay",
            "id",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "hook_delivery_dead_index",
            "municipality_id",
            "webhook_id",
            "id",
            postgresql_where=text("state = 'dead'"),
        ),
        Index("hook_delivery_age_index", "created_at"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    webhook_id: Mapped[UUID]
    event: Mapped[str]
    about_id: Mapped[int]
    """The municipality in which it happened."""
    subject_id: Mapped[UUID]
    """The report, or the notice; of a category its number."""
    entry_id: Mapped[int] = mapped_column(BigInteger)
    """Its timeline's entry, the telling, or the change of the category."""
    happened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    status: Mapped[int | None] = mapped_column(SmallInteger)
    """The last answer's."""
    problem: Mapped[str | None]
    """What kept the last call from being answered well: a code."""
    milliseconds: Mapped[int | None]
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    replay_id: Mapped[UUID | None]
    is_replay: Mapped[bool] = mapped_column(Computed("(replay_id IS NOT NULL)", persisted=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class HookReplay(Base):
    """What has happened since a moment, told once more to one webhook: how far the history has been read."""

    __tablename__ = "hook_replay"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "webhook_id"], ["webhook.municipality_id", "webhook.id"], ondelete="CASCADE"
        ),
        CheckConstraint("state IN ('running', 'done', 'stopped')", name="state"),
        Index("hook_replay_running_index", "webhook_id", unique=True, postgresql_where=text("state = 'running'")),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID]
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    first_entry_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The oldest entry since then: what came in before is not read."""
    last_entry_id: Mapped[int] = mapped_column(BigInteger)
    """The newest entry there was when it began: what came later is told anyway."""
    about_id: Mapped[int] = mapped_column(server_default="0")
    """Read up to this municipality's …"""
    entry_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """… and this entry."""
    examined: Mapped[int] = mapped_column(BigInteger, server_default="0")
    queued: Mapped[int] = mapped_column(BigInteger, server_default="0")
    state: Mapped[str] = mapped_column(server_default="running")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class HookPosition(Base):
    """How far the timeline has been read for webhooks; the one row of it is also the lock of whoever reads."""

    __tablename__ = "hook_position"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seen: Mapped[str | None]
    """As `city.position` writes it; None: nobody has read yet."""
