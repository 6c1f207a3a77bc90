"""The rows of citizens who sign in. They belong to no municipality, and only the province's door opens them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class Citizen(Base):
    """Somebody who has signed in, known by what a sign-in has proved."""

    __tablename__ = "citizen"
    __table_args__ = (
        Index("citizen_email_unique", text("lower(email)"), unique=True),
        CheckConstraint("(fiscal_number IS NULL) = (fiscal_digest IS NULL)", name="fiscal_number"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    email: Mapped[str | None]
    """Proved by a code or by whoever vouched for the sign-in; never only said."""
    fiscal_number: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Sealed."""
    fiscal_digest: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    """By which it is found: an HMAC, for the few possible numbers could all be tried against a plain digest."""
    name: Mapped[str | None]
    language: Mapped[str] = mapped_column(server_default="it")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When they were last here, to ten minutes."""


class CitizenSession(Base):
    """A citizen's sign-in: only the SHA-256 of the token is kept."""

    __tablename__ = "citizen_session"
    __table_args__ = (Index("citizen_session_citizen_index", "citizen_id"),)

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid(), unique=True)
    """By which its owner names it."""
    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.id", ondelete="CASCADE"))
    device: Mapped[str] = mapped_column(server_default="")
    """What the program called itself that signed in."""
    provider_id: Mapped[int | None]
    """The province's provider of identities that they came from; empty where they gave a code."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class CitizenCode(Base):
    """A code was asked for by mail. The code itself is made from the id and the installation's secret, and not kept."""

    __tablename__ = "citizen_code"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    handle_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    """SHA-256 of what only the browser that asked knows."""
    email: Mapped[str]
    language: Mapped[str]
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
