"""Who wants to hear of what, and what they are still to be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from geo.columns import plain_shape_column

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TABLES = ("subscriber", "subscription", "subscription_cell", "tiding", "report_told")
HERE = "municipality_id = current_municipality()"


def upgrade() -> None:
    """Go up."""
    op.add_column("municipality", sa.Column("has_subscribers", sa.Boolean(), server_default="false", nullable=False))
    op.create_table(
        "subscriber",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("language", sa.String(), server_default="it", nullable=False),
        sa.Column("rhythm", sa.String(), server_default="at_once", nullable=False),
        sa.Column("quiet_from", sa.Time(), nullable=True),
        sa.Column("quiet_until", sa.Time(), nullable=True),
        _moment("paused_at"),
        _moment("created_at", "now()"),
        sa.CheckConstraint("rhythm IN ('at_once', 'daily')", name=op.f("subscriber_rhythm_check")),
        sa.CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name=op.f("subscriber_quiet_check")),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("subscriber_key")),
    )
    op.create_index(
        "subscriber_address_unique", "subscriber", ["municipality_id", sa.text("lower(address)")], unique=True
    )
    _make_subscription()
    op.create_table(
        "subscription_cell",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("is_inside", sa.Boolean(), nullable=False),
        sa.Column("wishes", sa.SmallInteger(), nullable=False),
        sa.Column("lon", sa.Float(), nullable=True),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("square", sa.Float(), nullable=True),
        sa.Column("groups", ARRAY(sa.TEXT()), nullable=True),
        _of("subscription_cell", "subscription"),
        sa.PrimaryKeyConstraint(
            "municipality_id",
            "cell",
            "subscription_id",
            name=op.f("subscription_cell_key"),
            postgresql_include=["subscriber_id", "is_inside", "wishes", "lon", "lat", "square", "groups"],
        ),
    )
    op.create_index("subscription_cell_subscription_index", "subscription_cell", ["municipality_id", "subscription_id"])
    op.create_table(
        "tiding",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        _of("tiding", "subscriber"),
        _of("tiding", "report"),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("tiding_key")),
    )
    op.create_index("tiding_due_index", "tiding", ["due_at"], postgresql_where=sa.text("delivery_id IS NULL"))
    op.create_index("tiding_delivery_index", "tiding", ["municipality_id", "delivery_id"])
    op.create_index("tiding_report_index", "tiding", ["municipality_id", "report_id"])
    op.create_index(
        "tiding_unique", "tiding", ["municipality_id", "subscriber_id", "report_id", "entry_id"], unique=True
    )
    op.create_table(
        "report_told",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        _of("report_told", "report"),
        sa.PrimaryKeyConstraint("municipality_id", "report_id", name=op.f("report_told_key")),
    )
    op.drop_index("delivery_queued_index", "delivery")
    op.create_index(
        "delivery_queued_index",
        "delivery",
        ["municipality_id", "kind", "created_at", "id"],
        postgresql_where=sa.text("state = 'queued'"),
    )
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY province ON {table} TO lampione_province USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY tenant ON {table} TO lampione_app USING ({HERE}) WITH CHECK ({HERE})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lampione_app, lampione_province")


def _make_subscription() -> None:
    op.create_table(
        "subscription",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=True),
        sa.Column("lon", sa.Float(), nullable=True),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("metres", sa.Float(), nullable=True),
        sa.Column("shape", plain_shape_column(), nullable=True),
        sa.Column("zone", sa.String(), nullable=True),
        sa.Column("groups", ARRAY(sa.TEXT()), nullable=True),
        sa.Column("reports", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("notices", sa.Boolean(), server_default="true", nullable=False),
        _moment("confirmed_at"),
        _moment("created_at", "now()"),
        _of("subscription", "subscriber"),
        _of("subscription", "report"),
        *(
            sa.CheckConstraint(condition, name=op.f(f"subscription_{name}_check"))
            for name, condition in (
                ("kind", "kind IN ('report', 'circle', 'polygon', 'zone', 'municipality')"),
                ("report", "(kind = 'report') = (report_id IS NOT NULL)"),
                ("circle", "(kind = 'circle') = (metres IS NOT NULL)"),
                ("polygon", "(kind = 'polygon') = (shape IS NOT NULL)"),
                ("zone", "(kind = 'zone') = (zone IS NOT NULL)"),
            )
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("subscription_key")),
    )
    op.create_index("subscription_subscriber_index", "subscription", ["municipality_id", "subscriber_id"])
    op.create_index(
        "subscription_report_unique",
        "subscription",
        ["municipality_id", "report_id", "subscriber_id"],
        unique=True,
        postgresql_where=sa.text("report_id IS NOT NULL"),
    )


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
    op.drop_index("delivery_queued_index", "delivery")
    op.create_index(
        "delivery_queued_index", "delivery", ["municipality_id", "kind"], postgresql_where=sa.text("state = 'queued'")
    )
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DELETE FROM delivery WHERE kind = 'tidings'")
    op.drop_column("municipality", "has_subscribers")
