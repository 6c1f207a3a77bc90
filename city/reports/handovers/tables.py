"""The rows of hand-overs: a report in the hands of somebody outside."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base

ACTIVE: Final = ("queued", "sent", "accepted")
"""States in which it is in their hands. It is `queued` until they have it; then it is `accepted` or `refused`, `done`,
`withdrawn` by the office, or `failed` where it could not be brought to them."""
_IS_ACTIVE: Final = "state IN ('queued', 'sent', 'accepted')"


class Handover(Base):
    """A report handed to an outside body, or to another municipality; at most one at a time is active."""

    __tablename__ = "handover"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["body_owner_id", "body_id"], ["outside_body.municipality_id", "outside_body.id"]),
        CheckConstraint(
            "state IN ('queued', 'sent', 'accepted', 'refused', 'done', 'withdrawn', 'failed')", name="state"
        ),
        CheckConstraint("channel IN ('mail', 'open311', 'webhook', 'municipality')", name="channel"),
        CheckConstraint("(to_municipality_id IS NULL) = (body_id IS NOT NULL)", name="to"),
        Index("handover_report_index", "municipality_id", "report_id"),
        Index(
            "handover_active_unique",
            "municipality_id",
            "report_id",
            unique=True,
            postgresql_where=text(_IS_ACTIVE),
        ),
        Index("handover_link_unique", "link_hash", unique=True),
        Index("handover_theirs_index", "to_municipality_id", "their_report_id"),
        Index("handover_due_index", "looked_at", postgresql_where=text(_IS_ACTIVE)),
        Index(
            "handover_untold_index",
            "finished_at",
            postgresql_where=text("state = 'withdrawn' AND told_at IS NULL AND sent_at IS NOT NULL"),
        ),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    report_id: Mapped[UUID]
    body_owner_id: Mapped[int | None]
    """Whose outside body it is: the municipality's own, or 0, the province's."""
    body_id: Mapped[int | None]
    to_municipality_id: Mapped[int | None] = mapped_column(ForeignKey("municipality.id"))
    name_it: Mapped[str]
    name_en: Mapped[str]
    """Who has it, as they were called then."""
    channel: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="queued")
    words: Mapped[str]
    """What they read of the trouble."""
    language: Mapped[str]
    needs_check: Mapped[bool] = mapped_column(server_default=text("false"))
    shares_contact: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether they are told who reported."""
    respond_by: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reminded_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the office was told that they are late."""
    link_serial: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    """Which link counts; a newer one ends the older."""
    link_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """SHA-256 of the secret in the link; the secret itself is kept nowhere."""
    link_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reference: Mapped[str | None]
    """Their own number for it."""
    reference_token: Mapped[str | None]
    """Open311: what they gave until the number is known."""
    their_state: Mapped[str | None]
    """What they called its state last."""
    their_report_id: Mapped[UUID | None]
    """The report that the other municipality has made of it."""
    mirrored_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The last timeline entry of that report that was told here."""
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    problem: Mapped[str | None]
    """What kept it from reaching them, last; no address and no words of theirs."""
    person_id: Mapped[int | None]
    """Who handed it over."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    looked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When they were last asked how far it is."""
    tried_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When bringing it was first tried."""
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    accepted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When those who had it were told that it was called back."""
