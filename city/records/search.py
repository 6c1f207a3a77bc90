"""Finding reports by words: endings, accents and slips are forgiven; all words must be there, else as many as can be.

What was typed becomes terms: a word, and the words of the municipality's vocabulary that may be meant. The desk also
looks directly into what is not indexed yet; and whatever is found is read once more as it is now, so that a word just
taken out of a report finds it no more. The vocabulary of the public is made of public words only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection
from rapidfuzz.distance import OSA

from city.errors import InvalidInput
from city.records.search_words import (
    LONGEST_WORD,
    SAID_SQL,
    Stemmed,
    folded,
    lexeme,
    misspelt,
    slips,
    stemmed,
)

MOST_TERMS: Final = 8
MOST_MEANT: Final = 40
"""Words of the vocabulary that one typed word may stand for."""
MOST_COMPARED: Final = 300
"""Words compared letter by letter with one that nobody has written."""
MOST_CORRECTIONS: Final = 10
SHORTEST_BEGINNING: Final = 3
"""Letters of a last word that may be unfinished."""
FRESH: Final = 200
"""Reports not indexed yet that are looked into directly, the newest."""
WALKED: Final = 3_000
"""Reports of a list that are looked through in its order, where all words are common."""
FEW: Final = 2_000
"""Hits that are listed one by one."""
ALL: Final = 2_147_483_647
END: Final = datetime(9999, 1, 1, tzinfo=UTC)

_PHRASE: Final = re.compile(r'"([^"]+)"|«([^»]+)»|“([^”]+)”')
_NUMBER: Final = re.compile(r"\b([A-Z][A-Z0-9]{1,7}-[0-9]{4}-[0-9]{1,18})\b", re.IGNORECASE)

_READ_SQL: Final = (
    f"SELECT {folded('said')} FROM unnest(%s::text[]) WITH ORDINALITY AS typed (said, place) ORDER BY place"  # noqa: S608
)
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
_HITS_SQL: Final = {
    False: "SELECT reports_with_words(%(wanted)s::tsquery, %(before)s, %(most)s)",
    True: "SELECT public_reports_with_words(%(searched_id)s, %(wanted)s::tsquery, %(before)s, %(most)s)",
}
_NUMBERED: Final = "report.number = %(number)s"
_AMONG: Final = "report.id = ANY(%(found)s)"
_WITHIN: Final = {
    public: f"report.id IN ({hits} UNION ALL SELECT unnest(%(fresh)s::uuid[]))" for public, hits in _HITS_SQL.items()
}


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


@dataclass(frozen=True, slots=True)
class Listing:
    """The list that is searched: its columns, where they come from, which reports, in which order, from where on.

    The source has `report`; `before` is the moment of the cursor of a list in order of newness.
    """

    columns: str
    source: str
    where: str
    values: Mapping[str, Any]
    order: str = "report.created_at DESC, report.id DESC"
    before: datetime | None = None
    is_newest_first: bool = True
    is_first_page: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a list, at most as many as were asked for; the last row looked at, where more may follow it."""

    rows: list[dict[str, Any]]
    last: dict[str, Any] | None = None
    is_whole: bool = True
    """Whether each has all the words."""
    words: frozenset[str] = frozenset()
    """All words of the rows' reports."""


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody looks for, understood."""

    municipality_id: int
    public: bool
    terms: tuple[Term, ...]
    phrases: tuple[str, ...] = ()
    number: str | None = None
    fresh: Sequence[Said] = field(default=(), repr=False)

    @property
    def known(self) -> list[Term]:
        """The terms that somebody has written."""
        return [term for term in self.terms if term.meant]

    def found(self, connection: Connection[Any], listings: Sequence[Listing], limit: int) -> Found:
        """The first `limit` rows with all the words, of lists that follow one another.

        On the first page, where there are none, those with most of the words; then there is no next page. Rows may be
        fewer although more follow, where words have just been taken out of reports.
        """
        if self.number is not None:
            return first_of(connection, [_numbered(listing, self.number) for listing in listings], limit)
        many, known = len(self.terms), len(self.known)
        if many == known:
            found = self._with(connection, listings, many, limit)
            if found.rows or found.last or not listings[0].is_first_page:
                return found
        if listings[0].is_first_page:
            for needed in dict.fromkeys((many - 1, many // 2, 1)):
                if 0 < needed <= known and needed < many:
                    found = self._with(connection, listings, needed, limit)
                    if found.rows:
                        return replace(found, last=None, is_whole=False)
        return Found([])

    def as_json(self, found: Found) -> dict[str, Any]:
        """How it was understood, in words of what was found: a word of reports that one may not read is not said."""
        guesses = {
            term.typed: [word for word in term.meant if word in found.words] for term in self.terms if term.is_guess
        }
        return {
            "corrected": [{"typed": typed, "meant": meant} for typed, meant in guesses.items() if meant],
            "left_out": [
                term.typed for term in self.terms if not found.is_whole and found.words.isdisjoint(term.meant)
            ],
            "all_words": found.is_whole,
        }

    def _with(self, connection: Connection[Any], listings: Sequence[Listing], needed: int, limit: int) -> Found:
        """Rows with at least so many of the terms."""
        seen: list[dict[str, Any]] = []
        for listing in listings:
            seen += self._first(connection, listing, needed, limit + 1 - len(seen))
            if len(seen) > limit:
                break
        last = seen[limit - 1] if len(seen) > limit else None
        said = said_of(connection, self.municipality_id, [row["id"] for row in seen[:limit]], public=self.public)
        still = {one.id: one.text for one in said if self._fits(one.text, needed)}
        words = frozenset(word[:LONGEST_WORD] for text in still.values() for word in text.split(" "))
        return Found([row for row in seen[:limit] if row["id"] in still], last, words=words)

    def _first(self, connection: Connection[Any], listing: Listing, needed: int, limit: int) -> list[dict[str, Any]]:
        """The list's first rows with so many of the terms, as the index has them.

        Few hits are named one by one. Where all words are common, the list is walked through in its own order, since
        its first rows will do. What is left are words that are common, but not in this list or not together.
        """
        values = self._values(needed) | {"before": listing.before or END}
        most = sum(sorted(term.reports for term in self.known)[: len(self.known) - needed + 1])
        if most > FEW:
            found = _walked(connection, listing, values | {"public": self.public}, limit)
            if found is not None:
                return rows(connection, listing, limit, _AMONG, {"found": found})
        hits = [row[0] for row in connection.execute(_HITS_SQL[self.public], values | {"most": FEW + 1})]
        if len(hits) <= FEW or (listing.is_newest_first and not values["fresh"]):
            seen = rows(connection, listing, limit, _AMONG, {"found": hits + values["fresh"]})
            if len(hits) <= FEW or len(seen) == limit:
                return seen
        return rows(connection, listing, limit, _WITHIN[self.public], values | {"most": ALL})

    def _values(self, needed: int) -> dict[str, Any]:
        return {
            "wanted": self._wanted(needed),
            "searched_id": self.municipality_id,
            "fresh": [said.id for said in self.fresh if self._fits(said.text, needed)],
        }

    def condition(self) -> tuple[str, dict[str, Any]]:
        """The condition on `report` that it has all the words, of any list, and its values."""
        if self.number is not None:
            return _NUMBERED, {"number": self.number}
        if len(self.known) < len(self.terms):
            return "false", {}
        return _WITHIN[self.public], self._values(len(self.terms)) | {"before": END, "most": ALL}

    def _wanted(self, needed: int) -> str:
        """The tsquery."""
        terms = [
            "(" + " | ".join(f"'{lexeme(self.municipality_id, word, public=self.public)}'" for word in term.meant) + ")"
            for term in self.known
        ]
        return " | ".join("(" + " & ".join(chosen) + ")" for chosen in combinations(terms, needed))

    def _fits(self, text: str, needed: int) -> bool:
        words = {word[:LONGEST_WORD] for word in text.split(" ")}
        around = f" {text} "
        return sum(not words.isdisjoint(term.meant) for term in self.terms) >= needed and all(
            f" {phrase} " in around for phrase in self.phrases
        )


def said_of(connection: Connection[Any], municipality_id: int, ids: Sequence[UUID], *, public: bool) -> list[Said]:
    """All that is said of those reports, folded."""
    if not ids:
        return []
    rows = connection.execute(SAID_SQL[public], {"municipality_id": municipality_id, "ids": list(ids)})
    return [Said(row[0], row[2]) for row in rows]


def rows(
    connection: Connection[Any],
    listing: Listing,
    limit: int,
    condition: str = "true",
    values: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """The first `limit` rows of a list for which a condition holds."""
    found = connection.execute(
        f"SELECT {listing.columns} FROM {listing.source} WHERE {listing.where} AND {condition}"  # noqa: S608
        f" ORDER BY {listing.order} LIMIT %(limit)s",
        {**listing.values, **(values or {}), "limit": limit},
    )
    names = [column.name for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found]


def _numbered(listing: Listing, number: str) -> Listing:
    return replace(listing, where=f"{listing.where} AND {_NUMBERED}", values={**listing.values, "number": number})


def first_of(connection: Connection[Any], listings: Sequence[Listing], limit: int) -> Found:
    """The first `limit` rows of lists that follow one another, whatever their words."""
    seen: list[dict[str, Any]] = []
    for listing in listings:
        seen += rows(connection, listing, limit + 1 - len(seen))
        if len(seen) > limit:
            return Found(seen[:limit], seen[limit - 1])
    return Found(seen)


def _walked(connection: Connection[Any], listing: Listing, values: Mapping[str, Any], limit: int) -> list[UUID] | None:
    """The first `limit` reports with the words among the list's first; None where there may be more farther on."""
    given = {**listing.values, **values, "limit": limit}
    first = (
        f"SELECT report.municipality_id, report.id, row_number() OVER (ORDER BY {listing.order}) AS place"  # noqa: S608
        f" FROM {listing.source} WHERE {listing.where} ORDER BY {listing.order} LIMIT {WALKED}"
    )
    found = connection.execute(
        f"""
        SELECT walked.id FROM ({first}) AS walked LEFT JOIN report_text
          ON report_text.municipality_id = walked.municipality_id AND report_text.is_public = %(public)s
          AND report_text.report_id = walked.id
        WHERE words @@ %(wanted)s::tsquery OR walked.id = ANY(%(fresh)s) ORDER BY place LIMIT %(limit)s
        """,  # noqa: S608
        given,
    ).fetchall()
    if len(found) < limit:
        row = connection.execute(f"SELECT count(*) FROM ({first}) AS walked", given).fetchone()  # noqa: S608
        if row is not None and row[0] == WALKED:
            return None
    return [row[0] for row in found]


