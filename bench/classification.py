"""How fast texts are classified, one by one and many at once, beside a classifier of forty lines of plain Python.

The peer weighs the runs of 3 to 5 letters (TF-IDF) and takes the nearest centre of a category, learned from the very
same phrases; it gives the best three, and no reasons.
"""

from __future__ import annotations

import math
import random
import re
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bench.results import Result
from city.reports.classification import Classifier
from city.reports.training.learning import Pair

TEXTS: Final = 2_000
ROUNDS: Final = 5
LEAST_SINGLE: Final = 1.0
LEAST_MANY: Final = 2.0
"""Of the peer's rate."""

_WORD: Final = re.compile(r"[^\W\d_]+")


class Centroids:
    """The peer."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        counted = [(pair.slug, Counter(_runs(pair.text))) for pair in pairs]
        seen = Counter(run for _, runs in counted for run in runs)
        self._rarity = {run: math.log(len(counted) / count) + 1 for run, count in seen.items()}
        centres: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for category, runs in counted:
            centres[category].update(self._weighed(runs))
        self._weights: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
        for category, centre in centres.items():
            length = math.sqrt(sum(weight * weight for weight in centre.values()))
            for run, weight in centre.items():
                self._weights[run].append((category, weight / length))

    def _weighed(self, runs: Counter[str]) -> dict[str, float]:
        weights = {run: (1 + math.log(count)) * self._rarity.get(run, 0.0) for run, count in runs.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {run: weight / length for run, weight in weights.items()}

    def best(self, text: str) -> list[tuple[str, float]]:
        """The three nearest categories."""
        scores: defaultdict[str, float] = defaultdict(float)
        for run, weight in self._weighed(Counter(_runs(text))).items():
            for category, of_centre in self._weights.get(run, ()):
                scores[category] += weight * of_centre
        return sorted(scores.items(), key=lambda score: -score[1])[:3]


def _runs(text: str) -> Iterable[str]:
    for word in _WORD.findall(text.lower()):
        padded = f" {word} "
        for size in (3, 4, 5):
            for start in range(len(padded) - size + 1):
                yield padded[start : start + size]


def measure(classifier: Classifier, pairs: Sequence[Pair], told: Sequence[str]) -> list[Result]:
    """Texts a second: each alone, and all at once. `told` are texts as citizens write them, `pairs` to learn from."""
    peer = Centroids(pairs)
    chance = random.Random(11)  # noqa: S311  (a repeatable choice, no secret)
    texts = [f"{chance.choice(told)} {chance.choice(told)[:30]}" for _ in range(TEXTS)]
    makers: tuple[Callable[[], object], ...] = (
        lambda: [classifier.classify(text) for text in texts],
        lambda: classifier.classify_many(texts),
        lambda: [peer.best(text) for text in texts],
    )
    seen: list[list[float]] = [[] for _ in makers]
    for _ in range(ROUNDS):
        for times, make in zip(seen, makers, strict=True):
            begun = time.perf_counter()
            make()
            times.append(time.perf_counter() - begun)
    single, many, plain = (TEXTS / statistics.median(times) for times in seen)
    return [
        Result("classification, one by one", single, plain, "texts/s", LEAST_SINGLE),
        Result("classification, many at once", many, plain, "texts/s", LEAST_MANY),
    ]
