"""How well a street answers to what somebody typed: a score from 0 to 1, for a few dozen candidates at a time.

Each typed word looks for its likest word of the street, and each word of the name for its likest typed one; slips of
the finger are measured by optimal string alignment (a swap of neighbours is one slip). Important words weigh more,
what kind of street it is weighs little, and what people leave out (first names, `di`) costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from rapidfuzz.distance import OSA

from city.registry.addresses.street_kinds import KINDS, MORE, SMALL
from city.registry.addresses.street_names import kind_length

LIKE: Final = 0.5
"""Words less alike than this are other words."""
KIND_LIKE: Final = 0.7
SHARE_OF_TYPED: Final = 0.68
SHARE_OF_KIND: Final = 0.1
"""Of the whole score: the kind of street. Missing is neither right nor wrong."""
SHARE_OF_NAME: Final = 1 - SHARE_OF_KIND
BEGUN: Final = 0.92
"""How good the beginning of a word is, where somebody is still typing."""
SHORTEST_BEGUN: Final = 2


class Candidate(NamedTuple):
    """A street as it is compared."""

    words: tuple[str, ...]
    """Kind first."""
    around: frozenset[str]
    """Words that may stand beside it: locality and municipality."""


def score(typed: tuple[str, ...], street: Candidate) -> float:
    """How well `typed` (words in the one form) means `street`, from 0 to 1."""
    length = kind_length(street.words)
    kind, name = street.words[:length], street.words[length:]
    typed_kind = _typed_kind(typed)
    by_kind = 0.0
    if typed_kind:
        alike = _kinds_alike(typed[:typed_kind], kind)
        by_kind = SHARE_OF_NAME * _text_score(typed[typed_kind:], name, street.around) + SHARE_OF_KIND * alike
        if alike >= KIND_LIKE:
            return by_kind
    # What looks like a kind may be part of the name: Via Corte dei Rossi.
    return max(by_kind, SHARE_OF_NAME * _text_score(typed, name, street.around) + SHARE_OF_KIND / 2)


@lru_cache(maxsize=1024)
def _typed_kind(typed: tuple[str, ...]) -> int:
    """How many of the first words say a kind of street, also with a slip."""
    exact = kind_length(typed)
    if exact or len(typed) < 2:  # noqa: PLR2004  (a kind and a name)
        return exact
    if len(typed[0]) > 2 and any(OSA.distance(typed[0], kind, score_cutoff=1) <= 1 for kind in KINDS):  # noqa: PLR2004
        length = 1
        while length < len(typed) - 1 and typed[length] in MORE:
            length += 1
        return length
    return 0


def _text_score(typed: Sequence[str], name: Sequence[str], around: frozenset[str]) -> float:
    if not typed:
        return 0.0
    last = len(typed) - 1
    found = [max((_alike(t, n, is_open=p == last) for n in name), default=0.0) for p, t in enumerate(typed)]
    if not any(found):
        return 0.0
    weights = [_weight(word) for word in typed]
    beside = [
        max(here, max((_alike(t, n) for n in around), default=0.0) * 0.97) for here, t in zip(found, typed, strict=True)
    ]
    of_typed = sum(w * s for w, s in zip(weights, beside, strict=True)) / sum(weights)
    name_weights = [_weight(word) for word in name]
    covered = [max(_alike(t, n, is_open=p == last) for p, t in enumerate(typed)) for n in name]
    of_name = sum(w * s for w, s in zip(name_weights, covered, strict=True)) / sum(name_weights)
    by_words = SHARE_OF_TYPED * of_typed + (1 - SHARE_OF_TYPED) * of_name
    # Words written together or apart: `dannunzio`, `sant antonio`.
    whole = OSA.normalized_similarity("".join(typed), "".join(name))
    return float(max(by_words, 0.97 * whole if whole > 0.7 else 0.0))  # noqa: PLR2004


def _kinds_alike(typed: Sequence[str], kind: Sequence[str]) -> float:
    """`via` is like `via vecchia`, but not as like as `via vecchia` is."""
    found = [_likest(word, kind) for word in typed] + [_likest(word, typed) for word in kind]
    return sum(found) / len(found)


def _likest(word: str, others: Sequence[str]) -> float:
    return max((OSA.normalized_similarity(word, other) for other in others), default=0.0)


def _alike(typed: str, word: str, *, is_open: bool = False) -> float:
    """From 0 to 1; `is_open`: somebody may still be typing this word."""
    if typed == word:
        return 1.0
    if typed.isdigit() or word.isdigit():
        return 0.0
    if len(typed) == 1 or len(word) == 1:
        return 0.7 if typed[0] == word[0] else 0.0
    alike: float = OSA.normalized_similarity(typed, word)
    if is_open and len(typed) >= SHORTEST_BEGUN and word.startswith(typed):
        alike = max(alike, BEGUN)
    return alike if alike >= LIKE else 0.0


def _weight(word: str) -> float:
    if word in SMALL:
        return 0.15
    if word == "san" or len(word) == 1:
        return 0.4
    if word.isdigit():
        return 1.0
    return 0.7 + min(len(word), 8) / 10
