"""The rows of who wants to hear of what."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Time,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base
from geo.columns import plain_shape_column


class Subscriber(Base):
    """An address that wants to hear of something, and how."""

    __tablename__ = "subscriber"
    __table_args__ = (
        Index("subscriber_address_unique", "municipality_id", "channel", text("lower(address)"), unique=True),
        CheckConstraint("rhythm IN ('at_once', 'daily')", name="rhythm"),
        CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name="quiet"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    channel: Mapped[str] = mapped_column(server_default="email")
    """One of `city.messages.channels`."""
    address: Mapped[str]
    sealed: Mapped[bytes | None]
    """What the channel needs besides, sealed; for `push`: the browser's endpoint and keys."""
    language: Mapped[str] = mapped_column(server_default="it")
    rhythm: Mapped[str] = mapped_column(server_default="at_once")
    quiet_from: Mapped[time | None] = mapped_column(Time)
    """From when to when nothing is sent, by the municipality's clock; may pass midnight."""
    quiet_until: Mapped[time | None] = mapped_column(Time)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Subscription(Base):
    """What an address wants to hear of: one report, or what happens in an area or in the whole municipality."""

    __tablename__ = "subscription"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "subscriber_id"], ["subscriber.municipality_id", "subscriber.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        CheckConstraint("kind IN ('report', 'circle', 'polygon', 'zone', 'municipality')", name="kind"),
        CheckConstraint("(kind = 'report') = (report_id IS NOT NULL)", name="report"),
        CheckConstraint("(kind = 'circle') = (metres IS NOT NULL)", name="circle"),
        CheckConstraint("(kind = 'polygon') = (shape IS NOT NULL)", name="polygon"),
        CheckConstraint("(kind = 'zone') = (zone IS NOT NULL)", name="zone"),
        Index("subscription_subscriber_index", "municipality_id", "subscriber_id"),
        Index(
            "subscription_report_unique",
            "municipality_id",
            "report_id",
            "subscriber_id",
            unique=True,
            postgresql_where=text("report_id IS NOT NULL"),
        ),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subscriber_id: Mapped[UUID]
    kind: Mapped[str]
    report_id: Mapped[UUID | None]
    lon: Mapped[float | None]
    lat: Mapped[float | None]
    metres: Mapped[float | None]
    shape: Mapped[Any | None] = mapped_column(plain_shape_column())
    zone: Mapped[str | None]
    """`layer/code`: it outlives a new version of the layer."""
    groups: Mapped[list[str] | None] = mapped_column(ARRAY(TEXT))
    """Slugs of category groups; null: all."""
    reports: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether new and solved reports are told."""
    notices: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether notices are told."""
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the owner of the address said yes; nothing is told before."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class SubscriptionCell(Base):
    """A cell, zone or municipality in which a confirmed subscription is to be found; see `matching`.

    All that decides, for nearly all subscriptions, stands in its key's index: the table itself need not be read.
    """

    __tablename__ = "subscription_cell"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "subscription_id"],
            ["subscription.municipality_id", "subscription.id"],
            ondelete="CASCADE",
        ),
        PrimaryKeyConstraint(
            "municipality_id",
            "cell",
            "subscription_id",
            postgresql_include=["subscriber_id", "is_inside", "wishes", "lon", "lat", "square", "groups"],
        ),
        Index("subscription_cell_subscription_index", "municipality_id", "subscription_id"),
    )

    municipality_id: Mapped[int]
    cell: Mapped[int] = mapped_column(BigInteger)
    subscription_id: Mapped[int] = mapped_column(BigInteger)
    subscriber_id: Mapped[UUID]
    is_inside: Mapped[bool]
    """Whether all of the cell lies in the area, so that nobody need look twice."""
    wishes: Mapped[int] = mapped_column(SmallInteger)
    """1 for reports, 2 for notices, 3 for both."""
    lon: Mapped[float | None]
    lat: Mapped[float | None]
    square: Mapped[float | None]
    """Of a circle: its middle, and the square of its radius as `geo.nearby` measures it."""
    groups: Mapped[list[str] | None] = mapped_column(ARRAY(TEXT))


class Tiding(Base):
    """Something that a subscriber is still to be told, from `due_at` on."""

    __tablename__ = "tiding"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "subscriber_id"], ["subscriber.municipality_id", "subscriber.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        Index("tiding_due_index", "due_at", postgresql_where=text("delivery_id IS NULL")),
        Index("tiding_told_index", "due_at", postgresql_where=text("delivery_id IS NOT NULL")),
        Index("tiding_delivery_index", "municipality_id", "delivery_id"),
        Index("tiding_report_index", "municipality_id", "report_id"),
        Index("tiding_unique", "municipality_id", "subscriber_id", "report_id", "entry_id", unique=True),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subscriber_id: Mapped[UUID]
    subscription_id: Mapped[int] = mapped_column(BigInteger)
    """Why they are told."""
    report_id: Mapped[UUID]
    first_id: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[int] = mapped_column(BigInteger)
    """The first and the last entry of the report that it tells of."""
    delivery_id: Mapped[UUID | None]
    """The mail that tells it."""
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ReportTold(Base):
    """Up to which entry of a report its subscribers were looked for."""

    __tablename__ = "report_told"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(BigInteger)
