"""Tickets for the sign-ins of citizens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.alter_column("sign_in_ticket", "person_id", nullable=True)
    op.add_column("sign_in_ticket", sa.Column("proved", sa.LargeBinary(), nullable=True))
    op.create_check_constraint(
        op.f("sign_in_ticket_whose_check"), "sign_in_ticket", "(person_id IS NULL) <> (proved IS NULL)"
    )


def downgrade() -> None:
    """Go back; citizens who were just coming back begin again."""
    op.execute("DELETE FROM sign_in_ticket WHERE person_id IS NULL")
    op.drop_constraint(op.f("sign_in_ticket_whose_check"), "sign_in_ticket")
    op.drop_column("sign_in_ticket", "proved")
    op.alter_column("sign_in_ticket", "person_id", nullable=False)