# --- what was typed --------------------------------------------------------------------------------------------------


def understood(connection: Connection[Any], municipality_id: int, typed: str, *, public: bool = False) -> Search:
    """What `typed` looks for among the municipality's reports. Raises InvalidInput where there is no word in it."""
    numbered = _NUMBER.fullmatch(typed.strip())
    if numbered:
        return Search(municipality_id, public, (), number=numbered.group(1).upper())
    quoted = ["".join(found) for found in _PHRASE.findall(typed)]
    whole, *phrases = (row[0] for row in connection.execute(_READ_SQL, ([typed, *quoted],)))
    words = [word[:LONGEST_WORD] for word in dict.fromkeys(whole.split(" ")) if len(word) > 1 or word.isdigit()]
    stems = [stem for stem in stemmed(connection, words) if not stem.is_small][:MOST_TERMS]
    if not stems:
        raise InvalidInput("search.no_word", field="q")
    fresh = _fresh(connection, municipality_id) if not public else []
    is_unfinished = typed[-1:].isalnum() and whole.endswith(stems[-1].word)
    asking = _Asking(connection, municipality_id, public, _vocabulary(connection, fresh))
    terms = [asking.term(stem, is_unfinished=is_unfinished and stem is stems[-1]) for stem in stems]
    return Search(
        municipality_id,
        public,
        tuple(terms),
        tuple(phrases),
        fresh=fresh,
    )


