"""Watchers, mentions, saved filters and runs over many reports; indexes for the lists of the desk."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("watcher", "mention", "saved_filter", "stack_run")
INDEXES = (
    ("report_crew_index", ["municipality_id", "crew_id"], "crew_id IS NOT NULL"),
    ("report_deadline_index", ["municipality_id", "deadline_at", "id"], "is_open"),
    ("report_urgent_index", ["municipality_id", "deadline_at", "id"], "is_open AND is_emergency"),
    ("report_escalated_index", ["municipality_id", "deadline_at", "id"], "is_open AND escalation > 0"),
)


def _of_report(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["municipality_id", "report_id"],
        ["report.municipality_id", "report.id"],
        ondelete="CASCADE",
        name=op.f(f"{table}_municipality_id_report_id_reference"),
    )


def _of_person(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["municipality_id", "person_id"],
        ["person.municipality_id", "person.id"],
        ondelete="CASCADE",
        name=op.f(f"{table}_municipality_id_person_id_reference"),
    )


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "watcher",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("told_id", sa.BigInteger(), nullable=False),
        sa.Column("since_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        _of_report("watcher"),
        _of_person("watcher"),
        sa.PrimaryKeyConstraint("municipality_id", "person_id", "report_id", name=op.f("watcher_key")),
    )
    op.create_table(
        "mention",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        _of_report("mention"),
        _of_person("mention"),
        sa.PrimaryKeyConstraint("municipality_id", "person_id", "entry_id", name=op.f("mention_key")),
    )
    for table in ("watcher", "mention"):
        op.create_index(f"{table}_report_index", table, ["municipality_id", "report_id"])
    op.create_table(
        "saved_filter",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("department_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("conditions", JSONB(), nullable=False),
        sa.Column("sorting", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        _of_person("saved_filter"),
        sa.ForeignKeyConstraint(
            ["municipality_id", "department_id"],
            ["department.municipality_id", "department.id"],
            ondelete="CASCADE",
            name=op.f("saved_filter_municipality_id_department_id_reference"),
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("saved_filter_key")),
    )
    op.create_index("saved_filter_name_unique", "saved_filter", ["municipality_id", "person_id", "name"], unique=True)
    op.create_index("saved_filter_department_index", "saved_filter", ["municipality_id", "department_id"])
    op.create_table(
        "stack_run",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        _of_person("stack_run"),
        sa.PrimaryKeyConstraint("municipality_id", "reference", name=op.f("stack_run_key")),
    )
    for name, columns, where in INDEXES:
        op.create_index(name, "report", columns, postgresql_where=sa.text(where))
    _guard()


def _guard() -> None:
    owner = "USING (true) WITH CHECK (true)"
    ours = "municipality_id = current_municipality()"
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER {owner}")
        op.execute(f"CREATE POLICY province ON {table} TO lampione_province {owner}")
        op.execute(f"CREATE POLICY tenant ON {table} TO lampione_app USING ({ours}) WITH CHECK ({ours})")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON watcher, saved_filter TO lampione_app")
    op.execute("GRANT SELECT, INSERT ON mention, stack_run TO lampione_app")
    op.execute("GRANT UPDATE (seen_at) ON mention TO lampione_app; GRANT UPDATE (answer) ON stack_run TO lampione_app")
    op.execute("GRANT SELECT, DELETE ON stack_run TO lampione_province")


def downgrade() -> None:
    """Go back."""
    for name, _, _ in INDEXES:
        op.drop_index(name, "report")
    for table in reversed(TABLES):
        op.drop_table(table)
