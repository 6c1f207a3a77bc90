"""The rows of outside bodies: whoever does work for a municipality and is none of its departments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Identity, Index, LargeBinary, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class OutsideBody(Base):
    """A utility, a contractor, the Province's road office: to whom a report can be handed over.

    Those of the province may be chosen by every municipality.
    """

    __tablename__ = "outside_body"
    __table_args__ = (
        CheckConstraint("channel IN ('mail', 'open311', 'webhook')", name="channel"),
        Index("outside_body_slug_unique", "municipality_id", "slug", unique=True),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    slug: Mapped[str]
    name_it: Mapped[str]
    name_en: Mapped[str]
    channel: Mapped[str]
    address: Mapped[str]
    """An e-mail address, or where its service listens."""
    contact: Mapped[str | None]
    """Whom the office may call, in its own words."""
    jurisdiction: Mapped[str | None]
    """Open311: the jurisdiction_id they want."""
    services: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    """Open311: their service_code by our category or group; `*` for the rest."""
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Their API key, or what our webhooks are signed with; sealed, and told to nobody."""
    language: Mapped[str] = mapped_column(server_default="it")
    needs_check: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether the office looks before a report that they call done is solved."""
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
