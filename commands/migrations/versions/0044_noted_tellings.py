"""A telling of a notice knows whether webhooks have it written down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up. Those of before were written down as they came."""
    op.add_column("notice_telling", sa.Column("is_noted", sa.Boolean(), server_default="true", nullable=False))
    op.alter_column("notice_telling", "is_noted", server_default="false")


def downgrade() -> None:
    """Go back."""
    op.drop_column("notice_telling", "is_noted")
