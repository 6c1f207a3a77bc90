"""What the public's figures are counted from: whether a citizen confirmed or rated the work, and whether it came back."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = "confirmed_at, reopened_at, paused_at, rating"


def upgrade() -> None:
    """Go up."""
    op.execute(f"GRANT SELECT ({COLUMNS}) ON report TO lampione_reader")


def downgrade() -> None:
    """Go back."""
    op.execute(f"REVOKE SELECT ({COLUMNS}) ON report FROM lampione_reader")
