"""A notice says in words where it holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up. Those of before stand on the map only."""
    for name in ("where_it", "where_en"):
        op.add_column("notice", sa.Column(name, sa.String(), server_default="", nullable=False))
    op.execute("GRANT SELECT (where_it, where_en) ON notice TO lampione_reader")


def downgrade() -> None:
    """Go back."""
    for name in ("where_en", "where_it"):
        op.drop_column("notice", name)
