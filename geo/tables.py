"""The tile pyramid's rows: cells with counts and coordinate sums, and the changes not yet folded into them.

All hold nothing but numbers of what is public already. Level, month and scope lead a cell's key, so that a tile is one
range of the index: on everyone's map the coarse levels have rows of all municipalities together, the fine ones one row
for each municipality in a cell.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

_THIS_TRANSACTION = text("(pg_current_xact_id()::text)::bigint")

tile_cell = Table(
    "tile_cell",
    metadata,
    Column("level", SmallInteger, primary_key=True),
    Column("month", Integer, primary_key=True, comment="yyyymm; yyyy00: the whole year; 0: all time"),
    Column("scope", Integer, primary_key=True, comment="whose map: 0 everyone's, else one municipality's"),
    Column("cell", BigInteger, primary_key=True, comment="Morton key at this level"),
    Column("municipality_id", Integer, primary_key=True, comment="0: of all of them together"),
    Column("open", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("coarse_open", Integer, nullable=False, comment="of these, shown only as cells"),
    Column("coarse_total", Integer, nullable=False),
    Column("sum_x", BigInteger, nullable=False, comment="columns (finest level) of the open ones, added up"),
    Column("sum_y", BigInteger, nullable=False, comment="rows (finest level) of the open ones, added up"),
    Column("top", Text, nullable=True, comment="the category group with most open ones; all time only"),
    Column("groups", JSONB, nullable=True, comment="open ones of each group; all time only"),
    Column(
        "figures",
        ARRAY(BigInteger, dimensions=2),
        nullable=False,
        comment="rows of: department, group, todo, doing, done, other, sum_x, sum_y, coarse open, coarse total",
    ),
)

tile_delta = Table(
    "tile_delta",
    metadata,
    Column("transaction", BigInteger, nullable=False, server_default=_THIS_TRANSACTION),
    Column("cell", BigInteger, nullable=False, comment="Morton key at the finest level"),
    Column("municipality_id", Integer, nullable=False),
    Column("department_id", Integer, nullable=False),
    Column("group_slug", Text, nullable=False),
    Column("month", Integer, nullable=False),
    Column("stage", SmallInteger, nullable=False, comment="0 todo, 1 doing, 2 done, 3 other"),
    Column("count", SmallInteger, nullable=False, comment="+1 appeared, -1 disappeared"),
    Column("x", Integer, nullable=False),
    Column("y", Integer, nullable=False),
    Column("is_coarse", Boolean, nullable=False),
    Index("tile_delta_cell_index", "cell"),
    Index("tile_delta_transaction_index", "transaction"),
)

tile_fold = Table(
    "tile_fold",
    metadata,
    Column("transaction", BigInteger, nullable=False, server_default=_THIS_TRANSACTION),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("transactions", ARRAY(BigInteger), nullable=True),
    Column("cells", ARRAY(BigInteger), nullable=True, comment="none: anything may have changed"),
    Index("tile_fold_transaction_index", "transaction"),
)
