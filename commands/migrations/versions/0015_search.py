"""Words of reports: what the desk and the public search.

Whatever could be found differently leaves a row in `search_due`, in its own transaction, and a chore reads the report
anew. Row-level security lets no condition on a tsvector into an index (its operator is not leakproof), so two functions
look as the tables' owner: each names the municipality and whose words itself, and gives ids only, of which the caller
then sees what its own role may see.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WORDS = ("report_text", "search_word", "search_gram")

REWORDED = "description, public_description, address, category_id, is_public, number"

FUNCTIONS = """
CREATE FUNCTION reports_due_for_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO search_due (municipality_id, report_id) SELECT municipality_id, id FROM appeared;
  RETURN NULL;
END $$;

CREATE FUNCTION report_due_for_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO search_due (municipality_id, report_id) VALUES (OLD.municipality_id, OLD.id);
  ELSE
    INSERT INTO search_due (municipality_id, report_id) VALUES (NEW.municipality_id, NEW.id);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION note_due_for_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO search_due (municipality_id, report_id) VALUES (NEW.municipality_id, NEW.report_id);
  RETURN NULL;
END $$;

CREATE FUNCTION reports_with_words(wanted tsquery, before timestamptz, most integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp ROWS 1000 AS $$
  WITH found AS MATERIALIZED (
    SELECT report_id, created_at FROM report_text
    WHERE words @@ wanted AND municipality_id = current_municipality() AND NOT is_public AND created_at <= before
  )
  SELECT report_id FROM found ORDER BY created_at DESC, report_id DESC LIMIT most
$$;

CREATE FUNCTION public_reports_with_words(municipality integer, wanted tsquery, before timestamptz, most integer)
RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp ROWS 1000 AS $$
  WITH found AS MATERIALIZED (
    SELECT report_id, created_at FROM report_text
    WHERE words @@ wanted AND municipality_id = municipality AND is_public AND created_at <= before
  )
  SELECT report_id FROM found ORDER BY created_at DESC, report_id DESC LIMIT most
$$;

REVOKE EXECUTE ON FUNCTION reports_with_words, public_reports_with_words FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reports_with_words TO lampione_app;
GRANT EXECUTE ON FUNCTION public_reports_with_words TO lampione_app, lampione_reader;
"""

TRIGGERS = f"""
CREATE TRIGGER reports_due_for_search AFTER INSERT ON report
  REFERENCING NEW TABLE AS appeared FOR EACH STATEMENT EXECUTE FUNCTION reports_due_for_search();
CREATE TRIGGER report_reworded AFTER UPDATE ON report FOR EACH ROW
  WHEN (({", ".join(f"OLD.{name}" for name in REWORDED.split(", "))})
        IS DISTINCT FROM ({", ".join(f"NEW.{name}" for name in REWORDED.split(", "))}))
  EXECUTE FUNCTION report_due_for_search();
CREATE TRIGGER report_words_gone AFTER DELETE ON report FOR EACH ROW EXECUTE FUNCTION report_due_for_search();
CREATE TRIGGER note_due_for_search AFTER INSERT ON timeline_entry FOR EACH ROW
  WHEN (NEW.note IS NOT NULL) EXECUTE FUNCTION note_due_for_search();
"""


def upgrade() -> None:
    """Go up. Every report there is will be read by the chore."""
    _make_tables()
    for table in (*WORDS, "search_due"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        for role, name in (("CURRENT_USER", "owner"), ("lampione_province", "province")):
            op.execute(f"CREATE POLICY {name} ON {table} TO {role} USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO lampione_app USING (municipality_id = current_municipality())"
            " WITH CHECK (municipality_id = current_municipality())"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lampione_province")
    for table in WORDS:
        op.execute(f"CREATE POLICY public_view ON {table} FOR SELECT TO lampione_reader USING (is_public)")
        op.execute(f"GRANT SELECT ON {table} TO lampione_app, lampione_reader")
    op.execute("GRANT SELECT, INSERT ON search_due TO lampione_app")
    op.execute("ALTER TABLE search_due SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)")
    op.execute(FUNCTIONS)
    op.execute(TRIGGERS)
    op.execute("INSERT INTO search_due (municipality_id, report_id) SELECT municipality_id, id FROM report")


def _make_tables() -> None:
    op.create_table(
        "search_due",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("search_due_key")),
    )
    op.create_table(
        "report_text",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("municipality_id", "is_public", "report_id", name=op.f("report_text_key")),
    )
    op.create_index(
        "report_text_words_index",
        "report_text",
        ["words"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.create_table(
        "search_word",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("word", sa.Text(collation="C"), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("municipality_id", "is_public", "word", name=op.f("search_word_key")),
    )
    op.create_table(
        "search_gram",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("gram", sa.Text(collation="C"), nullable=False),
        sa.Column("word", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("municipality_id", "is_public", "gram", "word", name=op.f("search_gram_key")),
    )


def downgrade() -> None:
    """Go back."""
    for trigger in ("reports_due_for_search", "report_reworded", "report_words_gone"):
        op.execute(f"DROP TRIGGER {trigger} ON report")
    op.execute("DROP TRIGGER note_due_for_search ON timeline_entry")
    op.execute(
        "DROP FUNCTION reports_due_for_search, report_due_for_search, note_due_for_search, reports_with_words,"
        " public_reports_with_words"
    )
    for table in ("search_gram", "search_word", "report_text", "search_due"):
        op.drop_table(table)
