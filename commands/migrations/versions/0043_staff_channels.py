"""Channels of the staff, and what is heard on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from commands.migrations.guarding import guard

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "staff_channel",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("department_id", sa.Integer(), nullable=True),
        sa.Column("crew_id", sa.Integer(), nullable=True),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("schema", sa.String(), nullable=False),
        sa.Column("hears", ARRAY(sa.TEXT()), nullable=False),
        sa.Column("language", sa.String(), server_default="it", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("department_id IS NULL OR crew_id IS NULL", name=op.f("staff_channel_one_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("staff_channel_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        *(
            sa.ForeignKeyConstraint(
                ["municipality_id", f"{owner}_id"],
                [f"{owner}.municipality_id", f"{owner}.id"],
                name=op.f(f"staff_channel_municipality_id_{owner}_id_reference"),
                ondelete="CASCADE",
            )
            for owner in ("department", "crew")
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("staff_channel_key")),
    )
    guard("staff_channel")
    op.add_column("municipality", sa.Column("heard", ARRAY(sa.Text()), server_default="{}", nullable=False))


def downgrade() -> None:
    """Go back."""
    op.drop_column("municipality", "heard")
    op.drop_table("staff_channel")
