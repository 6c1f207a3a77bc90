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
from typing import Any, Final

from psycopg import Connection

from city.errors import InvalidInput
from city.records.search.terms import Asking, Said, Term, fresh_of, said_of
from city.records.search.words import LONGEST_WORD, folded, lexeme, stemmed

MOST_TERMS: Final = 8
WALKED: Final = 3_000
"""Reports of a list that are looked through in its order, where all words are common."""
FEW: Final = 1_000
"""Hits that are named one by one."""
COMMON: Final = 20_000
"""Reports with its rarest word, from which on a search begins with walking."""
ALL: Final = 2_147_483_647
END: Final = datetime(9999, 1, 1, tzinfo=UTC)

_PHRASE: Final = re.compile(r'"([^"]+)"|«([^»]+)»|“([^”]+)”')
_NUMBER: Final = re.compile(r"\b([A-Z][A-Z0-9]{1,7}-[0-9]{4}-[0-9]{1,18})\b", re.IGNORECASE)

_READ_SQL: Final = (
    f"SELECT {folded('said')} FROM unnest(%s::text[]) WITH ORDINALITY AS typed (said, place) ORDER BY place"  # noqa: S608
)
_HITS_SQL: Final = {
    False: "SELECT reports_with_words(%(wanted)s::tsquery, %(before)s, %(most)s)",
    True: "SELECT public_reports_with_words(%(searched_id)s, %(wanted)s::tsquery, %(before)s, %(most)s)",
}
_NUMBERED: Final = "report.number = %(number)s"
_AMONG: Final = "report.id = ANY(%(found)s)"
_WITHIN: Final = {
    public: f"report.id IN ({hits} UNION ALL SELECT unnest(%(fresh)s::uuid[]))" for public, hits in _HITS_SQL.items()
}


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
    besides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Other spellings of words that were typed, with which the last rows were found."""


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

        Where they do not fill the first page, those follow in which a word is misspelt; where there is none, those with
        most of the words, and no next page. Rows may be fewer although more follow, where words have just been taken
        out of reports.
        """
        if self.number is not None:
            return first_of(connection, [_numbered(listing, self.number) for listing in listings], limit)
        many, known = len(self.terms), len(self.known)
        if many == known:
            found = self.having(connection, listings, many, limit)
            if listings[0].is_first_page and found.last is None and len(found.rows) < limit:
                found = self._misspelt(connection, listings, found, limit)
            if found.rows or found.last or not listings[0].is_first_page:
                return found
        if listings[0].is_first_page:
            for needed in dict.fromkeys((many - 1, many // 2, 1)):
                if 0 < needed <= known and needed < many:
                    found = self.having(connection, listings, needed, limit)
                    if found.rows:
                        return replace(found, last=None, is_whole=False)
        return Found([])

    def as_json(self, found: Found) -> dict[str, Any]:
        """How it was understood, in words of what was found: a word of reports that one may not read is not said."""
        guesses = {
            term.typed: [word for word in guessed if word in found.words]
            for term in self.terms
            if (guessed := term.meant if term.is_guess else found.besides.get(term.typed))
        }
        return {
            "corrected": [{"typed": typed, "meant": meant} for typed, meant in guesses.items() if meant],
            "left_out": [
                term.typed for term in self.terms if not found.is_whole and found.words.isdisjoint(term.meant)
            ],
            "all_words": found.is_whole,
        }

    def _misspelt(self, connection: Connection[Any], listings: Sequence[Listing], found: Found, limit: int) -> Found:
        """The same, and behind it reports whose writers have slipped."""
        asking = Asking.of(connection, self.municipality_id, self.fresh, public=self.public)
        besides = {term.typed: asking.misspellings(term) for term in self.terms}
        if not any(besides.values()):
            return found
        widened = [term._replace(meant=(*term.meant, *besides[term.typed])) for term in self.terms]
        widened.append(Term("", tuple(word for words in besides.values() for word in words), is_guess=True, reports=0))
        more = replace(self, terms=tuple(widened)).having(connection, listings, len(widened), limit)
        known = {row["id"] for row in found.rows}
        seen = [*found.rows, *(row for row in more.rows if row["id"] not in known)][:limit]
        return replace(found, rows=seen, words=found.words | more.words, besides=besides)

    def having(self, connection: Connection[Any], listings: Sequence[Listing], needed: int, limit: int) -> Found:
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
        values = self._values(needed) | {"before": listing.before or END, "public": self.public}
        most = sum(sorted(term.reports for term in self.known)[: len(self.known) - needed + 1])
        for attempt in (self._hit, _walked) if most <= COMMON else (_walked, self._hit):
            seen = attempt(connection, listing, values, limit)
            if seen is not None:
                return seen
        return rows(connection, listing, limit, _WITHIN[self.public], values | {"most": ALL})

    def _hit(
        self, connection: Connection[Any], listing: Listing, values: Mapping[str, Any], limit: int
    ) -> list[dict[str, Any]] | None:
        """The rows among the newest hits; None where older ones may belong to them too."""
        hits = [row[0] for row in connection.execute(_HITS_SQL[self.public], {**values, "most": FEW + 1})]
        if len(hits) > FEW and (values["fresh"] or not listing.is_newest_first):
            return None
        seen = rows(connection, listing, limit, _AMONG, {"found": hits + values["fresh"]})
        return seen if len(hits) <= FEW or len(seen) == limit else None

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


def _walked(
    connection: Connection[Any], listing: Listing, values: Mapping[str, Any], limit: int
) -> list[dict[str, Any]] | None:
    """The rows among the list's first; None where there may be more farther on.

    The list is read no farther than needed: a row that says how long it was comes last, if the limit lets it.
    """
    found = connection.execute(
        f"""
        WITH walked AS MATERIALIZED (
          SELECT report.municipality_id, report.id FROM {listing.source} WHERE {listing.where}
          ORDER BY {listing.order} LIMIT {WALKED}
        )
        SELECT id, NULL FROM walked WHERE id = ANY(%(fresh)s) OR (
          SELECT words @@ %(wanted)s::tsquery FROM report_text WHERE is_public = %(public)s
            AND report_text.municipality_id = walked.municipality_id AND report_text.report_id = walked.id)
        UNION ALL SELECT NULL, count(*) FROM walked LIMIT %(limit)s
        """,  # noqa: S608
        {**listing.values, **values, "limit": limit},
    ).fetchall()
    if found[-1][1] == WALKED:
        return None
    return rows(connection, listing, limit, _AMONG, {"found": [row[0] for row in found if row[0] is not None]})


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
    fresh = fresh_of(connection, municipality_id) if not public else []
    is_unfinished = typed[-1:].isalnum() and whole.endswith(stems[-1].word)
    asking = Asking.of(connection, municipality_id, fresh, public=public)
    terms = [asking.term(stem, is_unfinished=is_unfinished and stem is stems[-1]) for stem in stems]
    return Search(
        municipality_id,
        public,
        tuple(terms),
        tuple(phrases),
        fresh=fresh,
    )
