"""A classifier made from labelled texts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from city.reports.classification import (
    FORMAT,
    LANGUAGES,
    Classifier,
    Floats,
    words_of,
)
from city.reports.training.calibration import calibrated
from city.reports.training.corpus import Corpus, read_corpus
from city.reports.training.fitting import Targets, fit, logits_of, scaled
from city.reports.training.recipe import RECIPE, Recipe

REVISION = 5
"""Raised when the same texts would make another model."""


TARGET_PRECISION = 0.8


CORRECTION_WEIGHT = 3.0


_FEWEST_CATEGORIES = 2


class Pair(NamedTuple):
    """A training text and the category it belongs to."""

    slug: str
    language: str
    text: str


def read_training_set(folder: Path) -> list[Pair]:
    """The pairs in `folder`: files named `it-….tsv` and `en-….tsv`, each line a category, a tab and a text.

    Raises ValueError, with file and line, where a line is not of that form.
    """
    pairs = []
    for path in sorted(folder.glob("*.tsv")):
        language = path.name.partition("-")[0]
        if language not in LANGUAGES:
            raise ValueError(f"{path.name}: the name must begin with one of {', '.join(LANGUAGES)} and a dash")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            slug, tab, text = line.partition("\t")
            if not tab or not slug.strip() or not text.strip():
                raise ValueError(f"{path.name}, line {number}: not a category, a tab and a text")
            pairs.append(Pair(slug.strip(), language, text.strip()))
    return pairs


def train(
    pairs: Iterable[tuple[str, str, str]],
    progress: Callable[[float], None] | None = None,
    *,
    corrections: Iterable[tuple[str, str, str]] = (),
    groups: Mapping[str, str] | None = None,
    target_precision: float = TARGET_PRECISION,
    recipe: Recipe = RECIPE,
) -> Classifier:
    """A classifier that has learned `pairs` (category, language, text) and what the staff corrected.

    `groups` tells the group of each category, for `Classification.group_confidence`. `progress` hears how much is done,
    from 0 to 1. A threshold is chosen for each category so that `target_precision` of what is decided is right.
    Raises ValueError for fewer than two categories.
    """
    samples = _samples(pairs, corrections)
    slugs = sorted({sample.slug for sample in samples})
    if len(slugs) < _FEWEST_CATEGORIES:
        raise ValueError("there is nothing to tell apart: texts of two categories at least are needed")
    tick = _ticking(progress, recipe.steps * (recipe.folds + 1))
    corpus = read_corpus([sample.text for sample in samples], recipe)
    targets = _targets(samples, slugs, recipe)

    judged = np.array([len(words_of(sample.text)) >= recipe.judged_from_words for sample in samples])
    unseen = _unseen(corpus, targets, _folds(samples, judged, recipe.folds), recipe, tick)
    temperature, trust, thresholds = calibrated(unseen[judged], _chosen(targets, judged), target_precision, recipe)

    scale = scaled(corpus, targets, recipe)
    weights = fit(corpus, scale, targets, recipe, tick) * scale.features
    weights[:, :-1] /= temperature
    weights = np.concatenate([weights, scale.features**2], axis=1).astype(np.float16).astype(np.float32)
    if progress:
        progress(1.0)
    return Classifier(
        slugs=slugs,
        groups=groups or {},
        features=corpus.features,
        weights=weights,
        damping=recipe.damping,
        trust=trust,
        thresholds=thresholds,
        version=_version(samples, groups or {}, target_precision, recipe),
    )


class _Sample(NamedTuple):
    slug: str
    language: str
    text: str
    weight: float


def _samples(pairs: Iterable[tuple[str, str, str]], corrections: Iterable[tuple[str, str, str]]) -> list[_Sample]:
    """Each different pair once, in the order of category, language and text; a correction overrules a pair."""
    corrected = {(language, text): slug for slug, language, text in corrections}
    taught = {(slug, language, text) for slug, language, text in pairs if (language, text) not in corrected}
    samples = [_Sample(*pair, 1.0) for pair in taught]
    samples += [_Sample(slug, language, text, CORRECTION_WEIGHT) for (language, text), slug in corrected.items()]
    return sorted(samples)


def _targets(samples: Sequence[_Sample], slugs: Sequence[str], recipe: Recipe) -> Targets:
    numbers = {slug: number for number, slug in enumerate(slugs)}
    classes = np.array([numbers[sample.slug] for sample in samples], np.int64)
    sizes = np.bincount(classes, minlength=len(slugs))
    balance = (sizes.mean() / sizes[classes]) ** recipe.balance
    return Targets(
        classes=classes,
        italian=np.array([sample.language == LANGUAGES[0] for sample in samples], np.float32),
        weights=(np.array([sample.weight for sample in samples]) * balance).astype(np.float32),
        count=len(slugs),
    )


def _unseen(
    corpus: Corpus,
    targets: Targets,
    folds: Sequence[NDArray[np.bool_]],
    recipe: Recipe,
    tick: Callable[[], None],
) -> Floats:
    """The logits of each text by a model that has not seen its fold; 0 for texts of no fold."""
    unseen = np.zeros((len(targets.classes), targets.count), np.float32)
    for fold in folds:
        others = replace(targets, weights=np.where(fold, 0, targets.weights).astype(np.float32))
        scale = scaled(corpus, others, recipe)
        unseen[fold] = logits_of(corpus, scale, fit(corpus, scale, others, recipe, tick))[fold, :-1]
    return unseen


def _folds(samples: Sequence[_Sample], judged: NDArray[np.bool_], count: int) -> list[NDArray[np.bool_]]:
    """Which samples each fold judges: of those to be `judged`, a run of neighbours of each category and language.

    Samples are in the order of their texts, so that those that begin alike fall in one fold and do not give each other
    away.
    """
    kinds = [(sample.slug, sample.language) for sample in samples]
    sizes = Counter(kind for kind, chosen in zip(kinds, judged, strict=True) if chosen)
    met: Counter[tuple[str, str]] = Counter()
    folds = np.full(len(samples), -1)
    for place in np.flatnonzero(judged):
        kind = kinds[place]
        folds[place] = met[kind] * count // sizes[kind]
        met[kind] += 1
    return [folds == fold for fold in range(count)]


def _chosen(targets: Targets, places: NDArray[np.bool_]) -> Targets:
    return replace(
        targets, classes=targets.classes[places], italian=targets.italian[places], weights=targets.weights[places]
    )


def _ticking(progress: Callable[[float], None] | None, ticks: int) -> Callable[[], None]:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(min(done / ticks, 1.0))

    return tick


def _version(samples: Sequence[_Sample], groups: Mapping[str, str], target_precision: float, recipe: Recipe) -> str:
    """Names a model by all that goes into it: the texts, the recipe and the revision of the code."""
    digest = hashlib.sha256(repr((FORMAT, REVISION, target_precision, recipe, sorted(groups.items()))).encode())
    for sample in samples:
        digest.update(repr(tuple(sample)).encode())
    return digest.hexdigest()[:12]
