"""Zones in hand: a layer's tolerance, and who published which zones in spite of which faults."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = "layer_publication"


def upgrade() -> None:
    """Go up."""
    op.add_column("zone_layer", sa.Column("tolerance_metres", sa.Float(), server_default="0", nullable=False))
    op.create_check_constraint("zone_layer_tolerance_check", "zone_layer", "tolerance_metres BETWEEN 0 AND 1000")
    op.create_table(
        TABLE,
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("layer_id", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("zones", sa.Integer(), nullable=False),
        sa.Column("faults", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("accepted_because", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["municipality_id", "layer_id"],
            ["zone_layer.municipality_id", "zone_layer.id"],
            name=op.f("layer_publication_municipality_id_layer_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("layer_publication_key")),
    )
    op.create_index("layer_publication_layer_index", TABLE, ["municipality_id", "layer_id", "published_at"])
    # What was published is a record: nobody changes it afterwards, and the public has no look at who did it.
    op.execute(f"GRANT SELECT, INSERT ON {TABLE} TO lampione_app, lampione_province")
    op.execute(f"GRANT USAGE ON SEQUENCE {TABLE}_id_seq TO lampione_app, lampione_province")
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY; ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY owner ON {TABLE} TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY province ON {TABLE} TO lampione_province USING (true) WITH CHECK (true)")
    op.execute(
        f"CREATE POLICY tenant ON {TABLE} TO lampione_app"
        " USING (municipality_id = current_municipality()) WITH CHECK (municipality_id = current_municipality())"
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table(TABLE)
    op.drop_constraint("zone_layer_tolerance_check", "zone_layer", type_="check")
    op.drop_column("zone_layer", "tolerance_metres")
