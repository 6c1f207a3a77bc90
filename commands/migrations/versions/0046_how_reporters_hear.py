"""Reporters say how they want to hear of their report, or that they want to hear no more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.add_column("reporter", sa.Column("rhythm", sa.String(), server_default="at_once", nullable=False))
    for name in ("quiet_from", "quiet_until"):
        op.add_column("reporter", sa.Column(name, sa.Time(), nullable=True))
    op.add_column("reporter", sa.Column("muted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f("reporter_rhythm_check"), "reporter", "rhythm IN ('at_once', 'daily')")
    op.create_check_constraint(op.f("reporter_quiet_check"), "reporter", "(quiet_from IS NULL) = (quiet_until IS NULL)")


def downgrade() -> None:
    """Go back."""
    for name in ("muted_at", "quiet_until", "quiet_from", "rhythm"):
        op.drop_column("reporter", name)
