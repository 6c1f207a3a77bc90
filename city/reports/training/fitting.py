"""The weights of the features, found with L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from city.reports.classification import (
    Floats,
)
from city.reports.training.corpus import Corpus
from city.reports.training.recipe import Recipe

_SHORTEST_STRIDE = 1e-6


_FLAT = 1e-10


@dataclass(frozen=True)
class Targets:
    """What is to be learned of each text: its class, its language (1 Italian, 0 English) and its weight."""

    classes: NDArray[np.int64]
    italian: Floats
    weights: Floats
    count: int


@dataclass(frozen=True)
class Scale:
    """What each feature counts (a column), and how long that makes each text (a column)."""

    features: Floats
    lengths: Floats


def scaled(corpus: Corpus, targets: Targets, recipe: Recipe) -> Scale:
    """Rare features, and those that tell the classes of `targets` apart, count more."""
    chosen = np.zeros((len(targets.classes), targets.count), np.float32)
    chosen[np.arange(len(chosen)), targets.classes] = targets.weights
    usual = chosen.sum(axis=0) / chosen.sum()
    found = corpus.words.transposed_times(corpus.texts.transposed_times(chosen)) + recipe.telling_from * usual
    found /= found.sum(axis=1, keepdims=True)
    divergence = (found * np.log(np.maximum(found / usual, 1e-9))).sum(axis=1, keepdims=True)
    telling = (divergence / np.log(targets.count)).clip(0.001) ** recipe.telling
    features = (corpus.rarity * telling).astype(np.float32)
    energies = corpus.texts.times(corpus.words.times(features**2) * corpus.word_scales**2)
    return Scale(features, np.sqrt(energies + np.float32(recipe.damping)))


def fit(corpus: Corpus, scale: Scale, targets: Targets, recipe: Recipe, tick: Callable[[], None]) -> Floats:
    """The weights of every feature (rows) for the classes and, in the last column, the language.

    Texts of weight 0 take no part.
    """
    chosen = np.zeros((len(targets.classes), targets.count + 1), np.float32)
    chosen[np.arange(len(chosen)), targets.classes] = 1
    chosen[:, -1] = targets.italian

    def loss_and_slope(weights: Floats) -> tuple[float, Floats]:
        likely = _chances(logits_of(corpus, scale, weights))
        losses = -np.log(np.maximum((likely[:, :-1] * chosen[:, :-1]).sum(axis=1), 1e-12))
        said = np.where(targets.italian > 0, likely[:, -1], 1 - likely[:, -1])
        losses -= np.log(np.maximum(said, 1e-12))
        residuals = (likely - chosen) * (targets.weights[:, None] / scale.lengths)
        slope = corpus.words.transposed_times(corpus.texts.transposed_times(residuals) * corpus.word_scales)
        slope *= scale.features
        slope += recipe.penalty * weights
        loss = float(losses @ targets.weights) + recipe.penalty / 2 * float(np.vdot(weights, weights))
        return loss, slope

    start = np.zeros((corpus.words.shape[1], targets.count + 1), np.float32)
    return _minimised(loss_and_slope, start, recipe.steps, tick)


def logits_of(corpus: Corpus, scale: Scale, weights: Floats) -> Floats:
    """What these weights say of each text (a row): a column for each class, and one for the language."""
    logits: Floats = corpus.texts.times(corpus.words.times(weights * scale.features) * corpus.word_scales)
    logits /= scale.lengths
    return logits


def _chances(logits: Floats) -> Floats:
    """Probabilities: of the classes, which add up to 1, and in the last column of Italian."""
    chances = np.empty_like(logits)
    powers = np.exp(logits[:, :-1] - logits[:, :-1].max(axis=1, keepdims=True))
    chances[:, :-1] = powers / powers.sum(axis=1, keepdims=True)
    chances[:, -1] = 1 / (1 + np.exp(-logits[:, -1].clip(-30, 30)))
    return chances


def _minimised(
    loss_and_slope: Callable[[Floats], tuple[float, Floats]], point: Floats, steps: int, tick: Callable[[], None]
) -> Floats:
    """The place of least loss, by L-BFGS (Nocedal 1980) with a memory of six steps and halving line search."""
    memory: list[tuple[Floats, Floats, float]] = []
    loss, slope = loss_and_slope(point)
    for _ in range(steps):
        tick()
        direction = -_curved(slope, memory)
        descent = float(np.vdot(slope, direction))
        stride = 1.0 if memory else 1.0 / max(float(np.abs(slope).max()), 1e-9)
        while True:
            next_point = point + np.float32(stride) * direction
            next_loss, next_slope = loss_and_slope(next_point)
            if next_loss <= loss + 1e-4 * stride * descent:
                break
            stride /= 2
            if stride < _SHORTEST_STRIDE:
                return point
        step, bend = next_point - point, next_slope - slope
        curvature = float(np.vdot(step, bend))
        if curvature > _FLAT:
            memory = [*memory[-5:], (step, bend, 1 / curvature)]
        settled = loss - next_loss < 1e-5 * abs(next_loss)
        point, loss, slope = next_point, next_loss, next_slope
        if settled:
            break
    return point


def _curved(slope: Floats, memory: Sequence[tuple[Floats, Floats, float]]) -> Floats:
    """The slope seen through the remembered curvature: the two-loop recursion."""
    seen = slope.copy()
    shares = []
    for step, bend, inverse in reversed(memory):
        share = inverse * float(np.vdot(step, seen))
        shares.append(share)
        seen -= np.float32(share) * bend
    if memory:
        step, bend, inverse = memory[-1]
        seen *= np.float32(1 / (inverse * float(np.vdot(bend, bend))))
    for (step, bend, inverse), share in zip(memory, reversed(shares), strict=True):
        seen += np.float32(share - inverse * float(np.vdot(bend, seen))) * step
    return seen
