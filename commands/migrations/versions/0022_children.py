"""Children of reports: never public, and a parent that may be solved with the last of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.add_column(
        "report", sa.Column("resolves_with_children", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_check_constraint(
        op.f("report_child_check"), "report", "parent_id IS NULL OR NOT (is_public OR is_coarse)"
    )


def downgrade() -> None:
    """Go back."""
    op.drop_constraint(op.f("report_child_check"), "report")
    op.drop_column("report", "resolves_with_children")
