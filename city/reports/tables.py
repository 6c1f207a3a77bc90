"""The rows of reports. The municipality leads every key, and row-level security hangs on it."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Time,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base
from city.reports.lifecycle import State
from geo.columns import point_from, point_type

HANDED_OVER = "handover"
"""The source of a report that another municipality has handed over: everyone sees it there, under its first number."""
STATES = tuple(state.value for state in State)


class Report(Base):
    """One trouble at one place."""

    __tablename__ = "report"
    __table_args__ = (
        ForeignKeyConstraint(["municipality_id", "department_id"], ["department.municipality_id", "department.id"]),
        ForeignKeyConstraint(["municipality_id", "crew_id"], ["crew.municipality_id", "crew.id"]),
        ForeignKeyConstraint(["municipality_id", "person_id"], ["person.municipality_id", "person.id"]),
        ForeignKeyConstraint(["municipality_id", "master_id"], ["report.municipality_id", "report.id"]),
        ForeignKeyConstraint(["municipality_id", "parent_id"], ["report.municipality_id", "report.id"]),
        CheckConstraint(f"state = ANY ('{{{','.join(STATES)}}}'::text[])", name="state"),
        CheckConstraint("(state = 'duplicate') = (master_id IS NOT NULL)", name="master"),
        CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),
        CheckConstraint("parent_id IS NULL OR NOT (is_public OR is_coarse)", name="child"),
        CheckConstraint("source <> 'handover' OR NOT (is_public OR is_coarse)", name="handed_over"),
        Index("report_worklist_index", "municipality_id", "created_at", "id"),
        Index("report_department_index", "municipality_id", "department_id", "state"),
        Index(
            "report_master_index",
            "municipality_id",
            "master_id",
            postgresql_where=text("master_id IS NOT NULL"),
        ),
        Index(
            "report_parent_index",
            "municipality_id",
            "parent_id",
            postgresql_where=text("parent_id IS NOT NULL"),
        ),
        Index(
            "report_person_index",
            "municipality_id",
            "person_id",
            postgresql_where=text("person_id IS NOT NULL"),
        ),
        Index(
            "report_desk_index",
            "municipality_id",
            "person_id",
            "deadline_at",
            "id",
            postgresql_where=text("is_open AND person_id IS NOT NULL"),
        ),
        Index("report_crew_index", "municipality_id", "crew_id", postgresql_where=text("crew_id IS NOT NULL")),
        Index("report_deadline_index", "municipality_id", "deadline_at", "id", postgresql_where=text("is_open")),
        Index(
            "report_urgent_index",
            "municipality_id",
            "deadline_at",
            "id",
            postgresql_where=text("is_open AND is_emergency"),
        ),
        Index(
            "report_escalated_index",
            "municipality_id",
            "deadline_at",
            "id",
            postgresql_where=text("is_open AND escalation > 0"),
        ),
        Index("report_clock_index", "clock_at", postgresql_where=text("is_open AND clock_at IS NOT NULL")),
        Index(
            "report_resolved_index",
            "municipality_id",
            "solved_at",
            postgresql_where=text("state = 'resolved'"),
        ),
        Index("report_cell_index", "municipality_id", "cell"),
        Index("report_public_cell_index", "is_open", "cell", postgresql_where=text("is_public")),
        Index("report_public_month_index", "month", "cell", postgresql_where=text("is_public")),
        Index("report_public_index", "created_at", "id", postgresql_where=text("is_public")),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    """Its existence is seen to through the department: a second look would lock a row that all its reports want."""
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id"))
    group_slug: Mapped[str]
    """Of the category; kept here because the map counts by it."""
    decided_by: Mapped[str]
    """Who chose the category: `citizen`, `classifier`, `staff`, or `nobody` (then a person must)."""
    confidence: Mapped[float | None]
    suggestions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    department_id: Mapped[int]
    crew_id: Mapped[int | None]
    person_id: Mapped[int | None]
    """Who at the desk looks after it."""
    routing: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Why this department: rule, version and the facts used."""
    triage_reason: Mapped[str | None]
    lon: Mapped[float]
    lat: Mapped[float]
    place: Mapped[Any] = mapped_column(point_type(), point_from("lon", "lat"))
    """The same place for geographic programs that connect to the database."""
    cell: Mapped[int] = mapped_column(BigInteger)
    """Morton key of the finest pyramid cell: every search by place is a range of it, which row-level security,
    unlike a spatial index, lets through (integer comparison is leakproof)."""
    cell_x: Mapped[int]
    cell_y: Mapped[int]
    zone_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")
    address: Mapped[str | None]
    address_source: Mapped[str | None]
    """Who said the address: `citizen`, or `register` where nobody did and we found it at the place."""
    description: Mapped[str]
    public_description: Mapped[str | None]
    """What the office released for everyone to read; the reporter's own words stay inside until then."""
    language: Mapped[str]
    answers: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    source: Mapped[str]
    is_public: Mapped[bool]
    is_coarse: Mapped[bool] = mapped_column(server_default=text("false"))
    """Shown to the public, but only as one of a cell's number."""
    is_emergency: Mapped[bool] = mapped_column(server_default=text("false"))
    is_open: Mapped[bool]
    occurred_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    month: Mapped[int]
    """Of `created_at` on the municipality's calendar, as yyyymm: the map counts by it."""
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    deadline_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """By when it has to be solved; moved on by as long as the clock was paused."""
    promised_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Another date that staff have promised; it is told instead of the deadline, and whoever misses the deadline is
    late all the same."""
    slipped_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it was noticed, and said, that the promised date had passed; empty again with the next promise."""
    paused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when the clock is paused: the report waits for somebody else."""
    escalation: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """How many steps of the ladder it has climbed."""
    clock_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the clock looks at it next; see `clock`."""
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When staff first said or did something that the reporter could see. Kept from the timeline by a trigger."""
    solved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it was solved, unless it was reopened since. Kept from the timeline by a trigger."""
    reopened_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it was last reopened. Kept from the timeline by a trigger."""
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the reporter confirmed that it is solved."""
    rating: Mapped[int | None] = mapped_column(SmallInteger)
    """What the reporter thinks of how it was dealt with, 1 to 5."""
    master_id: Mapped[UUID | None]
    people: Mapped[int] = mapped_column(server_default="1")
    """How many people say the same: who reported a master and its duplicates, each once."""
    parent_id: Mapped[UUID | None]
    """The report of which this one is a part of the work: a child is never public and counts in no figure."""
    resolves_with_children: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it is solved when the last of its children is over."""
    version: Mapped[int] = mapped_column(server_default="1")


class Reporter(Base):
    """Who reported, kept apart so that the public reader has no right to it at all."""

    __tablename__ = "reporter"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        CheckConstraint("rhythm IN ('at_once', 'daily')", name="rhythm"),
        CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name="quiet"),
        Index("reporter_email_index", text("lower(email)"), postgresql_where=text("email IS NOT NULL")),
        Index("reporter_citizen_index", "citizen_id", postgresql_where=text("citizen_id IS NOT NULL")),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str | None]
    name: Mapped[str | None]
    phone: Mapped[str | None]
    language: Mapped[str]
    fiscal_code: Mapped[bytes | None]
    """Sealed; only of those who want to be answered in app IO."""
    citizen_id: Mapped[UUID | None] = mapped_column(ForeignKey("citizen.id", ondelete="SET NULL"))
    """Who was signed in when reporting; most reporters are not."""
    rhythm: Mapped[str] = mapped_column(server_default="at_once")
    quiet_from: Mapped[time | None] = mapped_column(Time)
    """From when to when nothing is sent, by the municipality's clock; may pass midnight."""
    quiet_until: Mapped[time | None] = mapped_column(Time)
    muted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when they want to hear no more of this report; see `hearing`."""


class TimelineEntry(Base):
    """Append-only history of a report: what, who, when, public or internal."""

    __tablename__ = "timeline_entry"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        Index("timeline_entry_report_index", "municipality_id", "report_id", "id"),
        Index("timeline_entry_transaction_index", "transaction", postgresql_where=text("transaction IS NOT NULL")),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    report_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    what: Mapped[str]
    actor: Mapped[str]
    """`citizen`, `system` or `staff`; `contractor` by the link of a hand-over, `outside` another way from whoever has
    it."""
    person_id: Mapped[int | None]
    is_public: Mapped[bool]
    from_state: Mapped[str | None]
    to_state: Mapped[str | None]
    note: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    transaction: Mapped[int | None] = mapped_column(
        BigInteger, server_default=text("(pg_current_xact_id()::text)::bigint")
    )
    """Which transaction wrote it: whoever knows PostgreSQL's snapshot of the last look finds what is new since. None:
    history that was taken over, which is no news."""


class Photo(Base):
    """A picture of a report; only its derivatives are ever shown, and to the public only once released."""

    __tablename__ = "photo"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
        CheckConstraint("state IN ('received', 'ready', 'failed')", name="state"),
        Index("photo_report_index", "municipality_id", "report_id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    report_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[str]
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[int]
    height: Mapped[int]
    dhash: Mapped[int] = mapped_column(BigInteger)
    taken_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    metres_away: Mapped[float | None]
    """How far the photo says it was taken from the report's place."""
    is_far: Mapped[bool] = mapped_column(server_default=text("false"))
    is_public: Mapped[bool] = mapped_column(server_default=text("false"))


class ClientRequest(Base):
    """The first answer to a submission with a client-made reference, for when it comes again."""

    __tablename__ = "client_request"

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[UUID] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Without the receipt token, which is made anew from the secret."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class TrainingPair(Base):
    """A category chosen by staff: the classifier learns from it. The text stays with the report, and goes with it."""

    __tablename__ = "training_pair"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "report_id"], ["report.municipality_id", "report.id"], ondelete="CASCADE"
        ),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id"))
    person_id: Mapped[int | None]
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
