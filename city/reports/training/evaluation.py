"""How well a classifier does on labelled texts."""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from city.reports.classification import (
    Classifier,
)

GROUP_PREFIX = "group:"


@dataclass(frozen=True)
class Evaluation:
    """How well a classifier did on labelled texts. Shares are from 0 to 1.

    `top1`, `top3` and `macro_f1` judge each sample at the level of its label: a category, or a whole group.
    `group_top1` judges all of them by group. `coverage` is the share it would decide alone, `precision` how many of
    those are right (None when it decides none), `calibration_error` the expected calibration error in ten bins.
    `confusion` counts label → predicted; "" is no suggestion.
    """

    n: int
    top1: float
    top3: float
    group_top1: float
    macro_f1: float
    coverage: float
    precision: float | None
    calibration_error: float
    confusion: Mapping[str, Mapping[str, int]]

    def as_dict(self) -> dict[str, object]:
        """The figures as plain values, for JSON."""
        return asdict(self)


class _Judgement(NamedTuple):
    label: str
    guesses: list[str]
    confidence: float
    right_group: bool
    decided: bool
    decided_right: bool


def evaluate(classifier: Classifier, samples: Sequence[tuple[str, str]], groups: Mapping[str, str]) -> Evaluation:
    """Measure `classifier` on (text, label); a label is a category, or "group:" and a group.

    Raises ValueError when there are no samples. The chance of a group is the sum of those of its categories.
    """
    if not samples:
        raise ValueError("there are no samples to measure on")
    judgements = [_judged(classifier, text, label, groups) for text, label in samples]
    right = np.array([one.guesses[:1] == [one.label] for one in judgements])
    confusion: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in judgements:
        confusion[one.label][one.guesses[0] if one.guesses else ""] += 1
    decided = [one.decided_right for one in judgements if one.decided]
    return Evaluation(
        n=len(judgements),
        top1=float(right.mean()),
        top3=float(np.mean([one.label in one.guesses[:3] for one in judgements])),
        group_top1=float(np.mean([one.right_group for one in judgements])),
        macro_f1=_macro_f1(confusion),
        coverage=len(decided) / len(judgements),
        precision=sum(decided) / len(decided) if decided else None,
        calibration_error=_calibration_error(np.array([one.confidence for one in judgements]), right),
        confusion={label: dict(counts.most_common()) for label, counts in sorted(confusion.items())},
    )


def _judged(classifier: Classifier, text: str, label: str, groups: Mapping[str, str]) -> _Judgement:
    said = classifier.classify(text)
    by_slug = classifier.scores(text)
    by_group: defaultdict[str, float] = defaultdict(float)
    for slug, chance in by_slug.items():
        by_group[GROUP_PREFIX + groups.get(slug, slug)] += chance
    group = label if label.startswith(GROUP_PREFIX) else GROUP_PREFIX + groups.get(label, label)
    ranked = _ranked(by_group)
    level = by_group if group == label else by_slug
    first = said.best.slug if said.best else ""
    return _Judgement(
        label=label,
        guesses=_ranked(level),
        confidence=max(level.values(), default=0.0),
        right_group=ranked[:1] == [group],
        decided=said.decided,
        decided_right=label in {first, GROUP_PREFIX + groups.get(first, first)},
    )


def _ranked(chances: Mapping[str, float]) -> list[str]:
    return sorted(chances, key=lambda label: -chances[label])


def _macro_f1(confusion: Mapping[str, Mapping[str, int]]) -> float:
    """The mean over the labels of the harmonic mean of precision and recall."""
    predicted: Counter[str] = Counter()
    for counts in confusion.values():
        predicted.update(counts)
    scores = [
        2 * counts.get(label, 0) / (sum(counts.values()) + predicted[label]) for label, counts in confusion.items()
    ]
    return sum(scores) / len(scores)


def _calibration_error(confidences: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> float:
    """The mean distance between confidence and share of right answers, over equal bins of confidence."""
    places = np.minimum((confidences * bins).astype(int), bins - 1)
    distances = [
        abs(float(confidences[places == place].mean()) - float(right[places == place].mean()))
        * int((places == place).sum())
        for place in np.unique(places)
    ]
    return sum(distances) / len(confidences)


def read_labels(path: Path) -> dict[str, str]:
    """What another city's labels mean: each a category, "group:" and a group, or "-" to leave it out.

    Raises ValueError where the file is not a flat TOML table of strings.
    """
    labels = tomllib.loads(path.read_text(encoding="utf-8"))
    wrong = [label for label, meaning in labels.items() if not isinstance(meaning, str)]
    if wrong:
        raise ValueError(f"{path.name}: the meaning of {wrong[0]!r} is not a string")
    return labels
