"""The rows of streets and house numbers. Public by nature; the municipality leads every key all the same."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Identity, Index, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base
from geo.columns import lines_type


class Street(Base):
    """A named street of a municipality."""

    __tablename__ = "street"
    __table_args__ = (
        Index("street_reference_unique", "municipality_id", "reference", unique=True),
        Index("street_words_index", "municipality_id", "words"),
    )

    municipality_id: Mapped[int] = mapped_column(ForeignKey("municipality.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    reference: Mapped[str]
    """By which it is known again: `code:` and the register's code, or `name:` and its words."""
    kind: Mapped[str]
    """Via, Piazza …, or nothing."""
    name: Mapped[str]
    label: Mapped[str]
    """Kind and name, as people read it."""
    words: Mapped[str]
    """The label in the one form that searches compare (`city.registry.addresses.street_names`)."""
    locality: Mapped[str | None]
    postcode: Mapped[str | None]
    origins: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """Which kinds of files name it: `numbers`, `lines`. A street that none names any more goes."""
    gram_count: Mapped[int] = mapped_column(SmallInteger)
    lon: Mapped[float | None]
    lat: Mapped[float | None]
    """Where a search for the street alone leads: the house in its middle, or a point in the middle of its line."""
    shape: Mapped[Any | None] = mapped_column(lines_type())
    """Its lines, where a file of lines was imported."""


class StreetGram(Base):
    """What a street is found by.

    Equality of text is leakproof, so row-level security lets the index through, which it does not for pg_trgm's.
    """

    __tablename__ = "street_gram"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "street_id"], ["street.municipality_id", "street.id"], ondelete="CASCADE"
        ),
        Index("street_gram_street_index", "municipality_id", "street_id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    gram: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    street_id: Mapped[int] = mapped_column(primary_key=True)


class StreetPoint(Base):
    """Points along a street's lines, a few steps apart, so that a line is found by ranges of cells."""

    __tablename__ = "street_point"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "street_id"], ["street.municipality_id", "street.id"], ondelete="CASCADE"
        ),
        Index("street_point_street_index", "municipality_id", "street_id"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    cell: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    street_id: Mapped[int] = mapped_column(primary_key=True)
    lon: Mapped[float]
    lat: Mapped[float]


class HouseNumber(Base):
    """A house number, where it stands."""

    __tablename__ = "house_number"
    __table_args__ = (
        ForeignKeyConstraint(
            ["municipality_id", "street_id"], ["street.municipality_id", "street.id"], ondelete="CASCADE"
        ),
        Index("house_number_cell_index", "municipality_id", "cell"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    street_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    suffix: Mapped[str] = mapped_column(primary_key=True)
    """The esponente: `A`, `BIS`, or nothing."""
    written: Mapped[str]
    """As the plate says it: `12/A`."""
    postcode: Mapped[str | None]
    lon: Mapped[float]
    lat: Mapped[float]
    cell: Mapped[int] = mapped_column(BigInteger)
    """Morton key of the finest pyramid cell, as of a report."""
