"""Sign-ins know the provider of identities that they came from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.add_column("access_token", sa.Column("provider_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("access_token", "provider_id")