def _fresh(connection: Connection[Any], municipality_id: int) -> list[Said]:
    ids = [row[0] for row in connection.execute(_FRESH_SQL, (municipality_id,))]
    return said_of(connection, municipality_id, list(dict.fromkeys(ids)), public=False)


def _vocabulary(connection: Connection[Any], fresh: Sequence[Said]) -> list[Stemmed]:
    """The words that are not indexed yet."""
    words = {word[:LONGEST_WORD] for said in fresh for word in said.text.split(" ")}
    return [stem for stem in stemmed(connection, words) if not stem.is_small] if words else []


@dataclass(frozen=True, slots=True)
class _Asking:
    """The vocabulary, as the index has it and as it will be."""

    connection: Connection[Any]
    municipality_id: int
    public: bool
    coming: Sequence[Stemmed]

    def term(self, stem: Stemmed, *, is_unfinished: bool) -> Term:
        """The word itself with its other endings and, unfinished, its continuations; else those a slip away."""
        if stem.word.isdigit():
            return Term(stem.word, (stem.word,), is_guess=False, reports=0)
        is_unfinished = is_unfinished and len(stem.word) >= SHORTEST_BEGINNING
        meant = self._meant([stem], is_unfinished=is_unfinished)
        is_guess = not meant
        if is_guess:
            near = self._near(stem.word)
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

    def _near(self, word: str) -> list[str]:
        """The words of the vocabulary fewest slips away."""
        most = slips(word)
        if not most:
            return []
        values = {
            "municipality_id": self.municipality_id,
            "public": self.public,
            "grams": misspelt(word),
            "letters": len(word),
        }
        known = {row[0] for row in self.connection.execute(_LIKE_SQL, values)}
        known |= {stem.word for stem in self.coming if slips(stem.word)}
        away = {other: OSA.distance(word, other, score_cutoff=most) for other in known}
        least = min(away.values(), default=most + 1)
        return (
            sorted(other for other, slip in away.items() if slip == least)[:MOST_CORRECTIONS] if least <= most else []
        )
