"""Reading reports anew for the search: whatever is due, a few hundred at a time.

What was due, the words found and the vocabulary's counts change in one transaction: killed anywhere, it was never
begun. A change that commits later has its own row in `search_due`, and is read then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection

from city.records.search.words import WORDS_SQL, bare, found_by, lexeme, stemmed

BATCH: Final = 1_000
"""Rows of `search_due` taken at once."""
LOCKS: Final = 0x536561
"""One half of the key of the advisory locks; the other is the municipality. Counts must have one writer at a time."""

_WAITING_SQL: Final = """
WITH RECURSIVE waiting AS (
  (SELECT municipality_id FROM search_due ORDER BY municipality_id LIMIT 1)
  UNION ALL
  SELECT (SELECT municipality_id FROM search_due WHERE municipality_id > waiting.municipality_id
          ORDER BY municipality_id LIMIT 1)
  FROM waiting WHERE municipality_id IS NOT NULL
)
SELECT municipality_id FROM waiting WHERE municipality_id IS NOT NULL
"""
_TAKE_SQL: Final = """
DELETE FROM search_due WHERE municipality_id = %(municipality_id)s AND id = ANY(ARRAY(
  SELECT id FROM search_due WHERE municipality_id = %(municipality_id)s ORDER BY id LIMIT %(limit)s))
RETURNING report_id
"""
_KEPT_SQL: Final = """
SELECT is_public, report_id, tsvector_to_array(words) FROM report_text
WHERE municipality_id = %(municipality_id)s AND is_public = ANY('{true,false}') AND report_id = ANY(%(ids)s)
"""
_KEEP_SQL: Final = """
INSERT INTO report_text (municipality_id, is_public, report_id, created_at, words)
SELECT %(municipality_id)s, is_public, report_id, created_at, array_to_tsvector(string_to_array(lexemes, ' '))
FROM unnest(%(public)s::boolean[], %(reports)s::uuid[], %(moments)s::timestamptz[], %(lexemes)s::text[])
  AS read (is_public, report_id, created_at, lexemes)
ON CONFLICT (municipality_id, is_public, report_id)
DO UPDATE SET words = excluded.words, created_at = excluded.created_at
"""
_FORGET_SQL: Final = """
DELETE FROM report_text USING unnest(%(public)s::boolean[], %(reports)s::uuid[]) AS gone (is_public, report_id)
WHERE municipality_id = %(municipality_id)s AND report_text.is_public = gone.is_public
  AND report_text.report_id = gone.report_id
"""
_COUNT_SQL: Final = """
INSERT INTO search_word AS known (municipality_id, is_public, word, count)
SELECT %(municipality_id)s, is_public, word, change
FROM unnest(%(public)s::boolean[], %(words)s::text[], %(changes)s::integer[]) AS counted (is_public, word, change)
ON CONFLICT (municipality_id, is_public, word) DO UPDATE SET count = known.count + excluded.count
RETURNING is_public, word, count, xmax = 0
"""
_DROP_SQL: Final = """
DELETE FROM {table} USING unnest(%(public)s::boolean[], %(keys)s::text[], %(words)s::text[])
  AS gone (is_public, key, word)
