"""Looks at contact data are forgotten after two years, and by nobody any sooner."""

from __future__ import annotations

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

FORGET = """
CREATE FUNCTION forget_old_looks() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DELETE FROM contact_look USING municipality
  WHERE contact_look.municipality_id = municipality.id AND contact_look.at < now() - interval '730 days'
$$;
REVOKE EXECUTE ON FUNCTION forget_old_looks() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_old_looks() TO lampione_province;
"""
"""The one place that says how long. It deletes as the tables' owner: nobody else may, so that no look is denied. Each
municipality's are found by its own index."""


def upgrade() -> None:
    """Go up."""
    op.execute(FORGET)


def downgrade() -> None:
    """Go back."""
    op.execute("DROP FUNCTION forget_old_looks()")
