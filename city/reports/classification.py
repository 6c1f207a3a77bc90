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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
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
_WEIGHED_AT_ONCE = 1_024
"""Texts whose sums lie side by side in the processor's cache."""
_LONGEST_WORD = 24
_REMEMBERED_MASKS = 1_000
_LEAST_SHARE = 0.02
_AHEAD = 1.0001
_LETTER_RUNS = (3, 4, 5)
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
    """Probabilities that add up to 1 and keep the order of `logits`, the first of them as trustworthy as it says.

    Both of shape (texts, classes).
    """
    powers: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    texts, first = np.arange(len(powers)), powers.argmax(axis=1)
    powers[texts, first] = 0
    rests = [max(rest, 1e-9) for rest in powers.sum(axis=1).tolist()]
    sure = [_sure(rest, up, trust) for rest, up in zip(rests, powers.max(axis=1).tolist(), strict=True)]
    powers *= np.array([(1 - share) / rest for share, rest in zip(sure, rests, strict=True)], np.float32)[:, None]
    powers[texts, first] = sure
    return powers


def _sure(rest: float, runner_up: float, trust: Trust) -> float:
    """How sure the first is, where the others together have `rest` times its power and the second `runner_up` times."""
    sure = trust.share / (1 + math.exp(min(trust.slope * math.log(rest) - trust.shift, 700)))
    return max(sure, _AHEAD * runner_up / (rest + runner_up))


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

    def totals(self, readings: Sequence[_Reading]) -> Floats:
        """The sum of each text's rows, shape (texts, columns).

        Word after word in the text's order, whatever texts lie beside it: a sum must not depend on its neighbours.
        """
        if len(readings) == 1:
            return np.add.reduce(self.rows.take(readings[0].words, axis=0), axis=0, keepdims=True)
        lengths = np.array([len(reading.words) for reading in readings])
        longest_first = (-lengths).argsort()
        words = _all_words(readings)
        begins = (lengths.cumsum() - lengths)[longest_first]
        summed = np.zeros((len(readings), self.rows.shape[1]), np.float32)
        for place in range(lengths.max()):
            going_on = np.searchsorted(-lengths[longest_first], -place)
            summed[:going_on] += self.rows[words[begins[:going_on] + place]]
        totals = np.empty_like(summed)
        totals[longest_first] = summed
        return totals

    def voices(self, readings: Sequence[_Reading], classes: NDArray[np.intp]) -> Iterator[list[float]]:
        """For each text, how much each of its words speaks for the text's class."""
        lengths = [len(reading.words) for reading in readings]
        voices = iter(self.rows[_all_words(readings), classes.repeat(lengths)].tolist())
        return (list(islice(voices, length)) for length in lengths)


class _Reading(NamedTuple):
    """A text as the model sees it: its different words as written, the row of each, and the different rows."""

    spellings: list[str]
    sequence: list[int]
    words: list[int]


def _all_words(readings: Sequence[_Reading]) -> NDArray[np.intp]:
    return np.fromiter(chain.from_iterable(reading.words for reading in readings), np.intp)


