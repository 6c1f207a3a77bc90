"""Outside bodies, and reports in their hands.

A report that leaves `forwarded`, by whatever hand, is in nobody else's any more: a trigger ends the hand-over.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

IS_ACTIVE = "state IN ('queued', 'sent', 'accepted')"

CAME_BACK = f"""
CREATE FUNCTION report_came_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE handover SET state = 'withdrawn', finished_at = clock_timestamp()
  WHERE municipality_id = NEW.municipality_id AND report_id = NEW.id AND {IS_ACTIVE};
  RETURN NULL;
END $$;
CREATE TRIGGER report_came_back AFTER UPDATE OF state ON report FOR EACH ROW
  WHEN (OLD.state = 'forwarded' AND NEW.state <> 'forwarded') EXECUTE FUNCTION report_came_back();
"""
OWNER = "USING (true) WITH CHECK (true)"
OWN = "municipality_id = current_municipality()"


def _moment(name: str, *, now: bool = False) -> sa.Column[object]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not now)


def upgrade() -> None:
    """Go up."""
    _make_bodies()
    _make_handovers()
    for table in ("outside_body", "handover"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER {OWNER}")
        op.execute(f"CREATE POLICY province ON {table} TO lampione_province {OWNER}")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lampione_province")
    op.execute(f"CREATE POLICY tenant ON outside_body FOR SELECT TO lampione_app USING ({OWN})")
    op.execute("CREATE POLICY inherited ON outside_body FOR SELECT TO lampione_app USING (municipality_id = 0)")
    op.execute(f"CREATE POLICY tenant ON handover TO lampione_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(
        "CREATE POLICY public_view ON handover FOR SELECT TO lampione_reader USING (EXISTS ("
        " SELECT FROM report WHERE report.municipality_id = handover.municipality_id"
        " AND report.id = handover.report_id))"
    )
    op.execute(
        "GRANT SELECT ON outside_body TO lampione_app;"
        "GRANT SELECT, INSERT, UPDATE ON handover TO lampione_app;"
        "GRANT SELECT (municipality_id, report_id, name_it, name_en, state) ON handover TO lampione_reader"
    )
    op.execute(CAME_BACK)


def _make_bodies() -> None:
    op.create_table(
        "outside_body",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name_it", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column("jurisdiction", sa.String(), nullable=True),
        sa.Column("services", JSONB(), server_default="{}", nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("language", sa.String(), server_default="it", nullable=False),
        sa.Column("needs_check", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_internal", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _moment("changed_at", now=True),
        sa.CheckConstraint("channel IN ('mail', 'open311', 'webhook')", name=op.f("outside_body_channel_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("outside_body_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("outside_body_key")),
    )
    op.create_index("outside_body_slug_unique", "outside_body", ["municipality_id", "slug"], unique=True)


def _make_handovers() -> None:
    op.create_table(
        "handover",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("body_owner_id", sa.Integer(), nullable=True),
        sa.Column("body_id", sa.Integer(), nullable=True),
        sa.Column("to_municipality_id", sa.Integer(), nullable=True),
        sa.Column("name_it", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="queued", nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("needs_check", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("shares_contact", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _moment("respond_by"),
        _moment("reminded_at"),
        sa.Column("link_serial", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("link_hash", sa.LargeBinary(), nullable=True),
        _moment("link_expires_at"),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("reference_token", sa.String(), nullable=True),
        sa.Column("their_state", sa.String(), nullable=True),
        sa.Column("their_report_id", sa.Uuid(), nullable=True),
        sa.Column("mirrored_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("person_id", sa.Integer(), nullable=True),
        _moment("created_at", now=True),
        _moment("looked_at", now=True),
        _moment("tried_at"),
        _moment("sent_at"),
        _moment("accepted_at"),
        _moment("finished_at"),
        sa.CheckConstraint(
            "state IN ('queued', 'sent', 'accepted', 'refused', 'done', 'withdrawn', 'failed')",
            name=op.f("handover_state_check"),
        ),
        sa.CheckConstraint(
            "channel IN ('mail', 'open311', 'webhook', 'municipality')", name=op.f("handover_channel_check")
        ),
        sa.CheckConstraint("(to_municipality_id IS NULL) = (body_id IS NOT NULL)", name=op.f("handover_to_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id", "report_id"],
            ["report.municipality_id", "report.id"],
            name=op.f("handover_municipality_id_report_id_reference"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["body_owner_id", "body_id"],
            ["outside_body.municipality_id", "outside_body.id"],
            name=op.f("handover_body_owner_id_body_id_reference"),
        ),
        sa.ForeignKeyConstraint(
            ["to_municipality_id"], ["municipality.id"], name=op.f("handover_to_municipality_id_reference")
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("handover_key")),
    )
    op.create_index("handover_report_index", "handover", ["municipality_id", "report_id"])
    active = sa.text(IS_ACTIVE)
    op.create_index(
        "handover_active_unique",
        "handover",
        ["municipality_id", "report_id"],
        unique=True,
        postgresql_where=active,
    )
    op.create_index("handover_link_unique", "handover", ["link_hash"], unique=True)
    op.create_index("handover_theirs_index", "handover", ["to_municipality_id", "their_report_id"])
    op.create_index("handover_due_index", "handover", ["looked_at"], postgresql_where=active)


def downgrade() -> None:
    """Go back."""
    op.execute("DROP TRIGGER report_came_back ON report; DROP FUNCTION report_came_back()")
    op.drop_table("handover")
    op.drop_table("outside_body")
