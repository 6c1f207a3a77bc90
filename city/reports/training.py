"""How the classifier is made from labelled texts, and how it is measured.

A multinomial logistic regression over the features of `classification`, with the same sums and the same length, fitted
with L-BFGS. Texts are sums of words and pairs, and words are sums of features, so the work is done in these two steps
and a pass over 8,000 texts takes a fraction of a second. The same pass learns to tell the two languages apart.

Confidence is calibrated on texts the model did not see: the training set is split in folds, each judged by a model
fitted on the others; the temperature and the threshold of each category are read off those judgements.
Nothing is drawn by lot: the same texts make the same model.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from city.reports.classification import (
    FORMAT,
    LANGUAGES,
    WORDS_AT_MOST,
    Classifier,
    Floats,
    folded,
    stem,
    word_features,
    words_of,
)

REVISION = 1
"""Raised when the same texts would make another model."""

TARGET_PRECISION = 0.8
GROUP_PREFIX = "group:"
CORRECTION_WEIGHT = 3.0


class Pair(NamedTuple):
    """A training text and the category it belongs to."""

    slug: str
    language: str
    text: str


@dataclass(frozen=True)
class Recipe:
    """What the fit depends on, chosen by cross-validation of the seed's training set."""

    penalty: float = 1.0
    """Weight of the squared weights against the sum of the texts' losses."""
    damping: float = 1.0
    """Added to the squared length of a text, so that little evidence gives little confidence."""
    whole_word: float = 2.0
    pair: float = 1.0
    rarity: float = 0.5
    """How much more a rare word or run of letters counts than a frequent one: the power of its inverse frequency."""
    fewest_words: int = 2
    """Runs of letters in fewer different words than this are not kept."""
    fewest_pairs: int = 2
    """Pairs in fewer texts than this are not kept."""
    balance: float = 0.5
    """How much a text of a small category counts more: the power of the inverse size."""
    steps: int = 40
    folds: int = 3


RECIPE = Recipe()


class _Rows:
    """A sparse matrix of ones: which columns each row has."""

    def __init__(self, rows: Sequence[Sequence[int]], columns: int) -> None:
        self.shape = (len(rows), columns)
        self._columns = np.array([column for row in rows for column in row], np.int64)
        lengths = np.array([len(row) for row in rows], np.int64)
        self._filled, self._starts = _segments(lengths)
        owners = np.repeat(np.arange(len(rows)), lengths)
        order = np.argsort(self._columns, kind="stable")
        self._owners = owners[order]
        counts = np.bincount(self._columns, minlength=columns)
        self._filled_columns, self._column_starts = _segments(counts)

    def times(self, matrix: Floats) -> Floats:
        """This matrix times `matrix`."""
        return _summed(matrix, self._columns, self._starts, self._filled, self.shape[0])

    def transposed_times(self, matrix: Floats) -> Floats:
        """The transpose of this matrix times `matrix`."""
        return _summed(matrix, self._owners, self._column_starts, self._filled_columns, self.shape[1])


def _segments(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which segments are not empty, and where those start."""
    filled = np.flatnonzero(lengths)
    return filled, (np.cumsum(lengths) - lengths)[filled]


def _summed(
    matrix: Floats, indices: NDArray[np.int64], starts: NDArray[np.int64], filled: NDArray[np.int64], rows: int
) -> Floats:
    result = np.zeros((rows, matrix.shape[1]), np.float32)
    if len(indices):
        result[filled] = np.add.reduceat(matrix[indices], starts, axis=0)
    return result


@dataclass(frozen=True)
class _Corpus:
    """The training texts as numbers: texts are sums of units (words, then pairs), units are sums of features."""

    texts: _Rows
    units: _Rows
    unit_scales: Floats
    feature_scales: Floats
    energies: Floats
    features: list[str]
    pairs: list[str]
    words: int


def _corpus(texts: Sequence[str], recipe: Recipe) -> _Corpus:
    words: dict[str, int] = {}
    sequences: list[list[int]] = []
    for text in texts:
        sequence = [words.setdefault(word, len(words)) for word in map(folded, words_of(text)) if word]
        sequences.append(sequence[: 2 * WORDS_AT_MOST])
    stems = [stem(word) for word in words]
    text_pairs = [
        list(dict.fromkeys(f"{stems[one]} {stems[other]}" for one, other in zip(row, row[1:], strict=False)))
        for row in sequences
    ]
    pair_counts = Counter(pair for row in text_pairs for pair in row)
    pairs = sorted(pair for pair, count in pair_counts.items() if count >= recipe.fewest_pairs)
    pair_units = {pair: len(words) + place for place, pair in enumerate(pairs)}
    text_words = [list(dict.fromkeys(row))[:WORDS_AT_MOST] for row in sequences]
    word_counts = np.bincount([word for row in text_words for word in row], minlength=len(words))

    all_features = [word_features(word) for word in words]
    spread = Counter(feature for features in all_features for feature in features)
    kept = sorted(f for f, count in spread.items() if count >= recipe.fewest_words or f.startswith("="))
    numbers = {feature: place for place, feature in enumerate(kept)}
    unit_rows = [[numbers[feature] for feature in features if feature in numbers] for features in all_features]
    unit_rows += [[len(kept) + place] for place in range(len(pairs))]

    occurrences = np.zeros(len(kept) + len(pairs))
    for word_row, count in zip(unit_rows[: len(words)], word_counts, strict=True):
        occurrences[word_row] += count
    occurrences[len(kept) :] = [pair_counts[pair] for pair in pairs]
    base = np.ones(len(kept) + len(pairs))
    base[[number for feature, number in numbers.items() if feature.startswith("=")]] = recipe.whole_word
    base[len(kept) :] = recipe.pair
    scales = base * (1 + np.log(len(texts) / np.maximum(occurrences, 1.0)).clip(0)) ** recipe.rarity

    unit_scales = np.array([1 / len(features) ** 0.5 for features in all_features] + [1.0] * len(pairs))
    units = _Rows(unit_rows, len(kept) + len(pairs))
    squares = units.times((scales**2)[:, None].astype(np.float32))[:, 0] * unit_scales**2
    rows = [word_row + [pair_units[pair] for pair in pair_row if pair in pair_units]
            for word_row, pair_row in zip(text_words, text_pairs, strict=True)]
    text_rows = _Rows(rows, len(words) + len(pairs))
    energies = text_rows.times(squares[:, None].astype(np.float32))[:, 0]
    return _Corpus(
        texts=text_rows,
        units=units,
        unit_scales=unit_scales.astype(np.float32)[:, None],
        feature_scales=scales.astype(np.float32)[:, None],
        energies=energies,
        features=kept,
        pairs=pairs,
        words=len(words),
    )
