"""What a typed word may mean among the words that the reports of a municipality have, indexed or not yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from psycopg import Connection
from rapidfuzz.distance import OSA

from city.records.search.words import LONGEST_WORD, SAID_SQL, Stemmed, misspelt, slips, stemmed

MOST_MEANT: Final = 40
"""Words of the vocabulary that one typed word may stand for."""
MOST_COMPARED: Final = 300
"""Words compared letter by letter with one that nobody has written."""
MOST_CORRECTIONS: Final = 10
SHORTEST_BEGINNING: Final = 3
"""Letters of a last word that may be unfinished."""
FRESH: Final = 200
"""Reports not indexed yet that are looked into directly, the newest."""
SHORTEST_MISSPELLING: Final = 6
"""Letters of a word that is also looked for as others may have misspelt it."""

_FRESH_SQL: Final = f"""
SELECT report_id FROM search_due WHERE municipality_id = %s ORDER BY id DESC LIMIT {FRESH}
"""  # noqa: S608
_MEANT_SQL: Final = f"""
SELECT wanted.word, known.word, known.count
FROM unnest(%(words)s::text[], %(untils)s::text[]) AS wanted (word, until), LATERAL (
  SELECT word, count FROM search_word
  WHERE municipality_id = %(municipality_id)s AND is_public = %(public)s
    AND word >= wanted.word COLLATE "C" AND word <= wanted.until COLLATE "C"
  ORDER BY count DESC LIMIT {MOST_MEANT}
) AS known
UNION
SELECT wanted.word, known.word, known.count
FROM unnest(%(stemmed)s::text[], %(stems)s::text[]) AS wanted (word, stem)
JOIN search_gram ON search_gram.municipality_id = %(municipality_id)s AND search_gram.is_public = %(public)s
  AND search_gram.gram = wanted.stem
JOIN search_word AS known ON known.municipality_id = %(municipality_id)s AND known.is_public = %(public)s
  AND known.word = search_gram.word
"""  # noqa: S608
_LIKE_SQL: Final = f"""
SELECT word FROM search_gram
WHERE municipality_id = %(municipality_id)s AND is_public = %(public)s AND gram = ANY(%(grams)s)
GROUP BY word ORDER BY count(*) DESC, abs(length(word) - %(letters)s), word LIMIT {MOST_COMPARED}
"""  # noqa: S608


class Term(NamedTuple):
    """A typed word, the words it may stand for, whether they are guesses, and in how many reports they are."""

    typed: str
    meant: tuple[str, ...]
    is_guess: bool
    reports: int


class Said(NamedTuple):
    """All that is said of a report, now."""

    id: UUID
    text: str


def said_of(connection: Connection[Any], municipality_id: int, ids: Sequence[UUID], *, public: bool) -> list[Said]:
    """All that is said of those reports, folded."""
    if not ids:
        return []
    rows = connection.execute(SAID_SQL[public], {"municipality_id": municipality_id, "ids": list(ids)})
    return [Said(row[0], row[2]) for row in rows]


def fresh_of(connection: Connection[Any], municipality_id: int) -> list[Said]:
    """What is said of the newest reports that are not indexed yet."""
    ids = [row[0] for row in connection.execute(_FRESH_SQL, (municipality_id,))]
    return said_of(connection, municipality_id, list(dict.fromkeys(ids)), public=False)


def _vocabulary(connection: Connection[Any], fresh: Sequence[Said]) -> list[Stemmed]:
    """The words that are not indexed yet."""
    words = {word[:LONGEST_WORD] for said in fresh for word in said.text.split(" ")}
    return [stem for stem in stemmed(connection, words) if not stem.is_small] if words else []


@dataclass(frozen=True, slots=True)
class Asking:
    """The vocabulary, as the index has it and as it will be."""

    connection: Connection[Any]
    municipality_id: int
    public: bool
    coming: Sequence[Stemmed]

    @classmethod
    def of(cls, connection: Connection[Any], municipality_id: int, fresh: Sequence[Said], *, public: bool) -> Self:
        """The vocabulary of a municipality with the words of reports that are not indexed yet."""
        return cls(connection, municipality_id, public, _vocabulary(connection, fresh))

    def term(self, stem: Stemmed, *, is_unfinished: bool) -> Term:
        """The word itself with its other endings and, unfinished, its continuations; else those a slip away."""
        if stem.word.isdigit():
            return Term(stem.word, (stem.word,), is_guess=False, reports=0)
        is_unfinished = is_unfinished and len(stem.word) >= SHORTEST_BEGINNING
        meant = self._meant([stem], is_unfinished=is_unfinished)
        is_guess = not meant
        if is_guess:
            near = self._near(stem.word, slips(stem.word))
            meant = self._meant(stemmed(self.connection, near), is_unfinished=False) if near else {}
        chosen = sorted(meant, key=lambda word: (-meant[word], word))[:MOST_MEANT]
        return Term(stem.word, tuple(chosen), is_guess, sum(meant.values()))

    def _meant(self, stems: Sequence[Stemmed], *, is_unfinished: bool) -> dict[str, int]:
        """The words of the vocabulary with one of those stems or beginnings, and in how many reports each is."""
        until = "\U0010ffff" if is_unfinished else ""
        pairs = [(stem.word, f"={found}") for stem in stems for found in stem.stems if stem.word.isalpha()]
        rows = self.connection.execute(
            _MEANT_SQL,
            {
                "municipality_id": self.municipality_id,
                "public": self.public,
                "words": [stem.word for stem in stems],
                "untils": [stem.word + until for stem in stems],
                "stemmed": [word for word, _ in pairs],
                "stems": [found for _, found in pairs],
            },
        )
        meant = {word: count for _, word, count in rows}
        wanted = {found for stem in stems for found in stem.stems}
        for known in self.coming:
            is_same = any(
                known.word == stem.word or (is_unfinished and known.word.startswith(stem.word)) for stem in stems
            )
            if is_same or (known.word.isalpha() and not wanted.isdisjoint(known.stems)):
                meant.setdefault(known.word, 0)
        return meant

    def misspellings(self, term: Term) -> tuple[str, ...]:
        """What others may have written in the word's stead: a slip away, and not in the first letter."""
        if term.is_guess or len(term.typed) < SHORTEST_MISSPELLING:
            return ()
        near = self._near(term.typed, min(1, slips(term.typed)), known=frozenset(term.meant))
        return tuple(word for word in near if word[0] == term.typed[0])

    def _near(self, word: str, most: int, known: frozenset[str] = frozenset()) -> list[str]:
        """The other words of the vocabulary fewest slips away, at most so many."""
        if not most:
            return []
        values = {
            "municipality_id": self.municipality_id,
            "public": self.public,
            "grams": misspelt(word),
            "letters": len(word),
        }
        others = {row[0] for row in self.connection.execute(_LIKE_SQL, values)}
        others |= {stem.word for stem in self.coming if slips(stem.word)}
        away = {other: OSA.distance(word, other, score_cutoff=most) for other in others - known}
        least = min(away.values(), default=most + 1)
        return (
            sorted(other for other, slip in away.items() if slip == least)[:MOST_CORRECTIONS] if least <= most else []
        )
