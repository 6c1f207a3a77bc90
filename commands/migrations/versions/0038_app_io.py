"""Who writes in app IO, and to whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from commands.migrations.guarding import guard

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "app_io_service",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("app_io_service_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", name=op.f("app_io_service_key")),
    )
    guard("app_io_service")
    op.add_column("municipality", sa.Column("has_app_io", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("reporter", sa.Column("fiscal_code", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.execute("DELETE FROM subscriber WHERE channel = 'app_io'")
    op.drop_column("reporter", "fiscal_code")
    op.drop_column("municipality", "has_app_io")
    op.drop_table("app_io_service")
