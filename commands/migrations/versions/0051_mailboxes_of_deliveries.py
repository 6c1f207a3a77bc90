"""The log of messages finds an address by a column: row-level security lets no index of a function serve."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.drop_index("delivery_address_index", "delivery")
    op.add_column(
        "delivery", sa.Column("mailbox", sa.String(), sa.Computed("lower(address)", persisted=True), nullable=False)
    )
    op.create_index(
        "delivery_mailbox_index",
        "delivery",
        ["municipality_id", "mailbox", "created_at", "id"],
        postgresql_where=sa.text("mailbox <> ''"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("delivery", "mailbox")
    op.create_index(
        "delivery_address_index",
        "delivery",
        ["municipality_id", sa.text("lower(address)"), "created_at", "id"],
        postgresql_where=sa.text("address <> ''"),
    )
