"""When the offices work: deadlines in calendar days, working days or working hours; office hours and closing days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

UNITS = "deadline_unit IN ('calendar_days', 'working_days', 'working_hours')"


def upgrade() -> None:
    """Go up."""
    for table in ("category", "category_override"):
        op.alter_column(table, "deadline_days", new_column_name="deadline_amount")
        op.add_column(
            table,
            sa.Column("deadline_unit", sa.String(), server_default="calendar_days", nullable=table != "category"),
        )
        op.create_check_constraint(op.f(f"{table}_deadline_unit_check"), table, UNITS)
    op.alter_column("category_override", "deadline_unit", server_default=None)
    op.execute("UPDATE category_override SET deadline_unit = NULL WHERE deadline_amount IS NULL")
    op.create_check_constraint(
        op.f("category_override_deadline_whole_check"),
        "category_override",
        "(deadline_amount IS NULL) = (deadline_unit IS NULL)",
    )
    op.add_column("municipality", sa.Column("office_hours", JSONB(none_as_null=True), nullable=True))
    op.create_table(
        "closing_day",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("closing_day_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "day", name=op.f("closing_day_key")),
    )
    op.execute("ALTER TABLE closing_day ENABLE ROW LEVEL SECURITY; ALTER TABLE closing_day FORCE ROW LEVEL SECURITY")
    for role, name in (("CURRENT_USER", "owner"), ("lampione_province", "province")):
        op.execute(f"CREATE POLICY {name} ON closing_day TO {role} USING (true) WITH CHECK (true)")
    own = "municipality_id = current_municipality()"
    op.execute(f"CREATE POLICY tenant ON closing_day TO lampione_app USING ({own}) WITH CHECK ({own})")
    op.execute("CREATE POLICY inherited ON closing_day FOR SELECT TO lampione_app USING (municipality_id = 0)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON closing_day TO lampione_app, lampione_province")
    op.execute(
        "CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON closing_day"
        " FOR EACH STATEMENT EXECUTE FUNCTION registry_changed()"
    )


def downgrade() -> None:
    """Go back; a deadline in another unit is taken for calendar days."""
    op.drop_table("closing_day")
    op.drop_column("municipality", "office_hours")
    for table in ("category_override", "category"):
        op.drop_column(table, "deadline_unit")
        op.alter_column(table, "deadline_amount", new_column_name="deadline_days")
