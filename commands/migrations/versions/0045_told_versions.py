"""A telling knows from which version of its notice on letters say what it tells."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up. Letters that have left keep no version, and count as older than any."""
    op.add_column("notice_telling", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.alter_column("notice_telling", "version", server_default=None)


def downgrade() -> None:
    """Go back."""
    op.drop_column("notice_telling", "version")
