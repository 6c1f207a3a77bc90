"""The rows of ways by which a municipality writes, besides mail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    LargeBinary,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class AppIoService(Base):
    """A municipality's service in app IO."""

    __tablename__ = "app_io_service"

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary)
    """With which it writes there; sealed, and told to nobody."""
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class StaffChannel(Base):
    """A chat, paging service or SMS gateway of a department, a crew, or (neither) the whole municipality."""

    __tablename__ = "staff_channel"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "department_id"], ["department.municipality_id", "department.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["municipality_id", "crew_id"], ["crew.municipality_id", "crew.id"], ondelete="CASCADE"),
        CheckConstraint("department_id IS NULL OR crew_id IS NULL", name="one"),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str]
    department_id: Mapped[int | None]
    crew_id: Mapped[int | None]
    address: Mapped[bytes] = mapped_column(LargeBinary)
    """Its Apprise address: whoever knows it can write there; sealed, and told to nobody."""
    schema: Mapped[str]
    """Which service it is."""
    hears: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    """Of what it is told: see `city.registry.channels.staff_channels`."""
    language: Mapped[str] = mapped_column(server_default="it")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    tried_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    problem: Mapped[str | None]
    """What the trouble was when a message was last brought there (`errors.sentence_of`); none: it was taken."""
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
