"""Streets and house numbers, and who said a report's address.

Streets and numbers are public data: the reader sees them all. They are searched by ranges of cells and by equality of
short texts, which row-level security lets an index answer.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("street", "street_gram", "street_point", "house_number")


def upgrade() -> None:
    """Go up."""
    op.add_column("report", sa.Column("address_source", sa.String(), nullable=True))
    op.execute("UPDATE report SET address_source = 'citizen' WHERE address IS NOT NULL")
    op.add_column(
        "municipality", sa.Column("has_addresses", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    _streets()
    _points()
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        for role, name in (("CURRENT_USER", "owner"), ("lampione_province", "province")):
            op.execute(f"CREATE POLICY {name} ON {table} TO {role} USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO lampione_app USING (municipality_id = current_municipality())"
            " WITH CHECK (municipality_id = current_municipality())"
        )
        op.execute(f"CREATE POLICY public_view ON {table} FOR SELECT TO lampione_reader USING (true)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lampione_app, lampione_province")
        op.execute(f"GRANT SELECT ON {table} TO lampione_reader")
    op.execute("GRANT USAGE ON SEQUENCE street_id_seq TO lampione_app, lampione_province")


def _streets() -> None:
    op.create_table(
        "street",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("locality", sa.String(), nullable=True),
        sa.Column("postcode", sa.String(), nullable=True),
        sa.Column("origins", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("gram_count", sa.SmallInteger(), nullable=False),
        sa.Column("lon", sa.Float(), nullable=True),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("shape", Geometry("MULTILINESTRING", srid=4326, spatial_index=False), nullable=True),
        sa.ForeignKeyConstraint(
            ["municipality_id"],
            ["municipality.id"],
            name=op.f("street_municipality_id_reference"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("municipality_id", "id", name=op.f("street_key")),
    )
    op.create_index("street_reference_unique", "street", ["municipality_id", "reference"], unique=True)
    op.create_index("street_words_index", "street", ["municipality_id", "words"])


def _points() -> None:
    op.create_table(
        "street_gram",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("gram", sa.Text(collation="C"), nullable=False),
        sa.Column("street_id", sa.Integer(), nullable=False),
        _of_street("street_gram"),
        sa.PrimaryKeyConstraint("municipality_id", "gram", "street_id", name=op.f("street_gram_key")),
    )
    op.create_index("street_gram_street_index", "street_gram", ["municipality_id", "street_id"])
    op.create_table(
        "street_point",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("street_id", sa.Integer(), nullable=False),
        sa.Column("lon", sa.Float(), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        _of_street("street_point"),
        sa.PrimaryKeyConstraint("municipality_id", "cell", "street_id", name=op.f("street_point_key")),
    )
    op.create_index("street_point_street_index", "street_point", ["municipality_id", "street_id"])
    op.create_table(
        "house_number",
        sa.Column("municipality_id", sa.Integer(), nullable=False),
        sa.Column("street_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("suffix", sa.String(), nullable=False),
        sa.Column("written", sa.String(), nullable=False),
        sa.Column("postcode", sa.String(), nullable=True),
        sa.Column("lon", sa.Float(), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        _of_street("house_number"),
        sa.PrimaryKeyConstraint("municipality_id", "street_id", "number", "suffix", name=op.f("house_number_key")),
    )
    op.create_index("house_number_cell_index", "house_number", ["municipality_id", "cell"])


def _of_street(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["municipality_id", "street_id"],
        ["street.municipality_id", "street.id"],
        name=op.f(f"{table}_municipality_id_street_id_reference"),
        ondelete="CASCADE",
    )


def downgrade() -> None:
    """Go back."""
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("municipality", "has_addresses")
    op.drop_column("report", "address_source")
