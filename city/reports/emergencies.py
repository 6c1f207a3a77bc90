"""The words that bring up 112 before anything else: gas, bare wires, somebody hurt.

`found` looks for whole phrases, without regard to accents, case or punctuation. The words of a phrase keep their
order but may have up to two others between them, and each may wear another ending, so that "cavo scoperto" is found in
"un cavo elettrico scoperto" and in "dei cavi scoperti", but never inside another word. The end of a sentence is a wall:
words on either side of it do not make a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

WORDS_BETWEEN = 2
READ_AT_MOST = 4_000
"""Letters of a text that are looked at: an emergency is said early."""

_FOLDED = "".join(
    letter.lower() if letter.isalnum() else "." if letter in ".!?;" else " " for letter in map(chr, range(128))
)
"""What becomes of each ASCII character."""
_LETTERS = re.compile(r"[a-z0-9]+")
_ITALIAN_ENDINGS = "aeio"
_SHORTEST_STEM = 3


def found(text: str, words: Iterable[str]) -> list[str]:
    """The phrases of `words` that occur in `text`, as they are written in `words` and in their order.

    Fast when `words` is a tuple (or a list with the same phrases) seen before: the phrases are compiled once.
    """
    phrases = words if isinstance(words, tuple) else tuple(words)
    starts, patterns = _compiled(phrases)
    if starts is None:
        return []
    folded = _folded(text[:READ_AT_MOST])
    candidates = {match.group(1) for match in starts.finditer(folded)}
    if not candidates:
        return []
    return [phrase for phrase, start, pattern in patterns if start in candidates and pattern.search(folded)]


def _folded(text: str) -> str:
    """Lower case, without accents, words parted by one space and sentences by full stops, a space at both ends."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.replace("’", "'")).encode("ascii", "ignore").decode()
    return f" {' '.join(text.translate(_FOLDED).replace('.', ' . ').split())} "


@lru_cache(maxsize=256)
def _compiled(phrases: tuple[str, ...]) -> tuple[re.Pattern[str] | None, tuple[tuple[str, str, re.Pattern[str]], ...]]:
    """One pattern that finds the first word of any phrase, and for each phrase its first stem and its own pattern."""
    entries = []
    for phrase in dict.fromkeys(phrases):
        stems = [_stem(word) for word in _LETTERS.findall(_folded(phrase))]
        if stems:
            entries.append((phrase, stems[0][0], re.compile(_phrase_pattern(stems))))
    if not entries:
        return None, ()
    firsts = sorted({start for _, start, _ in entries}, key=len, reverse=True)
    return re.compile(f" ({'|'.join(firsts)})"), tuple(entries)


def _phrase_pattern(stems: list[tuple[str, str]]) -> str:
    between = f"(?: [a-z0-9]+){{0,{WORDS_BETWEEN}}}"
    first, *others = (f" {stem}{ending}" for stem, ending in stems)
    # A little word at the start ("on fire") says too little to be torn from what follows ("on the fire escape").
    start = first if len(stems[0][0]) < _SHORTEST_STEM else first + between
    return (start + between.join(others) if others else first) + "(?= )"


def _stem(word: str) -> tuple[str, str]:
    """The part of `word` that does not change, and a pattern of the endings it may wear.

    Italian: the last vowel changes (cavo, cavi; incendio, incendi). English: a plural (wire, wires).
    """
    stem = word.rstrip(_ITALIAN_ENDINGS)
    if len(stem) < _SHORTEST_STEM or word == stem:
        return word, "(?:e?s)?" if len(word) >= _SHORTEST_STEM else ""
    return stem, f"(?:[{_ITALIAN_ENDINGS}]|h[ei]|i[aeo]|s|es)?"
