"""The rows of the registry. The municipality leads every key; tenant 0 is the province, whose rows all inherit."""

from __future__ import annotations

from datetime import date, datetime, time
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
    LargeBinary,
    SmallInteger,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base
from city.registry.working_time import CALENDAR_DAYS, UNITS
from geo.columns import area_column, shape_column


class Municipality(Base):
    """The tenant: a comune; or, as number 0, the province that shares its registry with all of them."""

    __tablename__ = "municipality"
    __table_args__ = (
        CheckConstraint("kind IN ('municipality', 'province')", name="kind"),
        CheckConstraint("kind = 'province' OR fallback_department_id IS NOT NULL", name="fallback"),
        ForeignKeyConstraint(
            ["id", "fallback_department_id"],
            ["department.municipality_id", "department.id"],
            name="municipality_fallback_reference",
            deferrable=True,
            initially="DEFERRED",
            use_alter=True,
        ),
    )

    id: Mapped[int] = mapped_column(Identity(start=1, minvalue=0), primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default="municipality")
    istat_code: Mapped[str | None] = mapped_column(unique=True)
    prefix: Mapped[str] = mapped_column(unique=True)
    """Starts the public numbers: `PS-2026-184`."""
    languages: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{it,en}")
    time_zone: Mapped[str] = mapped_column(server_default="Europe/Rome")
    patron_day: Mapped[str | None]
    """Month and day of the patron saint, `MM-DD`."""
    patron_name: Mapped[str | None]
    office_hours: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    """The week: `day` (ISO), `opens`, `closes`. Empty: as the province has it; there: the usual week."""
    ladder: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    """Who is told of reports whose time runs out: rungs of `percent` or `working_days`, and `to`. Empty: as above."""
    email: Mapped[str | None]
    accepts_anonymous: Mapped[bool] = mapped_column(server_default=text("true"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    has_addresses: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether streets or house numbers were imported: without any, intake does not look for them."""
    has_subscribers: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether anybody asked to hear of anything, ever: until then intake promises no job for them."""
    has_app_io: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it writes in app IO: elsewhere no fiscal code is kept."""
    heard: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """What any channel of its staff is told of: of the rest no job is promised for them."""
    boundary: Mapped[Any | None] = mapped_column(area_column())
    fallback_department_id: Mapped[int | None]


class Department(Base):
    """An office of a municipality, or an outside body, that answers for reports."""

    __tablename__ = "department"
    __table_args__ = (
        CheckConstraint("kind IN ('office', 'outside')", name="kind"),
        Index("department_slug_unique", "municipality_id", "slug", unique=True),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    slug: Mapped[str]
    name_it: Mapped[str]
    name_en: Mapped[str]
    email: Mapped[str | None]
    kind: Mapped[str] = mapped_column(server_default="office")


class Crew(Base):
    """People of a department who go out with a tablet."""

    __tablename__ = "crew"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "department_id"],
            ["department.municipality_id", "department.id"],
            ondelete="CASCADE",
        ),
        Index("crew_slug_unique", "municipality_id", "slug", unique=True),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    department_id: Mapped[int]
    slug: Mapped[str]
    name: Mapped[str]


class ZoneLayer(Base):
    """A family of zones: districts, lighting lots, road ownership, parks."""

    __tablename__ = "zone_layer"
    __table_args__ = (
        CheckConstraint("kind IN ('areas', 'corridors')", name="kind"),
        CheckConstraint("tolerance_metres BETWEEN 0 AND 1000", name="tolerance"),
        Index("zone_layer_slug_unique", "municipality_id", "slug", unique=True),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    slug: Mapped[str]
    name_it: Mapped[str]
    name_en: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default="areas")
    tolerance_metres: Mapped[float] = mapped_column(server_default="0")
    """A place this near to a zone counts as inside, where no zone of the layer holds it."""


class LayerPublication(Base):
    """When somebody put zones into a layer: which faults they had, and why they were published all the same."""

    __tablename__ = "layer_publication"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "layer_id"],
            ["zone_layer.municipality_id", "zone_layer.id"],
            ondelete="CASCADE",
        ),
        Index("layer_publication_layer_index", "municipality_id", "layer_id", "published_at"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    layer_id: Mapped[int]
    published_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    published_by: Mapped[str]
    valid_from: Mapped[date]
    source: Mapped[str | None]
    """The file's name."""
    zones: Mapped[int]
    faults: Mapped[dict[str, int]] = mapped_column(JSONB, server_default="{}")
    """How many of each kind that was found, slivers included."""
    accepted_because: Mapped[str | None]
    """The reason given where faults stood against it."""


class Zone(Base):
    """A named area, or a road with a half-width in metres, valid from one day to another."""

    __tablename__ = "zone"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "layer_id"],
            ["zone_layer.municipality_id", "zone_layer.id"],
            ondelete="CASCADE",
        ),
        CheckConstraint("half_width_metres > 0", name="half_width"),
        CheckConstraint("valid_until > valid_from", name="validity"),
        Index("zone_code_unique", "municipality_id", "layer_id", "code", "valid_from", unique=True),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    layer_id: Mapped[int]
    code: Mapped[str]
    name: Mapped[str]
    shape: Mapped[Any] = mapped_column(shape_column())
    half_width_metres: Mapped[float | None]
    valid_from: Mapped[date] = mapped_column(server_default=func.current_date())
    valid_until: Mapped[date | None]


