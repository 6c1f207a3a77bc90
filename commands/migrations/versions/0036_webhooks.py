"""Webhooks of our own: endpoints, what each is told, and replays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from commands.migrations.guarding import guard

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    _webhook()
    _deliveries()
    _replays()
    guard("webhook", "hook_delivery", "hook_replay")
    op.create_table(
        "hook_position",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seen", sa.String(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("hook_position_one_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("hook_position_key")),
    )
    op.execute(
        "ALTER TABLE hook_position ENABLE ROW LEVEL SECURITY; ALTER TABLE hook_position FORCE ROW LEVEL SECURITY;"
        " CREATE POLICY owner ON hook_position TO CURRENT_USER USING (true) WITH CHECK (true);"
        " CREATE POLICY province ON hook_position TO lampione_province USING (true) WITH CHECK (true);"
        " INSERT INTO hook_position (id) VALUES (1);"
        " GRANT SELECT, UPDATE ON hook_position TO lampione_province"
    )


def _webhook() -> None:
    op.create_table(
        "webhook",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("old_secret_until", sa.DateTime(timezone=True), nullable=True),
        *(
            sa.Column(name, ARRAY(sa.String()), server_default="{}", nullable=False)
            for name in ("events", "groups", "departments", "zones", "states")
        ),
        sa.Column("is_public_only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("has_notes", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("off_reason", sa.String(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rests_until", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("webhook_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("webhook_key")),
    )


def _deliveries() -> None:
    op.create_table(
        "hook_delivery",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("about_id", sa.Integer(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replay_id", sa.Uuid(), nullable=True),
        sa.Column("is_replay", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'dead', 'dropped')", name=op.f("hook_delivery_state_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id", "webhook_id"],
            ["webhook.municipality_id", "webhook.id"],
            name=op.f("hook_delivery_municipality_id_webhook_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("hook_delivery_key")),
    )
    hook = ["municipality_id", "webhook_id"]
    op.create_index("hook_delivery_log_index", "hook_delivery", [*hook, "id"])
    op.create_index(
        "hook_delivery_waiting_index",
        "hook_delivery",
        [*hook, "is_replay", "id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "hook_delivery_dead_index", "hook_delivery", [*hook, "id"], postgresql_where=sa.text("state = 'dead'")
    )
    op.create_index("hook_delivery_age_index", "hook_delivery", ["created_at"])


def _replays() -> None:
    op.create_table(
        "hook_replay",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_entry_id", sa.BigInteger(), nullable=False),
        sa.Column("about_id", sa.Integer(), server_default="0", nullable=False),
        sa.Column("entry_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("examined", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("queued", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.String(), server_default="running", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('running', 'done', 'stopped')", name=op.f("hook_replay_state_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id", "webhook_id"],
            ["webhook.municipality_id", "webhook.id"],
            name=op.f("hook_replay_municipality_id_webhook_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("hook_replay_key")),
    )
    op.create_index(
        "hook_replay_running_index",
        "hook_replay",
        ["webhook_id"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )


def downgrade() -> None:
    """Go back."""
    for table in ("hook_position", "hook_replay", "hook_delivery", "webhook"):
        op.drop_table(table)
