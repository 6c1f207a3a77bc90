"""What a report needs for the desk, the crew and the council; and deliveries of other kinds than the reporter's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = (
    ("person_id", sa.Integer(), None),
    ("promised_at", sa.DateTime(timezone=True), None),
    ("paused_at", sa.DateTime(timezone=True), None),
    ("escalation", sa.SmallInteger(), "0"),
    ("reopened_at", sa.DateTime(timezone=True), None),
    ("confirmed_at", sa.DateTime(timezone=True), None),
    ("rating", sa.SmallInteger(), None),
    ("people", sa.Integer(), "1"),
    ("parent_id", sa.Uuid(), None),
)

TELLS = "(NEW.actor = 'staff' AND NEW.is_public)"
MOVES = "(NEW.what <> 'master_moved' AND NEW.to_state IN ('resolved', 'closed', 'reopened'))"

PACED = f"""
CREATE OR REPLACE FUNCTION report_paced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE report SET
    answered_at = CASE WHEN {TELLS} THEN least(answered_at, NEW.at) ELSE answered_at END,
    solved_at = CASE WHEN NOT coalesce({MOVES}, false) THEN solved_at
                     WHEN NEW.to_state = 'reopened' THEN NULL
                     ELSE coalesce(solved_at, NEW.at) END{{reopened}}
  WHERE municipality_id = NEW.municipality_id AND id = NEW.report_id;
  RETURN NULL;
END $$;
"""
REOPENED = """,
    reopened_at = CASE WHEN NEW.to_state = 'reopened' AND NEW.what <> 'master_moved' THEN NEW.at ELSE reopened_at END"""

CAUGHT_UP = """
UPDATE report SET reopened_at = entry.at
FROM (
  SELECT municipality_id, report_id, max(at) AS at FROM timeline_entry
  WHERE to_state = 'reopened' AND what <> 'master_moved' GROUP BY municipality_id, report_id
) AS entry
WHERE report.municipality_id = entry.municipality_id AND report.id = entry.report_id;
UPDATE report SET people = 1 + hanging.number
FROM (
  SELECT municipality_id, master_id, count(*) AS number FROM report WHERE master_id IS NOT NULL GROUP BY 1, 2
) AS hanging
WHERE report.municipality_id = hanging.municipality_id AND report.id = hanging.master_id;
UPDATE report SET paused_at = updated_at WHERE state = 'waiting';
"""


def upgrade() -> None:
    """Go up."""
    for name, kind, default in COLUMNS:
        op.add_column("report", sa.Column(name, kind, server_default=default, nullable=default is None))
    op.create_check_constraint(op.f("report_rating_check"), "report", "rating BETWEEN 1 AND 5")
    for name, table in (("person_id", "person"), ("parent_id", "report")):
        op.create_foreign_key(
            op.f(f"report_municipality_id_{name}_reference"),
            "report",
            table,
            ["municipality_id", name],
            ["municipality_id", "id"],
        )
        op.create_index(
            f"report_{name.removesuffix('_id')}_index",
            "report",
            ["municipality_id", name],
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    op.execute("ALTER TABLE report DISABLE TRIGGER USER")
    op.execute(CAUGHT_UP)
    op.execute("ALTER TABLE report ENABLE TRIGGER USER")
    op.execute(PACED.format(reopened=REOPENED))
    op.execute("GRANT SELECT (promised_at, people) ON report TO lampione_reader")
    _open_deliveries()


def _open_deliveries() -> None:
    op.drop_constraint(op.f("delivery_state_check"), "delivery")
    op.create_check_constraint(
        op.f("delivery_state_check"), "delivery", "state IN ('queued', 'sent', 'refused', 'dropped')"
    )
    op.alter_column("delivery", "report_id", nullable=True)
    op.alter_column("delivery", "entry_id", nullable=True)
    op.add_column("delivery", sa.Column("kind", sa.String(), server_default="report", nullable=False))
    op.add_column("delivery", sa.Column("about", JSONB(), server_default="{}", nullable=False))
    op.add_column("delivery", sa.Column("once", sa.String(), nullable=True))
    op.add_column("delivery", sa.Column("person_id", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("delivery_once_check"), "delivery", "kind = 'report' OR once IS NOT NULL")
    op.create_index("delivery_kind_once_unique", "delivery", ["municipality_id", "once"], unique=True)


def downgrade() -> None:
    """Go back."""
    op.execute("DELETE FROM delivery WHERE kind <> 'report' OR state = 'dropped'")
    op.drop_index("delivery_kind_once_unique", "delivery")
    op.drop_constraint(op.f("delivery_once_check"), "delivery")
    for name in ("person_id", "once", "about", "kind"):
        op.drop_column("delivery", name)
    op.alter_column("delivery", "entry_id", nullable=False)
    op.alter_column("delivery", "report_id", nullable=False)
    op.drop_constraint(op.f("delivery_state_check"), "delivery")
    op.create_check_constraint(op.f("delivery_state_check"), "delivery", "state IN ('queued', 'sent', 'refused')")
    op.execute(PACED.format(reopened=""))
    for name, _, _ in reversed(COLUMNS):
        op.drop_column("report", name)
