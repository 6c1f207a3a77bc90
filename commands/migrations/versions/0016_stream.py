"""Live changes: which transaction wrote an entry of the timeline, and tickets that open a stream once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up. Entries that are there already keep no transaction: nobody waits for news of them."""
    op.add_column("timeline_entry", sa.Column("transaction", sa.BigInteger(), nullable=True))
    op.alter_column("timeline_entry", "transaction", server_default=sa.text("(pg_current_xact_id()::text)::bigint"))
    op.create_index(
        "timeline_entry_transaction_index",
        "timeline_entry",
        ["transaction"],
        postgresql_where=sa.text("transaction IS NOT NULL"),
    )
    op.create_table(
        "stream_ticket",
        sa.Column("ticket_hash", sa.LargeBinary(), nullable=False),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id", "person_id"],
            ["person.municipality_id", "person.id"],
            name=op.f("stream_ticket_municipality_id_person_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ticket_hash", name=op.f("stream_ticket_key")),
    )
    op.execute(
        """
        ALTER TABLE stream_ticket ENABLE ROW LEVEL SECURITY;
        ALTER TABLE stream_ticket FORCE ROW LEVEL SECURITY;
        CREATE POLICY owner ON stream_ticket TO CURRENT_USER USING (true) WITH CHECK (true);
        CREATE POLICY province ON stream_ticket TO lampione_province USING (true) WITH CHECK (true);
        CREATE POLICY tenant ON stream_ticket TO lampione_app
          USING (municipality_id = current_municipality()) WITH CHECK (municipality_id = current_municipality());
        GRANT SELECT, INSERT, DELETE ON stream_ticket TO lampione_app, lampione_province;
        """
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("stream_ticket")
    op.drop_index("timeline_entry_transaction_index", "timeline_entry")
    op.drop_column("timeline_entry", "transaction")
