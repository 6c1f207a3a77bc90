"""The rows of what crews do with their tablets, and of who had a report when."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class FieldOperation(Base):
    """One thing done on a tablet, under the id that the tablet gave it."""

    __tablename__ = "field_operation"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        CheckConstraint(
            "kind IN ('start', 'done', 'cant', 'note', 'photo', 'found_more', 'work')",
            name="kind",
        ),
        CheckConstraint("outcome IN ('applied', 'conflict', 'waiting', 'refused')", name="outcome"),
        Index("field_operation_report_index", "municipality_id", "report_id", "happened_at"),
        Index(
            "field_operation_conflict_index",
            "municipality_id",
            "happened_at",
            "id",
            postgresql_where=text("outcome = 'conflict' AND settled_at IS NULL"),
        ),
        Index(
            "field_operation_upload_index",
            "municipality_id",
            "upload_id",
            postgresql_where=text("upload_id IS NOT NULL"),
        ),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    report_id: Mapped[UUID]
    """The report it was done to; of what was found besides, the report that came of it."""
    crew_id: Mapped[int] = mapped_column(Integer)
    person_id: Mapped[int] = mapped_column(Integer)
    device: Mapped[str]
    sequence: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    base_version: Mapped[int | None]
    """The version of the report that the tablet knew."""
    device_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """By the tablet's clock."""
    happened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """By ours."""
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of all that it says, to know a repeat from something else under the same id."""
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    upload_id: Mapped[UUID | None]
    """The upload that brings its photo."""
    first: Mapped[str]
    """The outcome that was answered first."""
    outcome: Mapped[str]
    """What has become of it, by all that is known now."""
    conflict: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Of a conflict: both versions, and what each field holds in either."""
    is_noted: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it stands in the timeline, words and all."""
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When somebody at the desk has looked at the conflict and was done with it."""
    settled_by: Mapped[int | None]


class PhotoUpload(Base):
    """A photo on its way from a tablet, piece by piece."""

    __tablename__ = "photo_upload"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'finished', 'refused')", name="state"),
        CheckConstraint("received BETWEEN 0 AND length", name="received"),
        Index("photo_upload_expiry_index", "expires_at"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Made by the tablet, so that it can be named before it has begun."""
    crew_id: Mapped[int] = mapped_column(Integer)
    person_id: Mapped[int] = mapped_column(Integer)
    length: Mapped[int]
    """Bytes in all."""
    received: Mapped[int] = mapped_column(server_default="0")
    """Bytes that are here."""
    pieces: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    """Where they lie in the photo store, in their order."""
    state: Mapped[str] = mapped_column(server_default="open")
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Of a finished one: what the photo says of itself."""
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Of a refused one: the sentence that says why."""
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class CrewSpell(Base):
    """For how long a crew (or none) had a report; the one that has it now stands on the report. Kept by a trigger."""

    __tablename__ = "crew_spell"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        Index("crew_spell_report_index", "municipality_id", "report_id", "id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    report_id: Mapped[UUID]
    crew_id: Mapped[int | None]
    ended_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
