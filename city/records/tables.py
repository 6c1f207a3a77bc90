"""The rows of what is worked out from reports: hot spots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base
from geo.columns import polygon_column


class Hotspot(Base):
    """A square where more (or less) was reported than chance explains; the worker writes them anew now and then."""

    __tablename__ = "hotspot"
    __table_args__ = (CheckConstraint("count >= 5", name="small_count"),)

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    """0: of the whole province, in larger squares."""
    is_public: Mapped[bool] = mapped_column(primary_key=True)
    """Made of public reports only; else of all, for those who work here."""
    group_slug: Mapped[str] = mapped_column(primary_key=True)
    """Of the categories counted; empty: all of them."""
    cell_column: Mapped[int] = mapped_column(primary_key=True)
    cell_row: Mapped[int] = mapped_column(primary_key=True)
    cell_metres: Mapped[float]
    shape: Mapped[Any] = mapped_column(polygon_column())
    lon: Mapped[float]
    lat: Mapped[float]
    """The square's middle."""
    count: Mapped[int]
    """Reports in the square itself; squares with fewer than five are in no table."""
    observed: Mapped[int]
    """Reports in the square and its neighbours, which z compares with `expected`."""
    expected: Mapped[float]
    z: Mapped[float]
    q: Mapped[float]
    """The share of false alarms among all squares with at most this q."""
    computed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class HotspotRun(Base):
    """When the hot spots of a municipality were last worked out, and from what."""

    __tablename__ = "hotspot_run"

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    computed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """Only reports since then were counted."""
    cell_metres: Mapped[float]
    version: Mapped[str]
    """Of the reports counted: while it stays the same there is nothing to do."""
