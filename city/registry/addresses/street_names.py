"""Street names and house numbers as people and registers write them, brought to one form.

Pure text: `Via Sant'Antonio`, `v. S. Antonio` and `VIA SAN ANTONIO` have the same words here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from rapidfuzz.distance import OSA

from city.registry.addresses.street_kinds import (
    KINDS,
    MORE,
    NUMERALS,
    PLAIN_KINDS,
    SAINTS,
    SHORT_KINDS,
    SHORT_WORDS,
    SMALL,
)

LONGEST_QUERY: Final = 200
MOST_READINGS: Final = 6
MOST_TOKENS: Final = 16
"""Words and numbers of a query that are looked at."""
MOST_GRAMS: Final = 80
HIGHEST_NUMBER: Final = 99_999
SHORTEST_GUARDED: Final = 4
LONGEST_GUARDED: Final = 6
"""Words of so many letters have too few runs of three for one slip to leave enough of them."""
POSTCODE_DIGITS: Final = 5
SHORTEST_NUMERAL: Final = 5
"""Shorter words for numbers are one slip from too many other words."""

_TOKEN: Final = re.compile(r"[a-z]+|[0-9]+")
_DOTTED: Final = re.compile(r"\b[a-z]+(?:\.[a-z]+)+\b")
_ROMAN: Final = re.compile(r"x{0,3}(?:ix|iv|v?i{0,3})")
_ROMAN_VALUES: Final = {"i": 1, "v": 5, "x": 10}
_MARKS: Final = frozenset({"n", "nr", "nro", "no", "num", "numero", "civ", "civico", "nc"})
"""What people write before a house number."""
_INSIDE: Final = frozenset({"int", "interno", "scala", "sc", "piano", "pal", "palazzina", "edificio", "lotto", "app"})
"""What people write behind it, and leads inside the house."""
_REPEATED: Final = frozenset({"bis", "ter", "quater", "quinquies"})
_LONG_NUMERALS: Final = tuple(word for word in NUMERALS if len(word) > SHORTEST_NUMERAL)
_GLUE: Final = frozenset({"", "/", "-", "\\", "/ ", " /", " / "})


class HouseNumber(NamedTuple):
    """A number and what hangs on it: 12 and `A`, 12 and `BIS`, 12 and nothing."""

    number: int
    suffix: str = ""

    @property
    def written(self) -> str:
        """As the plate says it: `12/A`, `12 bis`."""
        if not self.suffix:
            return str(self.number)
        is_word = self.suffix.split(" ")[0].casefold() in _REPEATED
        return f"{self.number} {self.suffix.lower()}" if is_word else f"{self.number}/{self.suffix}"


class Reading(NamedTuple):
    """One way to understand what somebody typed."""

    words: tuple[str, ...]
    number: HouseNumber | None = None
    postcode: str | None = None


class _Token(NamedTuple):
    text: str
    gap: str
    """What stands between the token before and this one."""


def bare(text: str) -> str:
    """Small letters, no accents; signs of ordinals and the like are spaces."""
    text = re.sub(r"[°ºª№]", " ", text).replace("ß", "ss").replace("œ", "oe")
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _tokens(text: str) -> list[_Token]:
    joined = _DOTTED.sub(lambda found: _undotted(found[0]), bare(text))
    found, end = [], 0
    for match in _TOKEN.finditer(joined):
        found.append(_Token(match[0], joined[end : match.start()]))
        end = match.end()
    return found


def _undotted(abbreviation: str) -> str:
    """`v.le` is one word, `s.antonio` are two."""
    joined = abbreviation.replace(".", "")
    return joined if joined in SHORT_KINDS or joined in SHORT_WORDS else abbreviation.replace(".", " ")


@lru_cache(maxsize=4096)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a street's name in the one form, kind first: ("via", "san", "antonio")."""
    return _canonical([token.text for token in _tokens(text)])