class ClosingDay(Base):
    """A day on which the offices of a municipality are closed besides; one of the province's closes all of them."""

    __tablename__ = "closing_day"

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str]


class CategoryGroup(Base):
    """The upper level of the categories."""

    __tablename__ = "category_group"
    __table_args__ = (Index("category_group_slug_unique", "municipality_id", "slug", unique=True),)

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    slug: Mapped[str]
    name_it: Mapped[str]
    name_en: Mapped[str]
    icon: Mapped[str]
    colour: Mapped[str]
    position: Mapped[int] = mapped_column(SmallInteger)


class Category(Base):
    """What the trouble is. A municipality's own category, or the province's that all inherit."""

    __tablename__ = "category"
    __table_args__ = (
        CheckConstraint("privacy IN ('public', 'coarse', 'hidden')", name="privacy"),
        CheckConstraint("deadline_amount BETWEEN 1 AND 3650", name="deadline"),
        CheckConstraint(f"deadline_unit IN {UNITS!r}", name="deadline_unit"),
        Index("category_slug_unique", "municipality_id", "slug", unique=True),
        Index("category_id_unique", "id", unique=True),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    group_slug: Mapped[str]
    slug: Mapped[str]
    name_it: Mapped[str]
    name_en: Mapped[str]
    privacy: Mapped[str] = mapped_column(server_default="public")
    deadline_amount: Mapped[int] = mapped_column(SmallInteger)
    deadline_unit: Mapped[str] = mapped_column(server_default=CALENDAR_DAYS)
    """What `deadline_amount` counts."""
    questions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    emergency_words: Mapped[dict[str, list[str]]] = mapped_column(JSONB, server_default="{}")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    position: Mapped[int] = mapped_column(SmallInteger, server_default="0")


class CategoryOverride(Base):
    """What a municipality sees differently from the province; an empty column means: as the province has it."""

    __tablename__ = "category_override"
    __table_args__ = (
        CheckConstraint("privacy IN ('public', 'coarse', 'hidden')", name="privacy"),
        CheckConstraint("deadline_amount BETWEEN 1 AND 3650", name="deadline"),
        CheckConstraint(f"deadline_unit IN {UNITS!r}", name="deadline_unit"),
        CheckConstraint("(deadline_amount IS NULL) = (deadline_unit IS NULL)", name="deadline_whole"),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    slug: Mapped[str] = mapped_column(primary_key=True)
    name_it: Mapped[str | None]
    name_en: Mapped[str | None]
    privacy: Mapped[str | None]
    deadline_amount: Mapped[int | None] = mapped_column(SmallInteger)
    deadline_unit: Mapped[str | None]
    is_active: Mapped[bool | None]


class RoutingRule(Base):
    """Category or group × zone or layer × time window → department (and crew)."""

    __tablename__ = "routing_rule"
    __table_args__ = (
        CheckConstraint("category_slug IS NULL OR group_slug IS NULL", name="one_subject"),
        CheckConstraint("(starts_at IS NULL) = (ends_at IS NULL)", name="window"),
        CheckConstraint("layer_slug IS NOT NULL OR zone_code IS NULL", name="zone_of_layer"),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    version: Mapped[int] = mapped_column(server_default="1")
    municipalities: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """Of a provincial rule: the municipalities that inherit it; empty: all of them."""
    category_slug: Mapped[str | None]
    group_slug: Mapped[str | None]
    layer_slug: Mapped[str | None]
    zone_code: Mapped[str | None]
    days: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger), server_default="{}")
    """ISO week days, 1 is Monday; empty: every day."""
    starts_at: Mapped[time | None]
    ends_at: Mapped[time | None]
    """Wall-clock time of the municipality; a window may run past midnight."""
    department_slug: Mapped[str]
    crew_slug: Mapped[str | None]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    note_it: Mapped[str | None]
    note_en: Mapped[str | None]


class Person(Base):
    """Somebody who works here."""

    __tablename__ = "person"
    __table_args__ = (Index("person_email_unique", text("lower(email)"), unique=True),)

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="it")
    password_hash: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))


