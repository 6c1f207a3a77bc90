"""Who gets the monthly report by mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "report_schedule",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("day", sa.SmallInteger(), nullable=False),
        sa.Column("recipients", ARRAY(sa.Text()), nullable=False),
        sa.Column("department_slug", sa.String(), nullable=True),
        sa.Column("group_slug", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("noted_month", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("day BETWEEN 1 AND 28", name=op.f("report_schedule_day_check")),
        sa.ForeignKeyConstraint(
            ["municipality_id"], ["municipality.id"], name=op.f("report_schedule_municipality_id_reference")
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("report_schedule_key")),
    )
    op.execute(
        "ALTER TABLE report_schedule ENABLE ROW LEVEL SECURITY; ALTER TABLE report_schedule FORCE ROW LEVEL SECURITY"
    )
    for name, role in (("owner", "CURRENT_USER"), ("province", "lampione_province")):
        op.execute(f"CREATE POLICY {name} ON report_schedule TO {role} USING (true) WITH CHECK (true)")
    op.execute(
        "CREATE POLICY tenant ON report_schedule FOR SELECT TO lampione_app"
        " USING (municipality_id = current_municipality())"
    )
    op.execute("GRANT SELECT ON report_schedule TO lampione_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON report_schedule TO lampione_province")
    op.execute("GRANT USAGE ON SEQUENCE report_schedule_id_seq TO lampione_province")


def downgrade() -> None:
    """Go back."""
    op.drop_table("report_schedule")
