"""Sign-ins that can be listed and ended, second factors, links for a new password, and how often somebody may try."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = ("second_factor", "password_reset")
NOW = sa.text("now()")


def upgrade() -> None:
    """Go up."""
    op.add_column(
        "access_token", sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False)
    )
    op.add_column("access_token", sa.Column("device", sa.String(), server_default="", nullable=False))
    op.add_column("access_token", sa.Column("seen_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False))
    op.add_column("access_token", sa.Column("is_full", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.create_unique_constraint(op.f("access_token_id_unique"), "access_token", ["id"])
    op.create_table(
        "second_factor",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("paper", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        _person("second_factor"),
        sa.PrimaryKeyConstraint("municipality_id", "person_id", name=op.f("second_factor_key")),
    )
    op.create_table(
        "password_reset",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        _person("password_reset"),
        sa.PrimaryKeyConstraint("id", name=op.f("password_reset_key")),
    )
    op.create_table(
        "pace",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("who", sa.LargeBinary(), nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "who", name=op.f("pace_key")),
        prefixes=["UNLOGGED"],
    )
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY province ON {table} TO lampione_province USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO lampione_app"
            " USING (municipality_id = current_municipality()) WITH CHECK (municipality_id = current_municipality())"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lampione_app, lampione_province")
    op.execute("GRANT SELECT, INSERT, UPDATE ON pace TO lampione_app")
    op.execute("GRANT SELECT, DELETE ON pace TO lampione_province")


def _person(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["municipality_id", "person_id"],
        ["person.municipality_id", "person.id"],
        name=op.f(f"{table}_municipality_id_person_id_reference"),
        ondelete="CASCADE",
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("pace")
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_constraint(op.f("access_token_id_unique"), "access_token")
    for name in ("is_full", "seen_at", "device", "id"):
        op.drop_column("access_token", name)