class Appointment(Base):
    """A role of a person, for the whole municipality or one department of it, perhaps within categories and zones."""

    __tablename__ = "appointment"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "person_id"], ["person.municipality_id", "person.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["municipality_id", "department_id"],
            ["department.municipality_id", "department.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["municipality_id", "crew_id"], ["crew.municipality_id", "crew.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["role_owner_id", "role"], ["role.municipality_id", "role.slug"]),
        CheckConstraint("role_owner_id IN (0, municipality_id)", name="role_owner"),
        CheckConstraint("role <> 'province_admin' OR municipality_id = 0", name="province"),
        CheckConstraint("role <> 'crew' OR crew_id IS NOT NULL", name="crew"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    person_id: Mapped[int]
    role_owner_id: Mapped[int] = mapped_column(server_default="0")
    """Whose role it is: the province's or the municipality's own."""
    role: Mapped[str]
    department_id: Mapped[int | None]
    crew_id: Mapped[int | None]
    groups: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """Only reports of these groups or of these `categories`, if there are any."""
    categories: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    zones: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """Only reports in one of these, if there are any; as `layer/code`."""
    provider_id: Mapped[int | None]
    """The provider whose group map gave it; empty where somebody gave it by hand."""


class AccessToken(Base):
    """A sign-in: only the SHA-256 of the token is kept."""

    __tablename__ = "access_token"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "person_id"], ["person.municipality_id", "person.id"], ondelete="CASCADE"
        ),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    municipality_id: Mapped[int]
    person_id: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid(), unique=True)
    """By which its owner names it."""
    device: Mapped[str] = mapped_column(server_default="")
    """What the program called itself that signed in."""
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When it was last used, to ten minutes."""
    is_full: Mapped[bool] = mapped_column(server_default=text("true"))
    """False: good for setting up a second factor, and for nothing else."""
    provider_id: Mapped[int | None]
    """The provider of identities that they came from; empty where they gave a password."""


class SecondFactor(Base):
    """What somebody proves who they are with, besides the password."""

    __tablename__ = "second_factor"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "person_id"], ["person.municipality_id", "person.id"], ondelete="CASCADE"
        ),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    """Sealed."""
    last_step: Mapped[int] = mapped_column(BigInteger)
    """The half minute of the last code taken: none is taken twice."""
    paper: Mapped[list[str]] = mapped_column(ARRAY(String))
    """SHA-256 of the paper codes not used yet."""
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PasswordReset(Base):
    """Somebody asked for a new password; the token of the mail is made from the id."""

    __tablename__ = "password_reset"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "person_id"], ["person.municipality_id", "person.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    municipality_id: Mapped[int]
    person_id: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PaceRow(Base):
    """How often somebody has tried; unlogged, for it may be lost."""

    __tablename__ = "pace"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    name: Mapped[str] = mapped_column(primary_key=True)
    who: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    full_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class StreamTicket(Base):
    """Opens one stream of live changes, once and soon, for whoever holds that sign-in; only its SHA-256 is kept."""

    __tablename__ = "stream_ticket"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "person_id"], ["person.municipality_id", "person.id"], ondelete="CASCADE"
        ),
    )

    ticket_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    municipality_id: Mapped[int]
    person_id: Mapped[int]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    """Of the sign-in: the stream ends with it."""
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class RegistryVersion(Base):
    """One row: goes up with every change of the registry, so that every process notices at its next request."""

    __tablename__ = "registry_version"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]


class AllowedHost(Base):
    """A host in a private network that may be called, as `name:port`."""

    __tablename__ = "allowed_host"

    host: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[int]
    """Who of the province allowed it."""
    allowed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
