"""The rows of the search: which reports are to be read anew, the words of each, and the vocabulary of a municipality.

Words of `is_public` rows come from what everyone may read, of the others from all that staff may read; neither list
knows of the other, so that no hidden word is ever proposed to the public.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Index, Text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class SearchDue(Base):
    """A report whose words may have changed. Written by triggers, in the transaction of the change."""

    __tablename__ = "search_due"

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    report_id: Mapped[UUID]


class ReportText(Base):
    """The words of a report, each once, as `12:lampione` (or `12p:lampione` of public rows): the municipality first,
    so that a common word's list in the index is one tenant's own.
    """

    __tablename__ = "report_text"
    __table_args__ = (
        Index(
            "report_text_words_index",
            "words",
            postgresql_using="gin",
            postgresql_with={"fastupdate": "on", "gin_pending_list_limit": "256"},
        ),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    is_public: Mapped[bool] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    words: Mapped[Any] = mapped_column(TSVECTOR)


class SearchWord(Base):
    """A word of the vocabulary, and in how many reports it is. Figures are not in it."""

    __tablename__ = "search_word"

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    is_public: Mapped[bool] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    count: Mapped[int]


class SearchGram(Base):
    """What a word is found by: `=` and its stem, runs of three letters, and of short words what one slip leaves.

    Equality of text is leakproof, so row-level security lets the index through.
    """

    __tablename__ = "search_gram"

    municipality_id: Mapped[int] = mapped_column(primary_key=True)
    is_public: Mapped[bool] = mapped_column(primary_key=True)
    gram: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
