"""Citizens who sign in, and which reports are theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from commands.migrations.guarding import guard_for_province

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

TABLES = ("citizen", "citizen_session", "citizen_code")
OWN_REPORTS = """
CREATE FUNCTION reports_of_citizen(whose uuid) RETURNS TABLE (municipality_id integer, report_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT reporter.municipality_id, reporter.report_id FROM reporter WHERE reporter.citizen_id = whose
  UNION
  SELECT reporter.municipality_id, reporter.report_id FROM reporter
  WHERE lower(reporter.email) = (SELECT lower(citizen.email) FROM citizen WHERE citizen.id = whose)
$$;
REVOKE EXECUTE ON FUNCTION reports_of_citizen(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reports_of_citizen(uuid) TO lampione_app, lampione_province;
"""
"""The one place that says whose a report is. It looks as the tables' owner and gives ids only."""


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "citizen",
        _id(),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("fiscal_number", sa.LargeBinary(), nullable=True),
        sa.Column("fiscal_digest", sa.LargeBinary(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("language", sa.String(), server_default="it", nullable=False),
        _moment("created_at", "now()"),
        _moment("seen_at", "now()"),
        sa.CheckConstraint(
            "(fiscal_number IS NULL) = (fiscal_digest IS NULL)", name=op.f("citizen_fiscal_number_check")
        ),
        sa.UniqueConstraint("fiscal_digest", name=op.f("citizen_fiscal_digest_unique")),
        sa.PrimaryKeyConstraint("id", name=op.f("citizen_key")),
    )
    op.create_index("citizen_email_unique", "citizen", [sa.text("lower(email)")], unique=True)
    op.create_table(
        "citizen_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        _id(),
        sa.Column("citizen_id", sa.Uuid(), nullable=False),
        sa.Column("device", sa.String(), server_default="", nullable=False),
        _moment("created_at", "now()"),
        _moment("seen_at", "now()"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("revoked_at"),
        sa.ForeignKeyConstraint(
            ["citizen_id"], ["citizen.id"], name=op.f("citizen_session_citizen_id_reference"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("id", name=op.f("citizen_session_id_unique")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("citizen_session_key")),
    )
    op.create_index("citizen_session_citizen_index", "citizen_session", ["citizen_id"])
    op.create_table(
        "citizen_code",
        _id(),
        sa.Column("handle_hash", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        _moment("created_at", "now()"),
        _moment("used_at"),
        sa.UniqueConstraint("handle_hash", name=op.f("citizen_code_handle_hash_unique")),
        sa.PrimaryKeyConstraint("id", name=op.f("citizen_code_key")),
    )
    op.add_column("reporter", sa.Column("citizen_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("reporter_citizen_id_reference"), "reporter", "citizen", ["citizen_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index("reporter_citizen_index", "reporter", ["citizen_id"], postgresql_where="citizen_id IS NOT NULL")
    op.create_index("reporter_email_index", "reporter", [sa.text("lower(email)")], postgresql_where="email IS NOT NULL")
    guard_for_province(*TABLES)
    op.execute(OWN_REPORTS)


def _id() -> sa.Column[object]:
    return sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False)


def _moment(name: str, default: str | None = None) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        server_default=sa.text(default) if default else None,
        nullable=default is None,
    )


def downgrade() -> None:
    """Go back."""
    op.execute("DROP FUNCTION reports_of_citizen(uuid)")
    op.drop_index("reporter_email_index", "reporter")
    op.drop_index("reporter_citizen_index", "reporter")
    op.drop_column("reporter", "citizen_id")
    for table in reversed(TABLES):
        op.drop_table(table)
