"""The log of messages is searched by address."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_index(
        "delivery_address_index",
        "delivery",
        ["municipality_id", sa.text("lower(address)"), "created_at", "id"],
        postgresql_where=sa.text("address <> ''"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("delivery_address_index", "delivery")
