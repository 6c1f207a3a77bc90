"""How sure the model may be, read off its judgements of texts it has not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from city.reports.classification import (
    Floats,
    Trust,
    trusted,
)
from city.reports.training.fitting import Targets
from city.reports.training.recipe import Recipe

PRUDENCE = 5
"""Doubtful judgements added to each category when its threshold is chosen."""


_NEWTON_STEPS = 20


def calibrated(
    logits: Floats, targets: Targets, target_precision: float, recipe: Recipe
) -> tuple[float, Trust, list[float]]:
    """The temperature, the trust and the threshold of each class, for unseen texts with these logits."""
    if not len(logits):
        return 1.0, Trust(), [1.0] * targets.count
    temperature = _temperature(logits, targets)
    logits = logits / np.float32(temperature)
    trust = _trust(logits, targets, recipe)
    chances = trusted(logits, trust)
    return temperature, trust, _thresholds(chances, targets, target_precision)


def _trust(logits: Floats, targets: Targets, recipe: Recipe) -> Trust:
    """How often first places of these log-odds were right (Platt 1999), by Newton's method.

    One imagined step back to slope 1 and shift 0 keeps a handful of texts, all judged right, from certainty.
    """
    tops = _softmax(logits).max(axis=1).astype(float).clip(1e-6, 1 - 1e-6)
    inputs = np.stack([np.log(tops / (1 - tops)), np.ones(len(tops))], axis=1)
    right = logits.argmax(axis=1) == targets.classes
    start = np.array([1.0, 0.0])
    place = start
    for _ in range(_NEWTON_STEPS):
        said = 1 / (1 + np.exp(-inputs @ place))
        slope = inputs.T @ (said - right) + (place - start)
        bend = (inputs * (said * (1 - said))[:, None]).T @ inputs + np.eye(2)
        place = place - np.linalg.solve(bend, slope)
    return Trust(round(float(place[0]), 6), round(float(place[1]), 6), 1 - recipe.doubt)


def _temperature(logits: Floats, targets: Targets) -> float:
    """What to divide `logits` by so that confidence is as often right as it says (least log loss)."""

    def loss(temperature: float) -> float:
        chances = _softmax(logits / temperature)[np.arange(len(logits)), targets.classes]
        return float(-np.log(np.maximum(chances, 1e-12)) @ targets.weights)

    return min((float(candidate) for candidate in np.geomspace(0.05, 5, 93)), key=loss)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: Floats = powers / powers.sum(axis=1, keepdims=True)
    return chances


def _thresholds(chances: Floats, targets: Targets, target_precision: float) -> list[float]:
    """For each class the least confidence from which on its first places are right often enough."""
    firsts, confidences = chances.argmax(axis=1), chances.max(axis=1)
    right = firsts == targets.classes
    whole = _least_confidence(confidences, right, target_precision)
    return [
        round(_least_confidence(confidences[firsts == number], right[firsts == number], target_precision, whole), 4)
        for number in range(targets.count)
    ]


def _least_confidence(
    confidences: Floats, right: NDArray[np.bool_], target_precision: float, expected: float = 1.0
) -> float:
    """The least of `confidences` at and above which the share of `right` reaches the target; `expected` if none does.

    A few lucky judgements prove nothing: the share is taken as if `PRUDENCE` more had just missed the target.
    """
    order = np.argsort(-confidences, kind="stable")
    hits = np.cumsum(right[order])
    seen = np.arange(1, len(order) + 1)
    shares = (hits + PRUDENCE * max(target_precision - 0.1, 0.0)) / (seen + PRUDENCE)
    enough = np.flatnonzero(shares >= target_precision)
    return float(confidences[order][enough[-1]]) if len(enough) else expected