WHERE municipality_id = %(municipality_id)s AND {table}.is_public = gone.is_public AND {table}.word = gone.word
"""
_DROP_WORDS_SQL: Final = _DROP_SQL.format(table="search_word")
_DROP_GRAMS_SQL: Final = _DROP_SQL.format(table="search_gram") + " AND search_gram.gram = gone.key"
_ADD_GRAMS_SQL: Final = """
INSERT INTO search_gram (municipality_id, is_public, gram, word)
SELECT %(municipality_id)s, * FROM unnest(%(public)s::boolean[], %(keys)s::text[], %(words)s::text[])
ON CONFLICT DO NOTHING
"""


class _Side(NamedTuple):
    """A report in words of everyone, or of those who work here."""

    public: bool
    report_id: UUID


def waiting(connection: Connection[Any]) -> list[int]:
    """The municipalities with reports to be read; as lampione_province."""
    return [row[0] for row in connection.execute(_WAITING_SQL)]


def catch_up(connection: Connection[Any], municipality_id: int, limit: int = BATCH) -> int:
    """Read what has been due longest, as lampione_province; how many rows of `search_due` that were."""
    connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCKS, municipality_id))
    taken = connection.execute(_TAKE_SQL, {"municipality_id": municipality_id, "limit": limit}).fetchall()
    values = {"municipality_id": municipality_id, "ids": list({row[0] for row in taken})}
    kept = {_Side(row[0], row[1]): bare(row[2]) for row in connection.execute(_KEPT_SQL, values)}
    moments, read = {}, {}
    for public, statement in WORDS_SQL.items():
        for report_id, created_at, words in connection.execute(statement, values):
            moments[_Side(public, report_id)] = created_at
            read[_Side(public, report_id)] = set(words)
    _keep(
        connection, municipality_id, {side: words for side, words in read.items() if kept.get(side) != words}, moments
    )
    _forget(connection, municipality_id, kept.keys() - read.keys())
    changes: Counter[tuple[bool, str]] = Counter()
    for side in kept.keys() | read.keys():
        changes.update((side.public, word) for word in read.get(side, set()) - kept.get(side, set()))
        changes.subtract((side.public, word) for word in kept.get(side, set()) - read.get(side, set()))
    _count(connection, municipality_id, changes)
    return len(taken)


def _keep(
    connection: Connection[Any],
    municipality_id: int,
    read: Mapping[_Side, set[str]],
    moments: Mapping[_Side, object],
) -> None:
    if read:
        connection.execute(
            _KEEP_SQL,
            {
                "municipality_id": municipality_id,
                "public": [side.public for side in read],
                "reports": [side.report_id for side in read],
                "moments": [moments[side] for side in read],
                "lexemes": [
                    " ".join(lexeme(municipality_id, word, public=side.public) for word in words)
                    for side, words in read.items()
                ],
            },
        )


def _forget(connection: Connection[Any], municipality_id: int, gone: Iterable[_Side]) -> None:
    sides = list(gone)
    if sides:
        connection.execute(
            _FORGET_SQL,
            {
                "municipality_id": municipality_id,
                "public": [side.public for side in sides],
                "reports": [side.report_id for side in sides],
            },
        )


def _count(connection: Connection[Any], municipality_id: int, changes: Mapping[tuple[bool, str], int]) -> None:
    """Count words in and out; new ones are made findable, those in no report any more are forgotten.

    Figures are in no vocabulary: each report brings a new one, and nobody means another one.
    """
    changed = sorted((*key, change) for key, change in changes.items() if change and not key[1].isdigit())
    if not changed:
        return
    public, words, counts = zip(*changed, strict=True)
    counted = connection.execute(
        _COUNT_SQL,
        {"municipality_id": municipality_id, "public": list(public), "words": list(words), "changes": list(counts)},
    ).fetchall()
    fresh = [(public, word) for public, word, count, is_new in counted if is_new and count > 0]
    gone = [(public, word) for public, word, count, _ in counted if count <= 0]
    stems = {stem.word: stem for stem in stemmed(connection, {word for _, word in (*fresh, *gone)})}
    for statement, of_words in ((_ADD_GRAMS_SQL, fresh), (_DROP_GRAMS_SQL, gone)):
        keys = [(public, key, word) for public, word in of_words for key in found_by(stems[word])]
        _execute_columns(connection, statement, municipality_id, keys)
    _execute_columns(connection, _DROP_WORDS_SQL, municipality_id, [(public, "", word) for public, word in gone])


def _execute_columns(
    connection: Connection[Any], statement: str, municipality_id: int, rows: list[tuple[bool, str, str]]
) -> None:
    if rows:
        public, keys, words = zip(*rows, strict=True)
        connection.execute(
            statement,
            {"municipality_id": municipality_id, "public": list(public), "keys": list(keys), "words": list(words)},
        )
