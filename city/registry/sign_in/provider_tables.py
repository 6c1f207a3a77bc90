"""The rows of providers of identities: where people may sign in with an account they have already."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base
from city.outside.identity import CLIENT_AUTHS
from city.registry.staff.role_tables import Role as Role

AUDIENCES = ("staff", "citizens")
POST_COLUMNS = ("role_owner_id", "role", "department_id", "crew_id", "groups", "categories", "zones")
"""What `ProviderPost` and `Appointment` say alike."""


def _of_provider() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["municipality_id", "provider_id"],
        ["identity_provider.municipality_id", "identity_provider.id"],
        ondelete="CASCADE",
    )


def _of_person() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["municipality_id", "person_id"], ["person.municipality_id", "person.id"], ondelete="CASCADE"
    )


class IdentityProvider(Base):
    """An OpenID Connect provider: the municipality's own for its staff, or a broker of SPID and CIE for citizens."""

    __tablename__ = "identity_provider"
    __table_args__ = (
        CheckConstraint(f"audience IN {AUDIENCES!r}", name="audience"),
        CheckConstraint(f"client_auth IN {CLIENT_AUTHS!r}", name="client_auth"),
        Index("identity_provider_slug_unique", "municipality_id", "slug", unique=True),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    slug: Mapped[str]
    name_it: Mapped[str]
    name_en: Mapped[str]
    audience: Mapped[str]
    issuer: Mapped[str]
    client_id: Mapped[str]
    client_auth: Mapped[str]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    """The client's secret or private key; sealed, and told to nobody."""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    acr_values: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """The levels of assurance that are asked for; if there are any, one of them is wanted."""
    strong_values: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """The values of `acr` or `amr` that stand for a second factor."""
    groups_claim: Mapped[str]
    email_claim: Mapped[str]
    email_verified_claim: Mapped[str | None]
    """Empty: the provider answers for all its addresses."""
    name_claim: Mapped[str]
    fiscal_number_claim: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class ProviderPost(Base):
    """Whoever is in a group of the provider is appointed so, as long as they are in it."""

    __tablename__ = "provider_post"
    __table_args__ = (
        _of_provider(),
        ForeignKeyConstraint(
            ["municipality_id", "department_id"],
            ["department.municipality_id", "department.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["municipality_id", "crew_id"], ["crew.municipality_id", "crew.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["role_owner_id", "role"], ["role.municipality_id", "role.slug"], ondelete="CASCADE"),
        CheckConstraint("role_owner_id IN (0, municipality_id)", name="role_owner"),
        CheckConstraint("role <> 'province_admin' OR municipality_id = 0", name="province"),
        CheckConstraint("role <> 'crew' OR crew_id IS NOT NULL", name="crew"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    provider_id: Mapped[int]
    member_of: Mapped[str]
    """What the provider calls the group."""
    role_owner_id: Mapped[int]
    role: Mapped[str]
    department_id: Mapped[int | None]
    crew_id: Mapped[int | None]
    groups: Mapped[list[str]] = mapped_column(ARRAY(Text))
    categories: Mapped[list[str]] = mapped_column(ARRAY(Text))
    zones: Mapped[list[str]] = mapped_column(ARRAY(Text))


class PersonIdentity(Base):
    """Who of the staff is who at a provider."""

    __tablename__ = "person_identity"
    __table_args__ = (_of_person(),)

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[int]
    linked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When they last came from there."""


class PendingSignIn(Base):
    """Somebody was sent to a provider and is not back; state, nonce and verifier are made from the id."""

    __tablename__ = "pending_sign_in"
    __table_args__ = (_of_provider(),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    municipality_id: Mapped[int]
    provider_id: Mapped[int]
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of the cookie of the browser it began in."""
    return_to: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class SignInTicket(Base):
    """Somebody came back and may take their sign-in, once and soon; only its SHA-256 is kept."""

    __tablename__ = "sign_in_ticket"
    __table_args__ = (
        _of_provider(),
        _of_person(),
        CheckConstraint("(person_id IS NULL) <> (proved IS NULL)", name="whose"),
    )

    ticket_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    municipality_id: Mapped[int]
    provider_id: Mapped[int]
    person_id: Mapped[int | None]
    """Who of the staff it is; empty for a citizen."""
    proved: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What is proved of a citizen; sealed."""
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary)
    is_strong: Mapped[bool]
    """Whether the provider has asked for a second factor."""
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    @property
    def provider_key(self) -> tuple[int, int]:
        """The key of the provider they came from."""
        return self.municipality_id, self.provider_id
