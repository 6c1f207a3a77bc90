"""How alike two texts are: the words they share, and what the classifier takes them to be about.

Neither alone is enough. Two citizens say the same trouble in other words ("buca" and "voragine", or one writes
English), which only the classifier sees; it in turn cannot tell one lamp from the next, where words and numbers can.
On the pairs of `tests/data/duplicates.tsv` the mean of both beats either, and letters' trigrams (pg_trgm's measure)
too; it costs about 25 microseconds for a text met for the first time. Texts stay on the server: only the figure leaves.
"""

from __future__ import annotations

import hashlib
import math
import re
from functools import cached_property
from operator import mul
from typing import Final

from city.reports import trained
from city.reports.classification import folded, words_of

READ_AT_MOST: Final = 500
"""Letters of a text that are compared: what the trouble is, is said early."""
STEM_LETTERS: Final = 5
"""Endings differ, and what is left of a word after five letters is mostly ending."""

_NUMBER: Final = re.compile(r"(?<!\d)\d{1,5}(?!\d)")
"""House numbers and lamp numbers; never as long as a telephone number."""


REMEMBERED: Final = 2_000
"""Texts whose comparison is kept ready: in one street the same neighbours are looked at again and again."""

_remembered: dict[bytes, Wording] = {}


def wording_of(text: str) -> Wording:
    """The wording of a text that is in the database; found again by a digest, so that no list of texts is kept."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
    found = _remembered.get(digest)
    if found is None:
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        found = _remembered[digest] = Wording(text)
        found.settle()
    return found


class Wording:
    """A text, made ready to be compared with others."""

    def __init__(self, text: str) -> None:
        self._text = text[:READ_AT_MOST]

    @cached_property
    def stems(self) -> frozenset[str]:
        """The beginnings of its words, folded."""
        return frozenset(word[:STEM_LETTERS] for word in map(folded, words_of(self._text)) if word)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The short numbers in it."""
        return frozenset(_NUMBER.findall(self._text))

    @cached_property
    def _kinds(self) -> list[float]:
        """How sure the classifier is of each category, as a vector of length 1.

        Empty where there is no classifier, or no word says anything.
        """
        try:
            classifier = trained.classifier()
            sure = list(classifier.scores(self._text).values()) if classifier else []
        except Exception:  # noqa: BLE001  (its trouble is never the citizen's: the words are compared without it)
            return []
        length = math.sqrt(sum(map(mul, sure, sure)))
        return [share / length for share in sure]

    def settle(self) -> None:
        """Read the text now, and forget it."""
        _ = self.stems, self.numbers, self._kinds
        self._text = ""

    def likeness(self, other: Wording) -> float:
        """From 0 (nothing in common) to 1 (the same)."""
        shared = len(self.stems & other.stems)
        words = shared / math.sqrt(len(self.stems) * len(other.stems)) if shared else 0.0
        if not self._kinds or not other._kinds:
            return words
        if len(self._kinds) != len(other._kinds):
            return words  # the classifier was trained anew in between
        return (words + float(sum(map(mul, self._kinds, other._kinds)))) / 2

    def contradicts(self, other: Wording) -> bool:
        """Whether both name numbers, and none in common."""
        return bool(self.numbers and other.numbers) and not self.numbers & other.numbers