def _canonical(tokens: Sequence[str]) -> tuple[str, ...]:
    words: list[str] = []
    for place, word in enumerate(tokens):
        if place == 0 and len(tokens) > 1 and word in SHORT_KINDS:
            # `S.S. 10` is a road; `SS. Trinità` are saints.
            if word == "ss" and not tokens[1].isdigit():
                words.append("san")
            else:
                words.extend(SHORT_KINDS[word].split(" "))
        else:
            words.append(_one_form(word, is_first=place == 0))
    return tuple(words)


def _one_form(word: str, *, is_first: bool) -> str:
    if word in SAINTS:
        return "san"
    if word in SHORT_WORDS:
        return SHORT_WORDS[word]
    if word in NUMERALS:
        return NUMERALS[word]
    if word.isdigit():
        return word.lstrip("0") or "0"
    if not is_first and set(word) <= {"i", "v", "x"} and _ROMAN.fullmatch(word):
        return str(_roman(word))
    return word


def _roman(word: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in word]
    return sum(-here if here < after else here for here, after in zip(values, [*values[1:], 0], strict=True))


def kind_length(words: Sequence[str]) -> int:
    """How many of the first words say what kind of street it is; a name always remains."""
    if len(words) < 2 or words[0] not in KINDS:  # noqa: PLR2004  (a kind and a name)
        return 0
    length = 1
    while length < len(words) - 1 and words[length] in MORE:
        length += 1
    return length


def _kind_first(words: tuple[str, ...]) -> tuple[str, ...]:
    """`roma via` is `via roma`: of the kinds that nobody takes for a name."""
    if kind_length(words):
        return words
    place = next((place for place, word in enumerate(words) if word in PLAIN_KINDS), 0)
    return (words[place], *words[:place], *words[place + 1 :]) if place else words


def split_kind(name: str) -> tuple[str, str]:
    """Kind and name of a whole street name, as they are written: ("Via", "Giuseppe Garibaldi")."""
    parts = name.split()
    length = kind_length([" ".join(words_of(f"{part} x")[:-1]) or "-" for part in parts])
    return " ".join(parts[:length]), " ".join(parts[length:])


def tidy(text: str) -> str:
    """Spaces tidied; what a register shouts in capitals is written as people write it."""
    text = re.sub(r"\s+", " ", text).strip()
    if not text.isupper():
        return text
    return " ".join(_lowered(word, is_first=place == 0) for place, word in enumerate(text.split(" ")))


def _lowered(word: str, *, is_first: bool) -> str:
    if set(word) <= set("IVX") and _ROMAN.fullmatch(word.casefold()):
        return word
    if word.casefold() in SMALL and not is_first:
        return word.lower()
    if word.endswith("'"):
        return word.capitalize()
    return re.sub(r"[^\W\d_]+", lambda part: part[0].capitalize(), word)


# --- house numbers ---------------------------------------------------------------------------------------------------


def read_number(number: str, suffix: str = "") -> HouseNumber | None:
    """A register's house number: `12`, `12/A`, `12 bis`, or number and suffix apart. None: it has no number."""
    tokens = _tokens(f"{number}/{suffix}" if suffix.strip() else number)
    while tokens and tokens[0].text in _MARKS:
        tokens = tokens[1:]
    if not tokens or not tokens[0].text.isdigit() or not 0 < int(tokens[0].text[:9]) <= HIGHEST_NUMBER:
        return None
    return HouseNumber(int(tokens[0].text), " ".join(token.text.upper() for token in tokens[1:5])[:12].strip())


def readings(query: str) -> list[Reading]:
    """The ways to understand `query`, the likeliest first: which of its numbers is the house's, if any."""
    tokens = _tokens(query[:LONGEST_QUERY])[:MOST_TOKENS]
    postcode = next((t.text for t in tokens if t.text.isdigit() and len(t.text) == POSTCODE_DIGITS), None)
    tokens = [token for token in tokens if token.text != postcode]
    found = [
        Reading(_kind_first(words), number, postcode)
        for words, number in [*_with_number(tokens), (_canonical([token.text for token in tokens]), None)]
        if any(word not in KINDS for word in words) or (words and number is None)
    ]
    found += [reading._replace(words=tuple(map(_mended, reading.words))) for reading in found]
    return list(dict.fromkeys(found))[:MOST_READINGS]


