"""When somebody last came from a provider of identities."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    seen_at = sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    op.add_column("person_identity", seen_at)


def downgrade() -> None:
    """Go back."""
    op.drop_column("person_identity", "seen_at")
