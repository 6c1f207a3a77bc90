"""A replay begins where its moment begins; whether a delivery is of one says its `replay_id`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

_WAITING = ("hook_delivery_waiting_index", "hook_delivery", ["municipality_id", "webhook_id", "is_replay", "id"])


def upgrade() -> None:
    """Go up. Replays at work read on from the beginning, as they did."""
    op.add_column("hook_replay", sa.Column("first_entry_id", sa.BigInteger(), server_default="0", nullable=False))
    op.drop_column("hook_delivery", "is_replay")
    made = sa.Computed("(replay_id IS NOT NULL)", persisted=True)
    op.add_column("hook_delivery", sa.Column("is_replay", sa.Boolean(), made, nullable=False))
    op.create_index(*_WAITING, postgresql_where=sa.text("state = 'waiting'"))


def downgrade() -> None:
    """Go back."""
    op.drop_column("hook_delivery", "is_replay")
    op.add_column("hook_delivery", sa.Column("is_replay", sa.Boolean(), server_default="false", nullable=False))
    op.execute("UPDATE hook_delivery SET is_replay = replay_id IS NOT NULL")
    op.create_index(*_WAITING, postgresql_where=sa.text("state = 'waiting'"))
    op.drop_column("hook_replay", "first_entry_id")
