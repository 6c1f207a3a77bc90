"""The tile pyramid for a whole nation: cells by period with the figures of every group and department in one row.

A report keeps its month on the municipality's calendar, and whether the public sees it only as part of a coarse cell.
Whatever could look different on a tile is a change (`tile_delta`), marked with its transaction, so that who keeps
tiles can ask what has changed since; folded changes stay known for a while in `tile_fold`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COARSE_BITS = 9
"""A coarse place is the middle of its cell of level 15, 9 levels above the finest."""

MIDDLE = f"((({{0}}) >> {COARSE_BITS}) << {COARSE_BITS}) + {1 << (COARSE_BITS - 1)}"
MIDDLE_KEY = f"((({{0}}) >> {2 * COARSE_BITS}) << {2 * COARSE_BITS}) + {3 << (2 * COARSE_BITS - 2)}"

STAGE = (
    "(CASE WHEN {0}.state IN ('planned', 'in_progress', 'waiting', 'forwarded') THEN 1 WHEN {0}.is_open THEN 0"
    " WHEN {0}.state IN ('resolved', 'closed') THEN 2 ELSE 3 END)"
)


def delta(row: str, count: str) -> str:
    """The columns of a change, read from a report."""

    def placed(column: str, middle: str) -> str:
        return f"CASE WHEN {row}.is_coarse THEN {middle.format(f'{row}.{column}')} ELSE {row}.{column} END"

    return (
        f"{placed('cell', MIDDLE_KEY)}, {row}.municipality_id, {row}.department_id, {row}.group_slug, {row}.month,"
        f" {STAGE.format(row)}, {count}, {placed('cell_x', MIDDLE)}, {placed('cell_y', MIDDLE)}, {row}.is_coarse"
    )


COLUMNS = "cell, municipality_id, department_id, group_slug, month, stage, count, x, y, is_coarse"
SEEN = "({0}.is_public OR {0}.is_coarse)"

FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION report_appeared() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO tile_delta ({COLUMNS}) SELECT {delta("appeared", "1")} FROM appeared WHERE {SEEN.format("appeared")};
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION report_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND {SEEN.format("OLD")} THEN
    INSERT INTO tile_delta ({COLUMNS}) VALUES ({delta("OLD", "-1")});
  END IF;
  IF TG_OP = 'UPDATE' AND {SEEN.format("NEW")} THEN
    INSERT INTO tile_delta ({COLUMNS}) VALUES ({delta("NEW", "1")});
  END IF;
  RETURN NULL;
END $$;
"""
SHOWN = ("is_public", "is_coarse", "group_slug", "category_id", "department_id", "state", "cell", "month", "created_at")
"""What tiles show of a report, or count it by."""

FORMER = """
CREATE OR REPLACE FUNCTION report_appeared() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO tile_delta (cell, municipality_id, group_slug, count, x, y)
  SELECT cell, municipality_id, group_slug, 1, cell_x, cell_y
  FROM appeared WHERE is_public AND is_open;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION report_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.is_public AND OLD.is_open THEN
    INSERT INTO tile_delta (cell, municipality_id, group_slug, count, x, y)
    VALUES (OLD.cell, OLD.municipality_id, OLD.group_slug, -1, OLD.cell_x, OLD.cell_y);
  END IF;
  IF TG_OP = 'UPDATE' AND NEW.is_public AND NEW.is_open THEN
    INSERT INTO tile_delta (cell, municipality_id, group_slug, count, x, y)
    VALUES (NEW.cell, NEW.municipality_id, NEW.group_slug, 1, NEW.cell_x, NEW.cell_y);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER report_moved AFTER UPDATE ON report FOR EACH ROW
  WHEN ((OLD.is_public, OLD.is_open, OLD.group_slug, OLD.cell)
        IS DISTINCT FROM (NEW.is_public, NEW.is_open, NEW.group_slug, NEW.cell))
  EXECUTE FUNCTION report_changed();
"""


