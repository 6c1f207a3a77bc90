"""Providers of identities, and who is who at them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from commands.migrations.guarding import guard

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

TABLES = ("identity_provider", "provider_post", "person_identity", "pending_sign_in", "sign_in_ticket")


def upgrade() -> None:
    """Go up."""
    op.add_column("appointment", sa.Column("provider_id", sa.Integer(), nullable=True))
    op.create_table(
        "identity_provider",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("slug", "name_it", "name_en", "audience")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("issuer", "client_id", "client_auth")),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, sa.ARRAY(sa.Text()), nullable=False) for name in ("scopes", "acr_values", "strong_values")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("groups_claim", "email_claim", "name_claim")),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("email_verified_claim", "fiscal_number_claim")),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _moment("changed_at", "now()"),
        sa.CheckConstraint("audience IN ('staff', 'citizens')", name=op.f("identity_provider_audience_check")),
        sa.CheckConstraint(
            "client_auth IN ('client_secret_basic', 'client_secret_post', 'private_key_jwt')",
            name=op.f("identity_provider_client_auth_check"),
        ),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("identity_provider_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("identity_provider_key")),
    )
    op.create_index("identity_provider_slug_unique", "identity_provider", ["municipality_id", "slug"], unique=True)
    op.create_table(
        "provider_post",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("provider_id", sa.Integer(), nullable=False),
        sa.Column("member_of", sa.String(), nullable=False),
        sa.Column("role_owner_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("department_id", sa.Integer(), nullable=True),
        sa.Column("crew_id", sa.Integer(), nullable=True),
        *(sa.Column(name, sa.ARRAY(sa.Text()), nullable=False) for name in ("groups", "categories", "zones")),
        sa.CheckConstraint("role_owner_id IN (0, municipality_id)", name=op.f("provider_post_role_owner_check")),
        sa.CheckConstraint(
            "role <> 'province_admin' OR municipality_id = 0", name=op.f("provider_post_province_check")
        ),
        sa.CheckConstraint("role <> 'crew' OR crew_id IS NOT NULL", name=op.f("provider_post_crew_check")),
        _of("provider_post", "provider", "identity_provider"),
        _of("provider_post", "department", "department"),
        _of("provider_post", "crew", "crew"),
        sa.ForeignKeyConstraint(
            ["role_owner_id", "role"],
            ["role.municipality_id", "role.slug"],
            name=op.f("provider_post_role_owner_id_role_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("provider_post_key")),
    )
    op.create_table(
        "person_identity",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        _moment("linked_at", "now()"),
        _of("person_identity", "person", "person"),
        sa.PrimaryKeyConstraint("municipality_id", "issuer", "subject", name=op.f("person_identity_key")),
    )
    op.create_table(
        "pending_sign_in",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.Integer(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("return_to", sa.String(), nullable=False),
        _moment("created_at", "now()"),
        _of("pending_sign_in", "provider", "identity_provider"),
        sa.PrimaryKeyConstraint("id", name=op.f("pending_sign_in_key")),
    )
    op.create_table(
        "sign_in_ticket",
        sa.Column("ticket_hash", sa.LargeBinary(), nullable=False),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("is_strong", sa.Boolean(), nullable=False),
        _moment("expires_at"),
        _of("sign_in_ticket", "provider", "identity_provider"),
        _of("sign_in_ticket", "person", "person"),
        sa.PrimaryKeyConstraint("ticket_hash", name=op.f("sign_in_ticket_key")),
    )
    guard(*TABLES)


def _moment(name: str, default: str | None = None) -> sa.Column[object]:
    given = sa.text(default) if default else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=given, nullable=False)


def _of(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["municipality_id", f"{column}_id"],
        [f"{owner}.municipality_id", f"{owner}.id"],
        name=op.f(f"{table}_municipality_id_{column}_id_reference"),
        ondelete="CASCADE",
    )


def downgrade() -> None:
    """Go back."""
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("appointment", "provider_id")
