"""Texts as numbers: texts are sums of words, words are sums of features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from city.reports.classification import (
    WORDS_AT_MOST,
    Floats,
    folded,
    word_features,
    words_of,
)
from city.reports.training.recipe import Recipe

_PIECE = 2_048


class Rows:
    """A sparse matrix of ones: which columns each row has."""

    def __init__(self, rows: Sequence[Sequence[int]], columns: int) -> None:
        self.shape = (len(rows), columns)
        picked = np.array([column for row in rows for column in row], np.int64)
        lengths = np.array([len(row) for row in rows], np.int64)
        owners = np.repeat(np.arange(len(rows)), lengths)
        self._by_row = _Sums(picked, lengths)
        self._by_column = _Sums(owners[np.argsort(picked, kind="stable")], np.bincount(picked, minlength=columns))

    def times(self, matrix: Floats) -> Floats:
        """This matrix times `matrix`."""
        return self._by_row.of(matrix)

    def transposed_times(self, matrix: Floats) -> Floats:
        """The transpose of this matrix times `matrix`."""
        return self._by_column.of(matrix)


class _Sums:
    """Sums of rows of a matrix: result row i adds up the next `lengths[i]` of the rows `picked`.

    Done in pieces that stay in the processor's cache, which is four times as fast as all at once.
    """

    def __init__(self, picked: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        self._rows = len(lengths)
        filled = np.flatnonzero(lengths)
        ends = np.cumsum(lengths)[filled]
        starts = ends - lengths[filled]
        cuts = [*np.unique(np.searchsorted(starts, np.arange(0, len(picked), _PIECE))).tolist(), len(filled)]
        self._pieces = [
            (filled[first:last], picked[starts[first] : ends[last - 1]], starts[first:last] - starts[first])
            for first, last in pairwise(cuts)
            if last > first
        ]

    def of(self, matrix: Floats) -> Floats:
        result = np.zeros((self._rows, matrix.shape[1]), np.float32)
        for rows, picked, starts in self._pieces:
            result[rows] = np.add.reduceat(matrix.take(picked, axis=0), starts, axis=0)
        return result


@dataclass(frozen=True)
class Corpus:
    """The training texts as numbers: texts are sums of words, words are sums of features."""

    texts: Rows
    words: Rows
    word_scales: Floats
    rarity: Floats
    features: list[str]


def read_corpus(texts: Sequence[str], recipe: Recipe) -> Corpus:
    """The texts as rows of words, and the words as rows of the features that are found in enough of them."""
    numbers: dict[str, int] = {}
    rows = []
    for text in texts:
        different = dict.fromkeys(word for word in map(folded, words_of(text)) if word)
        rows.append([numbers.setdefault(word, len(numbers)) for word in different][:WORDS_AT_MOST])
    in_words = [word_features(word) for word in numbers]
    spread = Counter(feature for features in in_words for feature in features)
    kept = sorted(f for f, count in spread.items() if count >= recipe.fewest_words or f.startswith("="))
    places = {feature: place for place, feature in enumerate(kept)}

    text_rows = Rows(rows, len(numbers))
    word_rows = Rows([[places[f] for f in features if f in places] for features in in_words], len(kept))
    frequency = text_rows.transposed_times(np.ones((len(texts), 1), np.float32))
    occurrences = np.maximum(word_rows.transposed_times(frequency), 1)
    return Corpus(
        texts=text_rows,
        words=word_rows,
        word_scales=np.array([[len(features) ** -0.5] for features in in_words], np.float32),
        rarity=(1 - np.log(occurrences) / (1 + np.log(len(texts)))).clip(0.01) ** recipe.rarity,
        features=kept,
    )
