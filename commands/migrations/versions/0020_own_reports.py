"""Find what somebody has to look after without going through all that they ever did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_index(
        "report_desk_index",
        "report",
        ["municipality_id", "person_id", "deadline_at", "id"],
        postgresql_where=sa.text("is_open AND person_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("report_desk_index", "report")
