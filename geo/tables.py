"""The tile pyramid's rows: cells with counts and coordinate sums, and the changes not yet folded into them.

Both hold nothing but numbers of what is public already. Level and cell lead the key, so that a tile is one range of
the index whatever the number of tenants.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, MetaData, SmallInteger, Table, Text

metadata = MetaData()

tile_cell = Table(
    "tile_cell",
    metadata,
    Column("level", SmallInteger, primary_key=True),
    Column("cell", BigInteger, primary_key=True, comment="Morton key at this level"),
    Column("municipality_id", Integer, primary_key=True),
    Column("group_slug", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("sum_x", BigInteger, nullable=False, comment="columns of the finest level, added up"),
    Column("sum_y", BigInteger, nullable=False, comment="rows of the finest level, added up"),
)

tile_delta = Table(
    "tile_delta",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("cell", BigInteger, nullable=False, comment="Morton key at the finest level"),
    Column("municipality_id", Integer, nullable=False),
    Column("group_slug", Text, nullable=False),
    Column("count", SmallInteger, nullable=False, comment="+1 appeared, -1 disappeared"),
    Column("x", Integer, nullable=False),
    Column("y", Integer, nullable=False),
    Index("tile_delta_cell_index", "cell"),
)
