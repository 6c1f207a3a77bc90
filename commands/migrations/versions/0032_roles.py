"""Roles as rows, and appointments narrowed to categories and zones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from commands.migrations.guarding import guard

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

BUILT_IN = (
    ("council", "Consiglio", "Council", ["read"], False),
    ("crew", "Squadra", "Crew", ["read", "field"], True),
    ("clerk", "Operatore", "Clerk", ["read", "contact", "field", "desk"], False),
    ("head", "Responsabile", "Head", ["read", "contact", "field", "desk", "share", "oversee"], False),
    (
        "municipality_admin",
        "Amministratore del Comune",
        "Administrator of the municipality",
        ["read", "contact", "field", "desk", "share", "oversee", "administer"],
        False,
    ),
    (
        "province_admin",
        "Amministratore della Provincia",
        "Administrator of the province",
        ["read", "contact", "field", "desk", "share", "oversee", "administer"],
        False,
    ),
)
OLD_ROLES = "role IN ('crew', 'clerk', 'head', 'council', 'municipality_admin', 'province_admin')"


def upgrade() -> None:
    """Go up."""
    role = op.create_table(
        "role",
        sa.Column("municipality_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name_it", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("rights", ARRAY(sa.Text()), nullable=False),
        sa.Column("is_of_crew", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_built_in", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("NOT is_built_in OR municipality_id = 0", name=op.f("role_built_in_check")),
        sa.CheckConstraint("cardinality(rights) > 0", name=op.f("role_rights_check")),
        sa.PrimaryKeyConstraint("municipality_id", "slug", name=op.f("role_key")),
    )
    guard("role")
    op.execute("CREATE POLICY inherited ON role FOR SELECT TO lampione_app USING (municipality_id = 0)")
    op.bulk_insert(
        role,
        [
            {
                "municipality_id": 0,
                "slug": slug,
                "name_it": name_it,
                "name_en": name_en,
                "rights": rights,
                "is_of_crew": is_of_crew,
                "is_built_in": True,
            }
            for slug, name_it, name_en, rights, is_of_crew in BUILT_IN
        ],
    )
    op.drop_constraint(op.f("appointment_role_check"), "appointment")
    op.add_column("appointment", sa.Column("role_owner_id", sa.Integer(), server_default="0", nullable=False))
    for name in ("groups", "categories", "zones"):
        op.add_column("appointment", sa.Column(name, ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.create_check_constraint(
        op.f("appointment_role_owner_check"), "appointment", "role_owner_id IN (0, municipality_id)"
    )
    op.create_foreign_key(
        op.f("appointment_role_owner_id_reference"),
        "appointment",
        "role",
        ["role_owner_id", "role"],
        ["municipality_id", "slug"],
    )


def downgrade() -> None:
    """Go back; appointments to roles that were not built in are lost, and so is every narrowing."""
    op.drop_constraint(op.f("appointment_role_owner_id_reference"), "appointment")
    op.drop_constraint(op.f("appointment_role_owner_check"), "appointment")
    op.execute("DELETE FROM appointment WHERE role_owner_id <> 0 OR (groups || categories || zones) <> '{}'")
    for name in ("role_owner_id", "groups", "categories", "zones"):
        op.drop_column("appointment", name)
    op.execute(f"DELETE FROM appointment WHERE NOT {OLD_ROLES}")
    op.create_check_constraint(op.f("appointment_role_check"), "appointment", OLD_ROLES)
    op.drop_table("role")
