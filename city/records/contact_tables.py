"""The rows of looks at contact data: who saw whose, and never what."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKeyConstraint, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class ContactLook(Base):
    """Somebody of the staff was shown who reported."""

    __tablename__ = "contact_look"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        Index("contact_look_report_index", "municipality_id", "report_id", "at"),
        Index("contact_look_at_index", "municipality_id", "at", "id"),
        Index("contact_look_person_index", "municipality_id", "person_id", "at", "id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    report_id: Mapped[UUID]
    home_id: Mapped[int]
    """Who employs them: the municipality, or (0) the province."""
    person_id: Mapped[int]
    why: Mapped[str]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When first; what follows within minutes is the same look."""
