"""Photos that come from tablets piece by piece."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "photo_upload",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("crew_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("received", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pieces", JSONB(), server_default="[]", nullable=False),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        sa.Column("facts", JSONB(), nullable=True),
        sa.Column("problem", JSONB(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('open', 'finished', 'refused')", name=op.f("photo_upload_state_check")),
        sa.CheckConstraint("received BETWEEN 0 AND length", name=op.f("photo_upload_received_check")),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("photo_upload_key")),
    )
    op.create_index("photo_upload_expiry_index", "photo_upload", ["expires_at"])
    op.execute("ALTER TABLE photo_upload ENABLE ROW LEVEL SECURITY; ALTER TABLE photo_upload FORCE ROW LEVEL SECURITY")
    for role, name in (("CURRENT_USER", "owner"), ("lampione_province", "province")):
        op.execute(f"CREATE POLICY {name} ON photo_upload TO {role} USING (true) WITH CHECK (true)")
    op.execute(
        "CREATE POLICY tenant ON photo_upload TO lampione_app USING (municipality_id = current_municipality())"
        " WITH CHECK (municipality_id = current_municipality())"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON photo_upload TO lampione_app")
    op.execute("GRANT SELECT, DELETE ON photo_upload TO lampione_province")


def downgrade() -> None:
    """Go back."""
    op.drop_table("photo_upload")
