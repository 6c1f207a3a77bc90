"""How the classifier is made from labelled texts, and how it is measured.

A multinomial logistic regression over the features of `classification`, with the same sums and the same length, fitted
with L-BFGS. Texts are sums of words, and words are sums of features, so the work is done in these two steps and a pass
over 12,000 texts takes a fraction of a second. The same pass learns to tell the two languages apart.

Confidence is calibrated on texts the model did not see: the training set is split in folds, each judged by a model
fitted on the others; the temperature and the threshold of each category are read off those judgements.
Nothing is drawn by lot: the same texts make the same model.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
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
    Trust,
    folded,
    trusted,
    word_features,
    words_of,
)

REVISION = 5
"""Raised when the same texts would make another model."""

TARGET_PRECISION = 0.8
GROUP_PREFIX = "group:"
CORRECTION_WEIGHT = 3.0
PRUDENCE = 5
"""Doubtful judgements added to each category when its threshold is chosen."""


_PIECE = 2_048
_NEWTON_STEPS = 20
_FEWEST_CATEGORIES = 2
_SHORTEST_STRIDE = 1e-6
_FLAT = 1e-10


class Pair(NamedTuple):
    """A training text and the category it belongs to."""

    slug: str
    language: str
    text: str


@dataclass(frozen=True)
class Recipe:
    """What the fit depends on, chosen by cross-validation of the seed's training set."""

    penalty: float = 0.1
    """Weight of the squared weights against the sum of the texts' losses."""
    damping: float = 0.06
    """Added to the squared length of a text (at most 1 a word), so that little evidence gives little confidence."""
    rarity: float = 2.0
    """How much more a rare word or run of letters counts than a frequent one."""
    telling: float = 0.5
    """How much more one that is found in few categories counts than one found in all: finds the point of long texts."""
    telling_from: float = 2.0
    """Texts as they come, added to those that hold a word or a run before asking in how few categories it is found."""
    fewest_words: int = 2
    """Runs of letters in fewer different words than this are not kept."""
    balance: float = 1.0
    """How much a text of a small category counts more: the power of the inverse size."""
    doubt: float = 0.05
    """Taken off every confidence: real texts are less like the training set than its folds are like each other."""
    steps: int = 40
    folds: int = 3
    judged_from_words: int = 3
    """Shorter texts, the vocabulary above all, teach every fold and are judged in none."""


RECIPE = Recipe()


class _Rows:
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
class _Corpus:
    """The training texts as numbers: texts are sums of words, words are sums of features."""

    texts: _Rows
    words: _Rows
    word_scales: Floats
    rarity: Floats
    features: list[str]


def _corpus(texts: Sequence[str], recipe: Recipe) -> _Corpus:
    numbers: dict[str, int] = {}
    rows = []
    for text in texts:
        different = dict.fromkeys(word for word in map(folded, words_of(text)) if word)
        rows.append([numbers.setdefault(word, len(numbers)) for word in different][:WORDS_AT_MOST])
    in_words = [word_features(word) for word in numbers]
    spread = Counter(feature for features in in_words for feature in features)
    kept = sorted(f for f, count in spread.items() if count >= recipe.fewest_words or f.startswith("="))
    places = {feature: place for place, feature in enumerate(kept)}

    text_rows = _Rows(rows, len(numbers))
    word_rows = _Rows([[places[f] for f in features if f in places] for features in in_words], len(kept))
    frequency = text_rows.transposed_times(np.ones((len(texts), 1), np.float32))
    occurrences = np.maximum(word_rows.transposed_times(frequency), 1)
    return _Corpus(
        texts=text_rows,
        words=word_rows,
        word_scales=np.array([[len(features) ** -0.5] for features in in_words], np.float32),
        rarity=(1 - np.log(occurrences) / (1 + np.log(len(texts)))).clip(0.01) ** recipe.rarity,
        features=kept,
    )


