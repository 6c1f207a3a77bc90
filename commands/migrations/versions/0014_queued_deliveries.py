"""Find the deliveries of a kind that still wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_index(
        "delivery_queued_index",
        "delivery",
        ["municipality_id", "kind"],
        postgresql_where=sa.text("state = 'queued'"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("delivery_queued_index", "delivery")
