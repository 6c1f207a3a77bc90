"""What a report is about: a small linear model that reads Italian and English, on this machine, and says why.

Every feature lives inside one word: the word itself, and its runs of 3 to 5 letters, which forgive typing errors and
endings. So each word has one row of class scores, found once and then remembered, and a text is the sum of the rows of
its different words, divided by the length of its feature vector:

    score(class) = sum of row[class] over the words / sqrt(damping + sum of row[energy] over the words)

The share of each word in that sum is exact, and is the explanation. `training` makes the model with these very
functions. Nothing here touches a database, the network or any file but the model.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

FORMAT = 3
"""Of features and file together: a model of another format is not read, but trained again."""

LANGUAGES = ("it", "en")
READ_AT_MOST = 4_000
"""Letters of a text that are read."""
WORDS_AT_MOST = 200
"""Different words of a text that are weighed: what comes later no longer changes what the report is about."""
SUGGESTIONS = 3
EXPLAINING_WORDS = 5

_CACHED_WORDS = 16_384
_LONGEST_WORD = 24
_REMEMBERED_MASKS = 1_000
_LEAST_SHARE = 0.02
_AHEAD = 1.0001
_LETTER_RUNS = (3, 4, 5)
_STEM_LETTERS = 5
_WORD = re.compile(r"[^\W\d_]{2,}")
_REPEATED = re.compile(r"(.)\1{2,}")

Floats = NDArray[np.float32]


class UnusableModel(ValueError):
    """A model file that is damaged, or of another format: train it again."""


class Trust(NamedTuple):
    """How much the first place is worth: sigmoid(`slope` * log-odds + `shift`) * `share` of them are right."""

    slope: float = 1.0
    shift: float = 0.0
    share: float = 1.0


class Suggestion(NamedTuple):
    """A category and how sure the model is of it, from 0 to 1."""

    slug: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Classification:
    """What the model says of a text.

    `suggestions` are the best categories, most likely first (empty when no word says anything), `decided` whether the
    first is sure enough to do without a person, `group_confidence` how sure the group of the first is, and `words`
    those that spoke most for it, as written, each with its share of all that speaks for it.
    """

    suggestions: tuple[Suggestion, ...]
    language: str
    decided: bool
    words: tuple[tuple[str, float], ...]
    group_confidence: float

    @property
    def best(self) -> Suggestion | None:
        """The first suggestion, if there is any."""
        return self.suggestions[0] if self.suggestions else None


def words_of(text: str) -> list[str]:
    """The words of `text` in order and as written; numbers, signs and single letters are left out."""
    text = text[:READ_AT_MOST]
    return _WORD.findall(text if text.isascii() else unicodedata.normalize("NFC", text))


def folded(word: str) -> str:
    """`word` in lower case, without accents, letters repeated in excitement reduced to two; "" if nothing is left."""
    word = word.lower()
    if not word.isascii():
        word = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    return _REPEATED.sub(r"\1\1", word)[:_LONGEST_WORD]


def word_features(word: str) -> list[str]:
    """The features inside one folded word, each once; the whole word is marked by "="."""
    if not word:
        return []
    padded = f" {word} "
    runs = [padded[start : start + size] for size in _LETTER_RUNS for start in range(len(padded) - size + 1)]
    return [f"={word}", *dict.fromkeys(runs)]


def trusted(logits: Floats, trust: Trust) -> Floats:
    """Probabilities that add up to 1 and keep the order of `logits`, the first of them as trustworthy as it says."""
    powers: Floats = np.exp(logits - logits.max())
    first = int(powers.argmax())
    powers[first] = 0
    rest = max(float(powers.sum()), 1e-9)
    runner_up = float(powers.max())
    sure = trust.share / (1 + math.exp(min(trust.slope * math.log(rest) - trust.shift, 700)))
    sure = max(sure, _AHEAD * runner_up / (rest + runner_up))
    powers *= (1 - sure) / rest
    powers[first] = sure
    return powers


class _WordRows:
    """The rows of the words met so far; row 0 is empty, for words that say nothing.

    Only grows, until it is full and a new one takes its place: whoever is reading the old one is not disturbed.
    """

    def __init__(self, columns: int) -> None:
        self.rows: Floats = np.zeros((_CACHED_WORDS, columns), np.float32)
        self.by_spelling: dict[str, int] = {}
        self.by_word: dict[str, int] = {"": 0}

    def has_room_for(self, words: int) -> bool:
        return max(len(self.by_word), len(self.by_spelling) // 2) + words <= len(self.rows)


class _Reading(NamedTuple):
    """A text as the model sees it: its different words as written, the row of each, the different rows, their sum."""

    spellings: list[str]
    sequence: list[int]
    words: list[int]
    rows: Floats
    total: Floats


class Classifier:
    """A trained model. Safe to share between threads; `train` and `load` make one.

    `weights` has a row for each feature; its columns are the classes in the order of `slugs`, then the language
    (positive: Italian), then the energy (the squared length it adds).
    """

    def __init__(
        self,
        *,
        slugs: Sequence[str],
        groups: Mapping[str, str],
        features: Iterable[str],
        weights: Floats,
        damping: float,
        trust: Trust,
        thresholds: Sequence[float],
        version: str,
    ) -> None:
        self.slugs = tuple(slugs)
        self.groups = {slug: groups.get(slug, slug) for slug in self.slugs}
        self.thresholds = tuple(thresholds)
        self.version = version
        self._features = {feature: row for row, feature in enumerate(features)}
        self._weights = weights
        self._damping = damping
        self._trust = trust
        self._members = _members([self.groups[slug] for slug in self.slugs])
        self._masks: dict[frozenset[str], Floats] = {}
        self._cache = _WordRows(weights.shape[1])
        self._growing = Lock()

    def classify(self, text: str, allowed: frozenset[str] | None = None) -> Classification:
        """The best categories for `text`, of those `allowed` only (all of them if None).

        Confidence is that among *all* categories: a text about something not allowed leaves little for the others.
        """
        reading = self._read(text)
        total = reading.total
        classes = len(self.slugs)
        language = LANGUAGES[0] if total[classes] >= 0 else LANGUAGES[1]
        if total[classes + 1] <= 0:
            return Classification((), language, decided=False, words=(), group_confidence=0.0)
        probabilities = self._probabilities(total)
        ranked = probabilities if allowed is None else probabilities * self._mask(allowed)
        order = ranked.argsort()[: -SUGGESTIONS - 1 : -1].tolist()
        suggestions = tuple(
            Suggestion(self.slugs[index], round(float(ranked[index]), 4)) for index in order if ranked[index] > 0
        )
        if not suggestions:
            return Classification((), language, decided=False, words=(), group_confidence=0.0)
        first = order[0]
        return Classification(
            suggestions,
            language,
            decided=suggestions[0].confidence >= self.thresholds[first],
            words=_spoken(reading, first),
            group_confidence=round(float(self._members[first] @ probabilities), 4),
        )

    def scores(self, text: str) -> dict[str, float]:
        """The probability of every category; empty when no word says anything."""
        total = self._read(text).total
        if total[len(self.slugs) + 1] <= 0:
            return {}
        return dict(zip(self.slugs, self._probabilities(total).tolist(), strict=True))

    def language(self, text: str) -> str:
        """The language of `text`: "it" or "en", Italian when nothing tells."""
        return LANGUAGES[0] if self._read(text).total[len(self.slugs)] >= 0 else LANGUAGES[1]

    def _probabilities(self, total: Floats) -> Floats:
        return trusted(total[: len(self.slugs)] / (self._damping + float(total[-1])) ** 0.5, self._trust)

    def _mask(self, allowed: frozenset[str]) -> Floats:
        mask = self._masks.get(allowed)
        if mask is None:
            mask = np.array([slug in allowed for slug in self.slugs], np.float32)
            if len(self._masks) >= _REMEMBERED_MASKS:
                self._masks.clear()
            self._masks[allowed] = mask
        return mask

    def _read(self, text: str) -> _Reading:
        spellings = list(dict.fromkeys(words_of(text)))[:WORDS_AT_MOST]
        cache = self._cache
        sequence = [cache.by_spelling.get(spelling, -1) for spelling in spellings]
        if -1 in sequence:
            cache = self._learn_rows(spellings)
            sequence = [cache.by_spelling[spelling] for spelling in spellings]
        words = list(dict.fromkeys(sequence))
        rows = cache.rows.take(words, axis=0)
        return _Reading(spellings, sequence, words, rows, np.add.reduce(rows, axis=0))

    def _learn_rows(self, spellings: list[str]) -> _WordRows:
        """The cache, with a row for each of `spellings`."""
        with self._growing:
            if not self._cache.has_room_for(len(spellings)):
                self._cache = _WordRows(self._weights.shape[1])
            cache = self._cache
            words = {spelling: folded(spelling) for spelling in spellings if spelling not in cache.by_spelling}
            fresh = [word for word in dict.fromkeys(words.values()) if word not in cache.by_word]
            first = len(cache.by_word)
            cache.rows[first : first + len(fresh)] = self._rows_of(fresh)
            cache.by_word.update(zip(fresh, range(first, first + len(fresh)), strict=True))
            for spelling, word in words.items():
                cache.by_spelling[spelling] = cache.by_word[word]
        return cache

    def _rows_of(self, words: list[str]) -> Floats:
        """One row for each word: the sum of its features' weights, scaled to the number of its features."""
        lookup = self._features.get
        indices: list[int] = []
        starts, lengths, filled = [], [], []
        for place, word in enumerate(words):
            features = word_features(word)
            known = [row for row in map(lookup, features) if row is not None]
            if known:
                starts.append(len(indices))
                lengths.append(len(features))
                filled.append(place)
                indices += known
        rows = np.zeros((len(words), self._weights.shape[1]), np.float32)
        if filled:
            sums = np.add.reduceat(self._weights[indices], starts, axis=0)
            sums /= np.sqrt(np.array(lengths, np.float32))[:, None]
            sums[:, -1] /= np.sqrt(np.array(lengths, np.float32))
            rows[filled] = sums
        return rows

    def save(self, path: Path) -> None:
        """Write the model to `path`, whole or not at all."""
        about = {
            "format": FORMAT,
            "slugs": self.slugs,
            "groups": self.groups,
            "thresholds": self.thresholds,
            "damping": self._damping,
            "trust": self._trust,
            "version": self.version,
        }
        arrays = {
            "about": _packed(json.dumps(about)),
            "features": _packed("\n".join(self._features)),
            "weights": self._weights.astype(np.float16),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model written by `save`. Raises FileNotFoundError, or UnusableModel."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                about: dict[str, Any] = json.loads("".join(_unpacked(stored["about"])))
                _check_format(about.get("format"), path)
                return cls(
                    slugs=about["slugs"],
                    groups=about["groups"],
                    features=_unpacked(stored["features"]),
                    weights=stored["weights"].astype(np.float32),
                    damping=about["damping"],
                    trust=Trust(*about["trust"]),
                    thresholds=about["thresholds"],
                    version=about["version"],
                )
        except UnusableModel:
            raise
        except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as problem:
            raise (
                problem if isinstance(problem, UnusableModel) else UnusableModel(f"{path.name} is damaged")
            ) from problem


def _check_format(found: object, path: Path) -> None:
    if found != FORMAT:
        raise UnusableModel(f"{path.name} is of format {found}, not {FORMAT}")


def _members(groups: Sequence[str]) -> Floats:
    """For each class a row that has 1 at the classes of its group."""
    return np.array([[float(one == other) for other in groups] for one in groups], np.float32)


def _spoken(reading: _Reading, index: int) -> tuple[tuple[str, float], ...]:
    """The words that speak most for class `index`, each with its share of all that speaks for it."""
    voices = reading.rows[:, index].tolist()
    for_it = sorted(((voice, row) for voice, row in zip(voices, reading.words, strict=True) if voice > 0), reverse=True)
    whole = sum(voice for voice, _ in for_it)
    return tuple(
        (reading.spellings[reading.sequence.index(row)], round(voice / whole, 3))
        for voice, row in for_it[:EXPLAINING_WORDS]
        if voice >= _LEAST_SHARE * whole
    )


def _packed(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _unpacked(array: NDArray[np.uint8]) -> list[str]:
    """The lines packed in `array`."""
    return array.tobytes().decode().splitlines()
