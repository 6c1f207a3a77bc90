"""What the words of a report are, for those who work here and for everyone, and what each word is found by.

Words have no accents, capitals or apostrophes: `perché` and `perche'` are one, `dell'acqua` is two. What only holds
sentences together (PostgreSQL's Italian stop words) is no word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection

from city.registry.addresses.street_names import grams

LONGEST_WORD: Final = 40
LONGEST_MISSPELT: Final = 24
"""Letters of a word whose typing errors are forgiven."""
SHORTEST_MISSPELT: Final = 4
TEXT_AT_MOST: Final = 20_000
"""Letters of all that was said of one report that are read."""


def folded(expression: str) -> str:
    """SQL: a text without capitals, accents and signs, one space between words and none around."""
    bare = rf"regexp_replace(normalize(left({expression}, {TEXT_AT_MOST}), NFKD), '[\u0300-\u036f]', '', 'g')"
    return rf"btrim(regexp_replace(lower({bare}), '[^[:alnum:]]+', ' ', 'g'))"


def _told(public: bool) -> str:
    """SQL: `id`, `created_at` and `said` of the reports `ids` of a municipality, in words of everyone or of staff."""
    own = "public_description" if public else "description, report.public_description, report.address"
    heard = "is_public AND actor = 'staff'" if public else "true"
    return f"""
    SELECT report.id, report.created_at, concat_ws(' ', split_part(report.number, '-', -1), report.{own},
      coalesce(override.name_it, category.name_it), coalesce(override.name_en, category.name_en),
      (SELECT string_agg(note, ' ') FROM timeline_entry WHERE timeline_entry.municipality_id = report.municipality_id
       AND report_id = report.id AND note IS NOT NULL AND {heard})) AS said
    FROM report JOIN category ON category.id = report.category_id
    LEFT JOIN category_override AS override
      ON override.municipality_id = report.municipality_id AND override.slug = category.slug
    WHERE report.municipality_id = %(municipality_id)s AND report.id = ANY(%(ids)s)
    {"AND report.is_public" if public else ""}
    """  # noqa: S608


SAID_SQL: Final = {
    public: f"SELECT id, created_at, {folded('said')} AS said FROM ({_told(public)}) AS told"  # noqa: S608
    for public in (False, True)
}
"""By whether the public reads: `id`, `created_at` and all that is said of the reports `ids`, folded."""

WORDS_SQL: Final = {
    public: f"""
    SELECT id, created_at, ARRAY(
      SELECT DISTINCT left(word, {LONGEST_WORD}) FROM unnest(string_to_array(said, ' ')) AS word
      WHERE (length(word) > 1 OR word ~ '^[0-9]$') AND ts_lexize('italian_stem', word) IS DISTINCT FROM '{{}}'
    ) AS words FROM ({said}) AS folded
    """  # noqa: S608
    for public, said in SAID_SQL.items()
}
"""By whether the public reads: `id`, `created_at` and the different words of the reports `ids`."""


class Stemmed(NamedTuple):
    """A word, whether it only holds sentences together, and what it and its other endings have in common."""

    word: str
    is_small: bool
    stems: tuple[str, ...]


def stemmed(connection: Connection[Any], words: Iterable[str]) -> list[Stemmed]:
    """The words, folded already, with their Italian and English stems."""
    rows = connection.execute(
        "SELECT word, ts_lexize('italian_stem', word), ts_lexize('english_stem', word) FROM unnest(%s::text[]) AS word",
        (list(words),),
    )
    return [
        Stemmed(
            word,
            is_small=italian == [] or english == [],
            stems=tuple(dict.fromkeys((*map(_hardened, italian or ()), *(english or ())))),
        )
        for word, italian, english in rows
    ]


def _hardened(stem: str) -> str:
    """An Italian stem without the h that keeps c and g hard: `buche` is the plural of `buca`."""
    return stem[:-1] if stem.endswith(("ch", "gh")) else stem


def found_by(stem: Stemmed) -> list[str]:
    """What a word of the vocabulary is found by."""
    keys = [f"={found}" for found in stem.stems if stem.word.isalpha()]
    return keys + misspelt(stem.word)


def misspelt(word: str) -> list[str]:
    """What a word shares with those that a slip or two make of it; nothing, where slips are not forgiven."""
    if not (word.isalpha() and SHORTEST_MISSPELT <= len(word) <= LONGEST_MISSPELT):
        return []
    return grams([word])


def slips(word: str) -> int:
    """How many slips are forgiven in a word as it was typed."""
    if not word.isalpha() or not SHORTEST_MISSPELT <= len(word) <= LONGEST_MISSPELT:
        return 0
    return 1 if len(word) < 2 * SHORTEST_MISSPELT else 2


def lexeme(municipality_id: int, word: str, *, public: bool) -> str:
    """A word as the index has it: the municipality's own, and apart for what everyone may read."""
    return f"{municipality_id}{'p' if public else ''}:{word}"


def bare(lexemes: Sequence[str]) -> set[str]:
    """The words of lexemes."""
    return {found.partition(":")[2] for found in lexemes}
