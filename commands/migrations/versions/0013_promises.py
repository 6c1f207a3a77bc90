"""When the clock looks at a report again, and when a promised date was seen to have passed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    for name in ("slipped_at", "clock_at"):
        op.add_column("report", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "report_clock_index", "report", ["clock_at"], postgresql_where=sa.text("is_open AND clock_at IS NOT NULL")
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("report_clock_index", "report")
    for name in ("clock_at", "slipped_at"):
        op.drop_column("report", name)
