"""A message that did not arrive is sent again once; what was told long ago is found, to be forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_index(
        "delivery_resends_unique",
        "delivery",
        ["municipality_id", "resends"],
        unique=True,
        postgresql_where=sa.text("resends IS NOT NULL"),
    )
    op.create_index("tiding_told_index", "tiding", ["due_at"], postgresql_where=sa.text("delivery_id IS NOT NULL"))


def downgrade() -> None:
    """Go back."""
    op.drop_index("tiding_told_index", "tiding")
    op.drop_index("delivery_resends_unique", "delivery")
