"""What becomes of mails: those that come back, links that are opened, addresses that take nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from commands.migrations.guarding import guard

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

STATES = "state IN ('queued', 'sent', 'refused', 'dropped'{more})"
ONCE = ["municipality_id", "entry_id", "report_id", "address"]


def upgrade() -> None:
    """Go up."""
    for name in ("dropped_for", "bounce", "status"):
        op.add_column("delivery", sa.Column(name, sa.String(), nullable=True))
    for name in ("bounced_at", "opened_at"):
        op.add_column("delivery", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("delivery", sa.Column("openings", sa.Integer(), server_default="0", nullable=False))
    op.add_column("delivery", sa.Column("resends", sa.Uuid(), nullable=True))
    op.drop_constraint(op.f("delivery_state_check"), "delivery")
    op.create_check_constraint(op.f("delivery_state_check"), "delivery", STATES.format(more=", 'bounced'"))
    op.create_check_constraint(
        op.f("delivery_bounce_check"), "delivery", "bounce IN ('hard', 'soft', 'delayed', 'ours', 'complaint')"
    )
    op.drop_index("delivery_once_unique", "delivery")
    op.create_index("delivery_once_unique", "delivery", ONCE, unique=True, postgresql_where=sa.text("resends IS NULL"))
    op.create_index("delivery_log_index", "delivery", ["municipality_id", "created_at", "id"])
    op.create_index(
        "delivery_bounced_index",
        "delivery",
        ["municipality_id", "bounced_at"],
        postgresql_where=sa.text("bounce IS NOT NULL"),
    )
    op.create_index("delivery_known_index", "delivery", ["created_at"], postgresql_where=sa.text("address <> ''"))
    op.create_table(
        "paused_address",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("bounce", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("paused_address_key")),
    )
    op.create_index("paused_address_unique", "paused_address", ["municipality_id", "address"], unique=True)
    guard("paused_address")
    op.execute(
        "INSERT INTO paused_address (municipality_id, address, bounce, status, paused_at)"
        " SELECT municipality_id, lower(address), 'hard', '', paused_at FROM subscriber WHERE paused_at IS NOT NULL"
        " ON CONFLICT DO NOTHING"
    )
    op.drop_column("subscriber", "paused_at")


def downgrade() -> None:
    """Go back."""
    op.add_column("subscriber", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE subscriber SET paused_at = paused_address.paused_at FROM paused_address"
        " WHERE paused_address.municipality_id = subscriber.municipality_id"
        " AND paused_address.address = lower(subscriber.address)"
    )
    op.drop_table("paused_address")
    for name in ("delivery_known_index", "delivery_bounced_index", "delivery_log_index", "delivery_once_unique"):
        op.drop_index(name, "delivery")
    op.execute("DELETE FROM delivery WHERE resends IS NOT NULL")
    op.create_index("delivery_once_unique", "delivery", ONCE, unique=True)
    op.drop_constraint(op.f("delivery_bounce_check"), "delivery")
    op.drop_constraint(op.f("delivery_state_check"), "delivery")
    op.execute("UPDATE delivery SET state = 'refused' WHERE state = 'bounced'")
    op.create_check_constraint(op.f("delivery_state_check"), "delivery", STATES.format(more=""))
    for name in ("resends", "openings", "opened_at", "bounced_at", "status", "bounce", "dropped_for"):
        op.drop_column("delivery", name)
