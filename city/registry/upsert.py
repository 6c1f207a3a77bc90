"""A row is written only where it is new or differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import select

from city.database import Base, WriteSession

Row = TypeVar("Row", bound=Base)


def put(session: WriteSession, table: type[Row], key: Mapping[str, Any], values: Mapping[str, Any]) -> Row:
    """The row of `key`, with `values`; written only where it is new or differs."""
    row = session.scalar(select(table).filter_by(**key))
    if row is None:
        row = table(**key, **values)
        session.add(row)
    else:
        for name, value in values.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
    session.flush()
    return row