@lru_cache(maxsize=1024)
def _mended(word: str) -> str:
    """A number in words with one slip: its figure. Registers have figures, so no likeness would be left."""
    if len(word) < SHORTEST_NUMERAL or word.isdigit():
        return word
    near = [written for written in _LONG_NUMERALS if OSA.distance(word, written, score_cutoff=1) <= 1]
    return NUMERALS[near[0]] if near else word


def _with_number(tokens: Sequence[_Token]) -> Iterator[tuple[tuple[str, ...], HouseNumber]]:
    """Each number of the query taken for the house's, the last first; what leads inside the house is left out."""
    for place in reversed(range(len(tokens))):
        if not tokens[place].text.isdigit() or not 0 < int(tokens[place].text[:9]) <= HIGHEST_NUMBER:
            continue
        if place > 0 and tokens[place].gap in {"/", "-"} and tokens[place - 1].text.isdigit():
            continue  # the 1 of 12/1
        if (
            place > 1
            and tokens[place - 1].text in _INSIDE
            and any(token.text.isdigit() for token in tokens[: place - 1])
        ):
            continue  # the 3 of `12 int. 3`; but 104 is the house's in `via Palazzina 104`
        end = _suffix_end(tokens, place)
        before, after = list(tokens[:place]), list(tokens[end:])
        while before and before[-1].text in _MARKS and any(token.text not in KINDS for token in before[:-1]):
            before.pop()  # the n. of `via Roma n. 12`; in `via N 12` it is the name
        inside = next((at for at, token in enumerate(after) if token.text in _INSIDE), None) if before else None
        kept = [token.text for token in [*before, *after[:inside]]]
        if kept:
            suffix = " ".join(token.text.upper() for token in tokens[place + 1 : end])
            yield _canonical(kept), HouseNumber(int(tokens[place].text), suffix)


def _suffix_end(tokens: Sequence[_Token], place: int) -> int:
    """Where the suffix of the number at `place` ends: `12/A`, `12a`, `12 bis`, `12 a` at the very end."""
    end = place + 1
    while end < len(tokens) and end - place <= 3:  # noqa: PLR2004  (12/bis/a is the longest there is)
        text, gap = tokens[end]
        is_last = end == len(tokens) - 1 or tokens[end + 1].text in _REPEATED | _INSIDE or "," in tokens[end + 1].gap
        is_glued = gap in _GLUE and (len(text) <= 2 or text in _REPEATED or (text.isdigit() and len(text) <= 3))  # noqa: PLR2004
        if not (is_glued or (gap.isspace() and (text in _REPEATED or (len(text) == 1 and text.isalpha() and is_last)))):
            break
        end += 1
    return end


# --- what is searched by ---------------------------------------------------------------------------------------------


def telling(words: Sequence[str]) -> list[str]:
    """The words that tell one street from another; all of them where none does."""
    named = list(words[kind_length(words) :])
    return [word for word in named if word not in SMALL] or named


def grams(words: Sequence[str]) -> list[str]:
    """What a street is found by: runs of three letters of each word, and of short words also what one slip leaves."""
    found: dict[str, None] = {}
    for word in words:
        padded = f"  {word} "
        found.update((padded[place : place + 3], None) for place in range(len(padded) - 2))
        if SHORTEST_GUARDED <= len(word) <= LONGEST_GUARDED and word.isalpha():
            found.update((f"-{word[:place]}{word[place + 1 :]}", None) for place in range(len(word)))
            found[f"-{word}"] = None
    return list(found)[:MOST_GRAMS]
