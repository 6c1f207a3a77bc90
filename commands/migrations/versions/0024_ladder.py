"""Who is told of reports whose time runs out. The open reports are put where they stand, in silence, by a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.add_column("municipality", sa.Column("ladder", JSONB(none_as_null=True), nullable=True))
    op.execute(
        "INSERT INTO job (actor, arguments) SELECT 'wind_clocks', jsonb_build_object('municipality_id', id)"
        " FROM municipality WHERE kind = 'municipality' AND EXISTS"
        " (SELECT FROM report WHERE report.municipality_id = municipality.id AND is_open)"
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("municipality", "ladder")
