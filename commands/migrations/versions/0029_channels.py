"""Subscribers by channel, and hosts in private networks that may be called."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.add_column("subscriber", sa.Column("channel", sa.String(), server_default="email", nullable=False))
    op.drop_index("subscriber_address_unique", "subscriber")
    op.create_index(
        "subscriber_address_unique",
        "subscriber",
        ["municipality_id", "channel", sa.text("lower(address)")],
        unique=True,
    )
    op.create_table(
        "allowed_host",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("allowed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("allowed_host_key")),
    )
    op.execute("ALTER TABLE allowed_host ENABLE ROW LEVEL SECURITY; ALTER TABLE allowed_host FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON allowed_host TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY province ON allowed_host TO lampione_province USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY reading ON allowed_host FOR SELECT TO lampione_app USING (true)")
    op.execute("GRANT SELECT ON allowed_host TO lampione_app")
    op.execute("GRANT SELECT, INSERT, DELETE ON allowed_host TO lampione_province")


def downgrade() -> None:
    """Go back."""
    op.drop_table("allowed_host")
    op.execute("DELETE FROM subscriber WHERE channel <> 'email'")
    op.drop_index("subscriber_address_unique", "subscriber")
    op.create_index(
        "subscriber_address_unique", "subscriber", ["municipality_id", sa.text("lower(address)")], unique=True
    )
    op.drop_column("subscriber", "channel")
