"""Sign-ins of citizens know the provider of identities that they came from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.add_column("citizen_session", sa.Column("provider_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("citizen_session", "provider_id")
