"""The talk with reporters: terms, reply templates, questions, feedback; solved reports found by when they were solved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INHERITED = ("dialogue_terms", "reply_template")
OF_REPORTS = ("question", "feedback")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go up."""
    _make_inherited()
    _make_question()
    _make_feedback()
    op.create_index(
        "report_resolved_index",
        "report",
        ["municipality_id", "solved_at"],
        postgresql_where=sa.text("state = 'resolved'"),
    )
    owner = "USING (true) WITH CHECK (true)"
    for table in (*INHERITED, *OF_REPORTS):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER {owner}")
        op.execute(f"CREATE POLICY province ON {table} TO lampione_province {owner}")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO lampione_app"
            " USING (municipality_id = current_municipality()) WITH CHECK (municipality_id = current_municipality())"
        )
    for table in INHERITED:
        op.execute(f"CREATE POLICY inherited ON {table} FOR SELECT TO lampione_app USING (municipality_id = 0)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lampione_app, lampione_province")
    op.execute("GRANT SELECT, INSERT, UPDATE ON question, feedback TO lampione_app")
    op.execute("GRANT SELECT ON question, feedback TO lampione_province")
    op.execute("GRANT USAGE ON SEQUENCE question_id_seq TO lampione_app")


def _make_inherited() -> None:
    op.create_table(
        "dialogue_terms",
        sa.Column("municipality_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("reopening_days", sa.SmallInteger(), nullable=True),
        sa.Column("closing_days", sa.SmallInteger(), nullable=True),
        sa.Column("answer_days", sa.SmallInteger(), nullable=True),
        sa.CheckConstraint(
            "reopening_days BETWEEN 1 AND 365 AND closing_days BETWEEN 1 AND 365 AND answer_days BETWEEN 1 AND 60",
            name=op.f("dialogue_terms_days_check"),
        ),
        sa.PrimaryKeyConstraint("municipality_id", name=op.f("dialogue_terms_key")),
    )
    op.create_table(
        "reply_template",
        sa.Column("municipality_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("title_it", sa.String(), nullable=False),
        sa.Column("title_en", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("group_slug", sa.String(), nullable=True),
        sa.Column("category_slug", sa.String(), nullable=True),
        sa.Column("text_it", sa.String(), nullable=False),
        sa.Column("text_en", sa.String(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.PrimaryKeyConstraint("municipality_id", "slug", name=op.f("reply_template_key")),
    )


def _of_report(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["municipality_id", "report_id"],
        ["report.municipality_id", "report.id"],
        name=op.f(f"{table}_municipality_id_report_id_reference"),
        ondelete="CASCADE",
    )


def _make_question() -> None:
    op.create_table(
        "question",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("triage_reason", sa.String(), nullable=True),
        sa.Column("asked_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("remind_at", MOMENT, nullable=False),
        sa.Column("reminded_at", MOMENT, nullable=True),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        _of_report("question"),
        sa.CheckConstraint("state IN ('open', 'answered', 'expired', 'withdrawn')", name=op.f("question_state_check")),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("question_key")),
    )
    is_open = sa.text("state = 'open'")
    key = ["municipality_id", "report_id"]
    op.create_index("question_report_index", "question", [*key, "id"])
    op.create_index("question_open_unique", "question", key, unique=True, postgresql_where=is_open)
    op.create_index("question_due_index", "question", ["due_at"], postgresql_where=is_open)


def _make_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("rating", sa.SmallInteger(), nullable=False),
        sa.Column("words", sa.String(), nullable=True),
        sa.Column("is_solved", sa.Boolean(), nullable=True),
        sa.Column("given_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        _of_report("feedback"),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name=op.f("feedback_rating_check")),
        sa.PrimaryKeyConstraint("municipality_id", "report_id", name=op.f("feedback_key")),
    )
    op.create_index("feedback_given_index", "feedback", ["municipality_id", "given_at"])


def downgrade() -> None:
    """Go back."""
    op.drop_index("report_resolved_index", "report")
    for table in (*OF_REPORTS, *INHERITED):
        op.drop_table(table)
