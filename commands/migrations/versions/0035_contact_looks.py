"""Who of the staff has seen contact data: written once, and never changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from commands.migrations.guarding import guard

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "contact_look",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.gen_random_uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("home_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id", "report_id"],
            ["report.municipality_id", "report.id"],
            name=op.f("contact_look_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("contact_look_key")),
    )
    op.create_index("contact_look_report_index", "contact_look", ["municipality_id", "report_id", "at"])
    op.create_index("contact_look_at_index", "contact_look", ["municipality_id", "at", "id"])
    op.create_index("contact_look_person_index", "contact_look", ["municipality_id", "person_id", "at", "id"])
    guard("contact_look")
    op.execute("REVOKE UPDATE, DELETE ON contact_look FROM lampione_app, lampione_province")


def downgrade() -> None:
    """Go back."""
    op.drop_table("contact_look")
