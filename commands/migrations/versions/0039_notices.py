"""Notices, to whom they are told, and the reports that they date."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from commands.migrations.guarding import guard
from geo.columns import plain_area_column

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

PUBLIC = (
    "municipality_id, id, number, state, version, kind, title_it, title_en, text_it, text_en, is_everywhere, shape,"
    " groups, starts_at, ends_at, expected_on, expires_at, link, department_id, is_urgent, reason, updated_at,"
    " published_at, over_at"
)
CURRENT = "state = 'published'"
"""What the registry holds in memory, and the map shows: its version moves with these alone."""


def upgrade() -> None:
    """Go up."""
    op.execute("CREATE SEQUENCE notice_number")
    op.execute("GRANT USAGE ON SEQUENCE notice_number TO lampione_app, lampione_province")
    _make_notice()
    _make_telling()
    op.create_table(
        "notice_report",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        _of("notice_report", "notice"),
        _of("notice_report", "report"),
        sa.PrimaryKeyConstraint("municipality_id", "notice_id", "report_id", name=op.f("notice_report_key")),
    )
    op.create_index("notice_report_report_index", "notice_report", ["municipality_id", "report_id"])
    op.add_column("delivery", sa.Column("telling_id", sa.BigInteger(), nullable=True))
    op.add_column("delivery", _moment("due_at"))
    op.create_index(
        "delivery_telling_index",
        "delivery",
        ["municipality_id", "telling_id", "state", "due_at", "id"],
        postgresql_where=sa.text("telling_id IS NOT NULL"),
    )
    guard("notice", "notice_telling", "notice_report")
    op.execute(
        "CREATE POLICY public_view ON notice FOR SELECT TO lampione_reader"
        " USING (published_at IS NOT NULL AND state IN ('published', 'ended', 'withdrawn'))"
    )
    op.execute(f"GRANT SELECT ({PUBLIC}) ON notice TO lampione_reader")
    for name, when in (("INSERT", f"NEW.{CURRENT}"), ("UPDATE", f"NEW.{CURRENT} OR OLD.{CURRENT}")):
        op.execute(
            f"CREATE TRIGGER notice_current_{name.lower()} AFTER {name} ON notice FOR EACH ROW WHEN ({when})"
            " EXECUTE FUNCTION registry_changed()"
        )
    op.execute(
        f"CREATE TRIGGER notice_current_delete AFTER DELETE ON notice FOR EACH ROW WHEN (OLD.{CURRENT})"
        " EXECUTE FUNCTION registry_changed()"
    )


def _make_notice() -> None:
    op.create_table(
        "notice",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="draft", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        *(_words(name) for name in ("kind", "title_it", "title_en", "text_it", "text_en")),
        sa.Column("area", JSONB(), nullable=False),
        sa.Column("is_everywhere", sa.Boolean(), nullable=False),
        sa.Column("shape", plain_area_column(), nullable=False),
        sa.Column("zones", ARRAY(sa.TEXT()), nullable=False),
        sa.Column("groups", ARRAY(sa.TEXT()), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        _moment("ends_at"),
        sa.Column("expected_on", sa.Date(), nullable=True),
        _moment("publish_at"),
        _moment("expires_at"),
        sa.Column("link", sa.String(), nullable=True),
        sa.Column("department_id", sa.Integer(), nullable=False),
        sa.Column("is_urgent", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("applies_to_reports", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("person_id", sa.Integer(), nullable=False),
        _moment("created_at", "now()"),
        _moment("updated_at", "now()"),
        _moment("published_at"),
        _moment("over_at"),
        *(
            sa.CheckConstraint(condition, name=op.f(f"notice_{name}_check"))
            for name, condition in (
                ("state", "state IN ('draft', 'scheduled', 'published', 'ended', 'withdrawn')"),
                ("published", "state <> 'published' OR published_at IS NOT NULL"),
                ("title", "title_it <> '' OR title_en <> ''"),
            )
        ),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("notice_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("notice_key")),
    )
    op.create_index("notice_number_unique", "notice", ["number"], unique=True)
    op.create_index("notice_state_index", "notice", ["municipality_id", "state"])
    op.create_index("notice_order_index", "notice", ["municipality_id", "starts_at", "id"])


def _make_telling() -> None:
    op.create_table(
        "notice_telling",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        _words("what"),
        sa.Column("words", sa.String(), nullable=True),
        sa.Column(
            "told_up_to",
            sa.Uuid(),
            server_default=sa.text("'00000000-0000-0000-0000-000000000000'"),
            nullable=False,
        ),
        _moment("queued_at"),
        _moment("paused_at"),
        _moment("over_at"),
        _moment("created_at", "now()"),
        _of("notice_telling", "notice"),
        sa.CheckConstraint("what IN ('announced', 'changed', 'withdrawn')", name=op.f("notice_telling_what_check")),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("notice_telling_key")),
    )
    op.create_index("notice_telling_notice_index", "notice_telling", ["municipality_id", "notice_id"])
    op.create_index(
        "notice_telling_going_index",
        "notice_telling",
        ["municipality_id", "id"],
        postgresql_where=sa.text("over_at IS NULL"),
    )


def _words(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def _moment(name: str, default: str | None = None) -> sa.Column[object]:
    given = sa.text(default) if default else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=given, nullable=default is None)


def _of(table: str, owner: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["municipality_id", f"{owner}_id"],
        [f"{owner}.municipality_id", f"{owner}.id"],
        name=op.f(f"{table}_municipality_id_{owner}_id_reference"),
        ondelete="CASCADE",
    )


def downgrade() -> None:
    """Go back."""
    op.execute("DELETE FROM delivery WHERE kind = 'notice'")
    op.drop_index("delivery_telling_index", "delivery")
    op.drop_column("delivery", "due_at")
    op.drop_column("delivery", "telling_id")
    for table in ("notice_report", "notice_telling", "notice"):
        op.drop_table(table)
    op.execute("DROP SEQUENCE notice_number")
