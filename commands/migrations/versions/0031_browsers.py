"""What a subscriber's channel needs besides the address; letters that wait, by channel."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.add_column("subscriber", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    _find_queued("municipality_id", "kind", "channel", "created_at", "id")


def downgrade() -> None:
    """Go back."""
    _find_queued("municipality_id", "kind", "created_at", "id")
    op.drop_column("subscriber", "sealed")


def _find_queued(*columns: str) -> None:
    op.drop_index("delivery_queued_index", "delivery")
    op.create_index("delivery_queued_index", "delivery", list(columns), postgresql_where=sa.text("state = 'queued'"))