@dataclass(frozen=True)
class _Targets:
    """What is to be learned of each text: its class, its language (1 Italian, 0 English) and its weight."""

    classes: NDArray[np.int64]
    italian: Floats
    weights: Floats
    count: int


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
    corpus = _corpus([sample.text for sample in samples], recipe)
    targets = _targets(samples, slugs, recipe)

    judged = np.array([len(words_of(sample.text)) >= recipe.judged_from_words for sample in samples])
    unseen = _unseen(corpus, targets, _folds(samples, judged, recipe.folds), recipe, tick)
    temperature, trust, thresholds = _calibrated(unseen[judged], _chosen(targets, judged), target_precision, recipe)

    scale = _scale(corpus, targets, recipe)
    weights = _fit(corpus, scale, targets, recipe, tick) * scale.features
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


def _targets(samples: Sequence[_Sample], slugs: Sequence[str], recipe: Recipe) -> _Targets:
    numbers = {slug: number for number, slug in enumerate(slugs)}
    classes = np.array([numbers[sample.slug] for sample in samples], np.int64)
    sizes = np.bincount(classes, minlength=len(slugs))
    balance = (sizes.mean() / sizes[classes]) ** recipe.balance
    return _Targets(
        classes=classes,
        italian=np.array([sample.language == LANGUAGES[0] for sample in samples], np.float32),
        weights=(np.array([sample.weight for sample in samples]) * balance).astype(np.float32),
        count=len(slugs),
    )


def _unseen(
    corpus: _Corpus,
    targets: _Targets,
    folds: Sequence[NDArray[np.bool_]],
    recipe: Recipe,
    tick: Callable[[], None],
) -> Floats:
    """The logits of each text by a model that has not seen its fold; 0 for texts of no fold."""
    unseen = np.zeros((len(targets.classes), targets.count), np.float32)
    for fold in folds:
        others = replace(targets, weights=np.where(fold, 0, targets.weights).astype(np.float32))
        scale = _scale(corpus, others, recipe)
        unseen[fold] = _logits(corpus, scale, _fit(corpus, scale, others, recipe, tick))[fold, :-1]
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


def _chosen(targets: _Targets, places: NDArray[np.bool_]) -> _Targets:
    return replace(
        targets, classes=targets.classes[places], italian=targets.italian[places], weights=targets.weights[places]
    )


def _calibrated(
    logits: Floats, targets: _Targets, target_precision: float, recipe: Recipe
) -> tuple[float, Trust, list[float]]:
    """The temperature, the trust and the threshold of each class, for unseen texts with these logits."""
    if not len(logits):
        return 1.0, Trust(), [1.0] * targets.count
    temperature = _temperature(logits, targets)
    logits = logits / np.float32(temperature)
    trust = _trust(logits, targets, recipe)
    chances = trusted(logits, trust)
    return temperature, trust, _thresholds(chances, targets, target_precision)


def _trust(logits: Floats, targets: _Targets, recipe: Recipe) -> Trust:
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


def _temperature(logits: Floats, targets: _Targets) -> float:
    """What to divide `logits` by so that confidence is as often right as it says (least log loss)."""

    def loss(temperature: float) -> float:
        chances = _softmax(logits / temperature)[np.arange(len(logits)), targets.classes]
        return float(-np.log(np.maximum(chances, 1e-12)) @ targets.weights)

    return min((float(candidate) for candidate in np.geomspace(0.05, 5, 93)), key=loss)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: Floats = powers / powers.sum(axis=1, keepdims=True)
    return chances


def _thresholds(chances: Floats, targets: _Targets, target_precision: float) -> list[float]:
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


@dataclass(frozen=True)
class _Scale:
    """What each feature counts (a column), and how long that makes each text (a column)."""

    features: Floats
    lengths: Floats


def _scale(corpus: _Corpus, targets: _Targets, recipe: Recipe) -> _Scale:
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
    return _Scale(features, np.sqrt(energies + np.float32(recipe.damping)))


def _fit(corpus: _Corpus, scale: _Scale, targets: _Targets, recipe: Recipe, tick: Callable[[], None]) -> Floats:
    """The weights of every feature (rows) for the classes and, in the last column, the language.

    Texts of weight 0 take no part.
    """
    chosen = np.zeros((len(targets.classes), targets.count + 1), np.float32)
    chosen[np.arange(len(chosen)), targets.classes] = 1
    chosen[:, -1] = targets.italian

    def loss_and_slope(weights: Floats) -> tuple[float, Floats]:
        likely = _chances(_logits(corpus, scale, weights))
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


def _logits(corpus: _Corpus, scale: _Scale, weights: Floats) -> Floats:
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
