"""Train the classifier anew, and measure it on labelled texts."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from city.database import ReadSession, provincial
from city.errors import InvalidInput
from city.registry import view
from city.reports import trained
from city.reports.training.evaluation import GROUP_PREFIX, Evaluation, read_labels
from city.reports.training.evaluation import evaluate as measure
from city.reports.training.learning import read_training_set
from city.reports.training.learning import train as learn
from city.texts import said
from commands.seeding.files import SEED
from commands.seeding.learning import ensure_classifier, groups_of_categories, keep_classifier

SKIPPED = "-"
MOST_ERRORS_SHOWN = 25
ENOUGH_CORRECTIONS = 20
"""How many texts a category that is not the seed's needs before the classifier learns it."""


def train(console: Console, *, as_json: bool) -> None:
    """Learn the seed's phrases and what staff corrected since, and put the classifier where every process finds it."""
    pairs = read_training_set(SEED / "training")
    with provincial() as session:
        corrections = _corrections(session)
    groups = _groups(corrections)
    corrections = [correction for correction in corrections if correction[0] in groups]
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        task = bar.add_task(said("training.learning"), total=1.0)
        made = learn(
            pairs,
            progress=lambda share: bar.update(task, completed=share),
            corrections=corrections,
            groups=groups,
        )
    keep_classifier(made)
    figures = {"phrases": len(pairs), "corrections": len(corrections), "version": made.version}
    if as_json:
        print(json.dumps(figures))
    else:
        console.print(said("training.learned", **figures))


def _corrections(session: ReadSession) -> list[tuple[str, str, str]]:
    """What staff decided: category, language, text. The text is the report's own, so it goes when the report goes."""
    registry = view.fresh(session)
    rows = session.raw.execute(
        "SELECT training_pair.municipality_id, training_pair.category_id, report.language, report.description"
        " FROM training_pair JOIN report USING (municipality_id) WHERE report.id = training_pair.report_id"
        " ORDER BY training_pair.decided_at"
    )
    found: list[tuple[str, str, str]] = []
    for municipality_id, category_id, language, description in rows:
        municipality = registry.municipalities.get(municipality_id)
        category = municipality.category_ids.get(category_id) if municipality else None
        if category is not None:
            found.append((category.slug, language, description))
    return found


def _groups(corrections: list[tuple[str, str, str]]) -> dict[str, str]:
    """The categories to learn and their groups: the seed's, and those made here that staff have chosen often enough."""
    groups = groups_of_categories()
    chosen = Counter(slug for slug, _, _ in corrections)
    for municipality in view.held().municipalities.values():
        for slug, category in municipality.categories.items():
            if chosen[slug] >= ENOUGH_CORRECTIONS:
                groups.setdefault(slug, category.group.slug)
    return groups


def evaluate(console: Console, file: Path, text: str, label: str, labels: Path | None, *, as_json: bool) -> None:
    """Measure the classifier on the texts of `file` and print what came out.

    Raises InvalidInput for columns, labels or a file that do not fit.
    """
    ensure_classifier(lambda _key, _share: None)
    classifier = trained.classifier()
    assert classifier is not None
    groups = groups_of_categories()
    meaning = _Meaning(read_labels(labels) if labels else None, groups)
    samples, skipped = _samples(file, text.split(","), label, meaning)
    if not samples:
        raise InvalidInput("training.nothing", field="label", skipped=", ".join(list(skipped)[:10]) or "-")
    result = measure(classifier, samples, groups)
    if as_json:
        figures = result.as_dict() | {"skipped": sum(skipped.values()), "skipped_labels": dict(skipped)}
        sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    _show(console, result, skipped)


class _Meaning:
    """What a label of theirs is with us."""

    def __init__(self, labels: Mapping[str, str] | None, groups: Mapping[str, str]) -> None:
        self._groups = groups
        self._labels = {key.strip().casefold(): self._ours(value) for key, value in (labels or {}).items()}
        self._has_map = labels is not None

    def __call__(self, label: str) -> str | None:
        """Our category, or "group:" and our group; None to leave it out."""
        if self._has_map:
            return self._labels.get(label.strip().casefold())
        try:
            return self._ours(label.strip())
        except InvalidInput:
            return None

    def _ours(self, value: str) -> str | None:
        if value == SKIPPED:
            return None
        if value in self._groups:
            return value
        group = value.removeprefix(GROUP_PREFIX)
        if group in self._groups.values():
            return GROUP_PREFIX + group
        known = ", ".join([*sorted(self._groups), *sorted({GROUP_PREFIX + name for name in self._groups.values()})])
        raise InvalidInput("training.unknown_label", field="map", value=value, known=known)


def _samples(file: Path, texts: list[str], label: str, meaning: _Meaning) -> tuple[list[tuple[str, str]], Counter[str]]:
    """Texts with our labels, and how many of which labels were left out."""
    samples: list[tuple[str, str]] = []
    skipped: Counter[str] = Counter()
    for row in _rows(file):
        for column in (*texts, label):
            if column not in row:
                raise InvalidInput(
                    "training.no_column", field=column, value=column, known=", ".join(str(name) for name in row)
                )
        said_there = " ".join(str(row[column]) for column in texts if row[column]).strip()
        ours = meaning(str(row[label] or ""))
        if ours is None or not said_there:
            skipped[str(row[label])] += 1
        else:
            samples.append((said_there, ours))
    return samples, skipped


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a CSV (any usual delimiter) or of JSON lines."""
    words = file.read_text("utf-8-sig")
    if words.lstrip().startswith(("{", "[")):
        rows = (
            json.loads(words) if words.lstrip().startswith("[") else map(json.loads, filter(None, words.splitlines()))
        )
        yield from rows
        return
    header = words.partition("\n")[0]
    delimiter = max("\t;,|", key=header.count)
    yield from csv.DictReader(words.splitlines(), delimiter=delimiter)


def _show(console: Console, result: Evaluation, skipped: Counter[str]) -> None:
    out = Console()
    table = Table(show_header=False, box=None)
    for key, value in (
        ("n", str(result.n)),
        ("top1", f"{result.top1:.3f}"),
        ("top3", f"{result.top3:.3f}"),
        ("group", f"{result.group_top1:.3f}"),
        ("macro_f1", f"{result.macro_f1:.3f}"),
        ("coverage", f"{result.coverage:.3f}"),
        ("precision", "-" if result.precision is None else f"{result.precision:.3f}"),
        ("calibration", f"{result.calibration_error:.3f}"),
    ):
        table.add_row(said(f"training.{key}"), value)
    out.print(table)
    confusion = Table(title=said("training.confusion"), title_justify="left")
    for column in ("label", "right", "of", "instead"):
        confusion.add_column(said(f"training.{column}"), overflow="fold")
    for label, counts in result.confusion.items():
        wrong = [f"{guess or '-'} {count}" for guess, count in counts.items() if guess != label]
        confusion.add_row(
            label, str(counts.get(label, 0)), str(sum(counts.values())), ", ".join(wrong[:MOST_ERRORS_SHOWN])
        )
    out.print(confusion)
    if skipped:
        console.print(said("training.skipped", count=sum(skipped.values()), labels=", ".join(list(skipped)[:12])))
