"""What was handed over is public under its first number alone; whoever had a report is told that it was called back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.execute("UPDATE report SET is_public = false, is_coarse = false WHERE source = 'handover'")
    op.create_check_constraint(
        op.f("report_handed_over_check"), "report", "source <> 'handover' OR NOT (is_public OR is_coarse)"
    )
    op.add_column("handover", sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE handover SET told_at = now() WHERE state = 'withdrawn'")
    op.create_index(
        "handover_untold_index",
        "handover",
        ["finished_at"],
        postgresql_where=sa.text("state = 'withdrawn' AND told_at IS NULL AND sent_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("handover_untold_index", "handover")
    op.drop_column("handover", "told_at")
    op.drop_constraint(op.f("report_handed_over_check"), "report")