def upgrade() -> None:
    """Go up. The cells are counted anew at the end."""
    op.add_column("report", sa.Column("month", sa.Integer(), nullable=True))
    op.add_column("report", sa.Column("is_coarse", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.execute("ALTER TABLE report DISABLE TRIGGER USER")
    op.execute(
        "UPDATE report SET month = to_char(created_at AT TIME ZONE municipality.time_zone, 'YYYYMM')::integer"
        " FROM municipality WHERE municipality.id = report.municipality_id"
    )
    op.execute("ALTER TABLE report ENABLE TRIGGER USER")
    op.alter_column("report", "month", nullable=False)
    for table in ("category", "category_override"):
        op.drop_constraint(f"{table}_privacy_check", table, type_="check")
        op.create_check_constraint(f"{table}_privacy_check", table, "privacy IN ('public', 'coarse', 'hidden')")
    op.drop_index("report_public_cell_index", table_name="report")
    public = sa.text("is_public")
    op.create_index("report_public_cell_index", "report", ["is_open", "cell"], postgresql_where=public)
    op.create_index("report_public_month_index", "report", ["month", "cell"], postgresql_where=public)
    op.drop_table("tile_delta")
    op.drop_table("tile_cell")
    _make_tables()
    op.execute("DROP TRIGGER report_moved ON report")
    op.execute(FUNCTIONS)
    before, after = (", ".join(f"{row}.{column}" for column in SHOWN) for row in ("OLD", "NEW"))
    op.execute(
        "CREATE TRIGGER report_moved AFTER UPDATE ON report FOR EACH ROW"
        f" WHEN (({before}) IS DISTINCT FROM ({after})) EXECUTE FUNCTION report_changed()"
    )
    op.execute(
        f"INSERT INTO tile_delta ({COLUMNS}) SELECT {delta('report', '1')} FROM report WHERE {SEEN.format('report')}"
    )


def _make_tables() -> None:
    op.create_table(
        "tile_cell",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False, comment="yyyymm; yyyy00: the whole year; 0: all time"),
        sa.Column("scope", sa.Integer(), nullable=False, comment="whose map: 0 everyone's, else one municipality's"),
        sa.Column("cell", sa.BigInteger(), nullable=False, comment="Morton key at this level"),
        sa.Column("municipality_id", sa.Integer(), nullable=False, comment="0: of all of them together"),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("coarse_open", sa.Integer(), nullable=False, comment="of these, shown only as cells"),
        sa.Column("coarse_total", sa.Integer(), nullable=False),
        sa.Column(
            "sum_x", sa.BigInteger(), nullable=False, comment="columns (finest level) of the open ones, added up"
        ),
        sa.Column("sum_y", sa.BigInteger(), nullable=False, comment="rows (finest level) of the open ones, added up"),
        sa.Column("top", sa.Text(), nullable=True, comment="the category group with most open ones; all time only"),
        sa.Column("groups", postgresql.JSONB(), nullable=True, comment="open ones of each group; all time only"),
        sa.Column(
            "figures",
            postgresql.ARRAY(sa.BigInteger(), dimensions=2),
            nullable=False,
            comment="rows of: department, group, todo, doing, done, other, sum_x, sum_y, coarse open, coarse total",
        ),
        sa.PrimaryKeyConstraint("level", "month", "scope", "cell", "municipality_id"),
    )
    op.create_table(
        "tile_delta",
        sa.Column(
            "transaction",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
        ),
        sa.Column("cell", sa.BigInteger(), nullable=False, comment="Morton key at the finest level"),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("department_id", sa.Integer(), nullable=False),
        sa.Column("group_slug", sa.Text(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("stage", sa.SmallInteger(), nullable=False, comment="0 todo, 1 doing, 2 done, 3 other"),
        sa.Column("count", sa.SmallInteger(), nullable=False, comment="+1 appeared, -1 disappeared"),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.Column("is_coarse", sa.Boolean(), nullable=False),
    )
    op.create_index("tile_delta_cell_index", "tile_delta", ["cell"])
    op.create_index("tile_delta_transaction_index", "tile_delta", ["transaction"])
    op.create_table(
        "tile_fold",
        sa.Column(
            "transaction",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("transactions", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("cells", postgresql.ARRAY(sa.BigInteger()), nullable=True, comment="none: anything may have changed"),
    )
    op.create_index("tile_fold_transaction_index", "tile_fold", ["transaction"])
    op.execute(
        "ALTER TABLE tile_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);"
        # Figures are looked into many times: they lie in the row as they are, not squeezed.
        "ALTER TABLE tile_cell SET (toast_tuple_target = 8160);"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON tile_cell, tile_delta, tile_fold TO lampione_app, lampione_province;"
        "GRANT SELECT ON tile_cell, tile_delta, tile_fold TO lampione_reader;"
        "GRANT SELECT (month) ON report TO lampione_reader"
    )


def downgrade() -> None:
    """Go back: what was coarse becomes hidden."""
    op.drop_table("tile_fold")
    op.drop_table("tile_delta")
    op.drop_table("tile_cell")
    op.execute("DROP TRIGGER report_moved ON report")
    op.execute("ALTER TABLE report DISABLE TRIGGER USER")
    for table in ("category", "category_override"):
        op.execute(f"UPDATE {table} SET privacy = 'hidden' WHERE privacy = 'coarse'")
        op.drop_constraint(f"{table}_privacy_check", table, type_="check")
        op.create_check_constraint(f"{table}_privacy_check", table, "privacy IN ('public', 'hidden')")
    op.drop_index("report_public_month_index", table_name="report")
    op.drop_index("report_public_cell_index", table_name="report")
    public_and_open = sa.text("is_public AND is_open")
    op.create_index("report_public_cell_index", "report", ["cell"], postgresql_where=public_and_open)
    op.drop_column("report", "is_coarse")
    op.drop_column("report", "month")
    op.execute("ALTER TABLE report ENABLE TRIGGER USER")
    op.create_table(
        "tile_cell",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False, comment="Morton key at this level"),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("group_slug", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sum_x", sa.BigInteger(), nullable=False, comment="columns of the finest level, added up"),
        sa.Column("sum_y", sa.BigInteger(), nullable=False, comment="rows of the finest level, added up"),
        sa.PrimaryKeyConstraint("level", "cell", "municipality_id", "group_slug"),
    )
    op.create_table(
        "tile_delta",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False, comment="Morton key at the finest level"),
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("group_slug", sa.Text(), nullable=False),
        sa.Column("count", sa.SmallInteger(), nullable=False, comment="+1 appeared, -1 disappeared"),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("tile_delta_cell_index", "tile_delta", ["cell"])
    op.execute(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON tile_cell, tile_delta TO lampione_app, lampione_province;"
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO lampione_app, lampione_province;"
        "GRANT SELECT ON tile_cell, tile_delta TO lampione_reader;"
        "ALTER TABLE tile_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)"
    )
    op.execute(FORMER)
    op.execute(
        "INSERT INTO tile_delta (cell, municipality_id, group_slug, count, x, y)"
        " SELECT cell, municipality_id, group_slug, 1, cell_x, cell_y FROM report WHERE is_public AND is_open"
    )
