"""What the council looks at: when a report was first answered and solved, and the hot spots.

Both moments stand in the timeline; a figure over a million reports cannot read four million entries. They are kept on
the report by a trigger, so that no code can forget it, bulk imports included. Its condition is false for whatever
intake writes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TELLS = "({row}.actor = 'staff' AND {row}.is_public)"
MOVES = "({row}.what <> 'master_moved' AND {row}.to_state IN ('resolved', 'closed', 'reopened'))"
"""`master_moved` tells a duplicate what became of its master: that is an answer, and no move of its own."""

FUNCTION = f"""
CREATE FUNCTION report_paced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE report SET
    answered_at = CASE WHEN {TELLS.format(row="NEW")} THEN least(answered_at, NEW.at) ELSE answered_at END,
    solved_at = CASE WHEN NOT coalesce({MOVES.format(row="NEW")}, false) THEN solved_at
                     WHEN NEW.to_state = 'reopened' THEN NULL
                     ELSE coalesce(solved_at, NEW.at) END
  WHERE municipality_id = NEW.municipality_id AND id = NEW.report_id;
  RETURN NULL;
END $$;
"""

TRIGGER = f"""
CREATE TRIGGER report_paced AFTER INSERT ON timeline_entry FOR EACH ROW
  WHEN ({TELLS.format(row="NEW")} OR NEW.to_state IN ('resolved', 'closed', 'reopened'))
  EXECUTE FUNCTION report_paced();
"""

CAUGHT_UP = f"""
UPDATE report SET answered_at = paced.answered_at, solved_at = paced.solved_at
FROM (
  SELECT municipality_id, report_id, min(at) FILTER (WHERE {TELLS.format(row="entry")}) AS answered_at,
    min(at) FILTER (WHERE {MOVES.format(row="entry")} AND id > reopened_id) AS solved_at
  FROM (
    SELECT *, coalesce(max(id) FILTER (WHERE {MOVES.format(row="timeline_entry")} AND to_state = 'reopened')
      OVER (PARTITION BY municipality_id, report_id), 0) AS reopened_id
    FROM timeline_entry
  ) AS entry
  GROUP BY municipality_id, report_id
) AS paced
WHERE report.municipality_id = paced.municipality_id AND report.id = paced.report_id
  AND (paced.answered_at IS NOT NULL OR paced.solved_at IS NOT NULL)
"""


def upgrade() -> None:
    """Go up."""
    op.add_column("report", sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("report", sa.Column("solved_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("ALTER TABLE report DISABLE TRIGGER USER")
    op.execute(CAUGHT_UP)
    op.execute("ALTER TABLE report ENABLE TRIGGER USER")
    op.execute(FUNCTION + TRIGGER)
    op.execute("GRANT SELECT (answered_at, solved_at) ON report TO lampione_reader")
    _make_hotspots()
    for table in ("hotspot", "hotspot_run"):
        owner = "USING (true) WITH CHECK (true)"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER {owner}")
        op.execute(f"CREATE POLICY province ON {table} TO lampione_province {owner}")
        op.execute(
            f"CREATE POLICY tenant ON {table} FOR SELECT TO lampione_app USING (municipality_id = current_municipality())"
        )
        op.execute(f"GRANT SELECT ON {table} TO lampione_app, lampione_reader")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lampione_province")
    op.execute("CREATE POLICY public_view ON hotspot FOR SELECT TO lampione_reader USING (is_public)")
    op.execute("CREATE POLICY public_view ON hotspot_run FOR SELECT TO lampione_reader USING (true)")


def _make_hotspots() -> None:
    op.create_table(
        "hotspot",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("group_slug", sa.String(), nullable=False),
        sa.Column("cell_column", sa.Integer(), nullable=False),
        sa.Column("cell_row", sa.Integer(), nullable=False),
        sa.Column("cell_metres", sa.Double(), nullable=False),
        sa.Column(
            "shape",
            Geometry(
                geometry_type="POLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("lon", sa.Double(), nullable=False),
        sa.Column("lat", sa.Double(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("observed", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Double(), nullable=False),
        sa.Column("z", sa.Double(), nullable=False),
        sa.Column("q", sa.Double(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("count >= 5", name=op.f("hotspot_small_count_check")),
        sa.PrimaryKeyConstraint(
            "municipality_id", "is_public", "group_slug", "cell_column", "cell_row", name=op.f("hotspot_key")
        ),
    )
    op.create_table(
        "hotspot_run",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cell_metres", sa.Double(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("municipality_id", name=op.f("hotspot_run_key")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("hotspot_run")
    op.drop_table("hotspot")
    op.execute("DROP TRIGGER report_paced ON timeline_entry; DROP FUNCTION report_paced()")
    op.drop_column("report", "solved_at")
    op.drop_column("report", "answered_at")
