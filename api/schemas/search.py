"""What is looked for by words, and how it was understood."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Query
from pydantic import BaseModel

SOUGHT: Final[Any] = Query(
    min_length=1,
    max_length=200,
    description="Words that must all be there: other endings, accents and slips are forgiven, the last word may be"
    ' unfinished, "words in quotes" stand together; or the number of a report.',
)
"""What the parameter `q` of a list is."""


class Corrected(BaseModel):
    """A word, and those a slip away that were found for it: where nobody has written it, or behind those who have."""

    typed: str
    meant: list[str]


class Searched(BaseModel):
    """How the words were understood."""

    corrected: list[Corrected]
    left_out: list[str]
    """Words like none that anybody has written."""
    all_words: bool
    """Whether what was found has all the words; else it has as many of them as possible, and there is no next page."""