class _Weights(NamedTuple):
    """What was found of a text: the best classes and their shares, and how much each word speaks for the first."""

    italian: float
    energy: float
    order: list[int]
    shares: list[float]
    of_group: float
    voices: list[float]


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
        cache, reading = self._read(text)
        return self._said(cache, [reading], allowed)[0]

    def classify_many(self, texts: Iterable[str], allowed: frozenset[str] | None = None) -> list[Classification]:
        """What `classify` says of each text, to the last digit; quicker than one by one."""
        said: list[Classification] = []
        waiting: list[_Reading] = []
        cache = self._cache
        for text in texts:
            of, reading = self._read(text)
            if of is not cache or len(waiting) == _WEIGHED_AT_ONCE:
                said += self._said(cache, waiting, allowed)
                cache, waiting = of, []
            waiting.append(reading)
        return said + self._said(cache, waiting, allowed)

    def _said(
        self, cache: _WordRows, readings: Sequence[_Reading], allowed: frozenset[str] | None
    ) -> list[Classification]:
        """What there is to say of texts whose words have their rows in `cache`."""
        if not readings:
            return []
        totals = cache.totals(readings)
        probabilities = self._probabilities(totals)
        ranked = probabilities if allowed is None else probabilities * self._mask(allowed)
        order = ranked.argsort(axis=1)[:, : -SUGGESTIONS - 1 : -1]
        first = order[:, 0]
        of_group = (self._members[first] * probabilities).sum(axis=1)
        return [
            self._classification(reading, _Weights(*weights))
            for reading, *weights in zip(
                readings,
                totals[:, -2].tolist(),
                totals[:, -1].tolist(),
                order.tolist(),
                np.take_along_axis(ranked, order, axis=1).tolist(),
                of_group.tolist(),
                cache.voices(readings, first),
                strict=True,
            )
        ]

    def _classification(self, reading: _Reading, weights: _Weights) -> Classification:
        language = LANGUAGES[0] if weights.italian >= 0 else LANGUAGES[1]
        order, shares = weights.order, weights.shares
        if weights.energy <= 0 or shares[0] <= 0:
            return Classification((), language, decided=False, words=(), group_confidence=0.0)
        suggestions = tuple(
            [Suggestion(self.slugs[at], round(share, 4)) for at, share in zip(order, shares, strict=True) if share > 0]
        )
        return Classification(
            suggestions,
            language,
            decided=suggestions[0].confidence >= self.thresholds[order[0]],
            words=_spoken(reading, weights.voices),
            group_confidence=round(weights.of_group, 4),
        )

    def scores(self, text: str) -> dict[str, float]:
        """The probability of every category; empty when no word says anything."""
        cache, reading = self._read(text)
        totals = cache.totals([reading])
        if totals[0, -1] <= 0:
            return {}
        return dict(zip(self.slugs, self._probabilities(totals)[0].tolist(), strict=True))

    def language(self, text: str) -> str:
        """The language of `text`: "it" or "en", Italian when nothing tells."""
        cache, reading = self._read(text)
        return LANGUAGES[0] if cache.totals([reading])[0, len(self.slugs)] >= 0 else LANGUAGES[1]

    def _probabilities(self, totals: Floats) -> Floats:
        """The probability of every class, a row for each text."""
        lengths = np.sqrt(self._damping + totals[:, -1:].astype(np.float64)).astype(np.float32)
        return trusted(totals[:, : len(self.slugs)] / lengths, self._trust)

    def _mask(self, allowed: frozenset[str]) -> Floats:
        mask = self._masks.get(allowed)
        if mask is None:
            mask = np.array([slug in allowed for slug in self.slugs], np.float32)
            if len(self._masks) >= _REMEMBERED_MASKS:
                self._masks.clear()
            self._masks[allowed] = mask
        return mask

    def _read(self, text: str) -> tuple[_WordRows, _Reading]:
        """The text, and the cache that has the rows of its words."""
        spellings = list(dict.fromkeys(words_of(text)))[:WORDS_AT_MOST]
        cache = self._cache
        sequence = [cache.by_spelling.get(spelling, -1) for spelling in spellings]
        if -1 in sequence:
            cache = self._learn_rows(spellings)
            sequence = [cache.by_spelling[spelling] for spelling in spellings]
        return cache, _Reading(spellings, sequence, list(dict.fromkeys(sequence)))

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
                if about.get("format") != FORMAT:
                    raise UnusableModel(f"{path.name} is of format {about.get('format')}, not {FORMAT}")  # noqa: TRY301
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
            raise UnusableModel(f"{path.name} is damaged") from problem


def _members(groups: Sequence[str]) -> Floats:
    """For each class a row that has 1 at the classes of its group."""
    return np.array([[float(one == other) for other in groups] for one in groups], np.float32)


def _spoken(reading: _Reading, voices: list[float]) -> tuple[tuple[str, float], ...]:
    """The words that speak most for a class, each with its share of all that speaks for it."""
    for_it = sorted(((voice, row) for voice, row in zip(voices, reading.words, strict=True) if voice > 0), reverse=True)
    whole = sum([voice for voice, _ in for_it])
    return tuple(
        [
            (reading.spellings[reading.sequence.index(row)], round(voice / whole, 3))
            for voice, row in for_it[:EXPLAINING_WORDS]
            if voice >= _LEAST_SHARE * whole
        ]
    )


def _packed(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _unpacked(array: NDArray[np.uint8]) -> list[str]:
    """The lines packed in `array`."""
    return array.tobytes().decode().splitlines()
