"""New words of reports go into their index in batches: half the work for the chore that reads them.

The batch is small, because every search looks through it.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.execute("ALTER INDEX report_text_words_index SET (fastupdate = on, gin_pending_list_limit = 256)")


def downgrade() -> None:
    """Go back."""
    op.execute("ALTER INDEX report_text_words_index RESET (gin_pending_list_limit)")
    op.execute("ALTER INDEX report_text_words_index SET (fastupdate = off)")
