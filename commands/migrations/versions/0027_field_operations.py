"""What crews do with their tablets, and which crew had a report when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

SPELLS = """
CREATE FUNCTION crew_spell_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO crew_spell (municipality_id, report_id, crew_id, ended_at)
  VALUES (OLD.municipality_id, OLD.id, OLD.crew_id, clock_timestamp());
  RETURN NULL;
END $$;
CREATE TRIGGER crew_spell_ended AFTER UPDATE OF crew_id ON report FOR EACH ROW
  WHEN (OLD.crew_id IS DISTINCT FROM NEW.crew_id) EXECUTE FUNCTION crew_spell_ended();
"""


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "field_operation",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("crew_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=True),
        sa.Column("device_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "received_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("payload", JSONB(), server_default="{}", nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=True),
        sa.Column("first", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("conflict", JSONB(), nullable=True),
        sa.Column("is_noted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('start', 'done', 'cant', 'note', 'photo', 'found_more', 'work')",
            name=op.f("field_operation_kind_check"),
        ),
        sa.CheckConstraint(
            "outcome IN ('applied', 'conflict', 'waiting', 'refused')", name=op.f("field_operation_outcome_check")
        ),
        _of_report("field_operation"),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("field_operation_key")),
    )
    op.create_index("field_operation_report_index", "field_operation", ["municipality_id", "report_id", "happened_at"])
    op.create_index(
        "field_operation_conflict_index",
        "field_operation",
        ["municipality_id", "happened_at", "id"],
        postgresql_where=sa.text("outcome = 'conflict' AND settled_at IS NULL"),
    )
    op.create_index(
        "field_operation_upload_index",
        "field_operation",
        ["municipality_id", "upload_id"],
        postgresql_where=sa.text("upload_id IS NOT NULL"),
    )
    op.create_table(
        "crew_spell",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("crew_id", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        _of_report("crew_spell"),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("crew_spell_key")),
    )
    op.create_index("crew_spell_report_index", "crew_spell", ["municipality_id", "report_id", "id"])
    for table, rights in (("field_operation", "SELECT, INSERT, UPDATE"), ("crew_spell", "SELECT, INSERT")):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        for role, name in (("CURRENT_USER", "owner"), ("lampione_province", "province")):
            op.execute(f"CREATE POLICY {name} ON {table} TO {role} USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO lampione_app USING (municipality_id = current_municipality())"
            " WITH CHECK (municipality_id = current_municipality())"
        )
        op.execute(f"GRANT {rights} ON {table} TO lampione_app, lampione_province")
    op.execute("GRANT USAGE ON SEQUENCE crew_spell_id_seq TO lampione_app, lampione_province")
    op.execute(SPELLS)


def _of_report(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["municipality_id", "report_id"],
        ["report.municipality_id", "report.id"],
        name=op.f(f"{table}_municipality_id_report_id_reference"),
        ondelete="CASCADE",
    )


def downgrade() -> None:
    """Go back."""
    op.execute("DROP TRIGGER crew_spell_ended ON report; DROP FUNCTION crew_spell_ended()")
    op.drop_table("crew_spell")
    op.drop_table("field_operation")
