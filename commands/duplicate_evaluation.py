"""`./lampione evaluate duplicates`: how many pairs of reports are told rightly to be the same trouble, or not.

A pair is decided as a citizen would be told it at intake (were all categories public): the first report is there, the
second comes in. Beside it stands what a plain rule would say: same group of categories, open, within the usual radius.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from rich.console import Console
from rich.table import Table

from city.errors import InvalidInput
from city.registry.municipality import LAST_RESORT, CategoryView, GroupView, Named
from city.registry.working_time import CALENDAR_DAYS, Span
from city.reports import duplicates, trained
from city.reports.likeness import Wording
from city.reports.training.evaluation import GROUP_PREFIX, read_labels
from city.settings import PROJECT, settings
from city.texts import said
from commands.seeding.files import SEED
from commands.seeding.learning import ensure_classifier, groups_of_categories
from geo.cells import around
from geo.place import Place

PAIRS: Final = PROJECT / "tests" / "data" / "duplicates.tsv"
LABELS: Final = PROJECT / "tests" / "data" / "reports-dev-labels.toml"
REAL: Final = PROJECT.parent / "shared" / "data" / "reports-dev" / "seeclickfix-2024-08-31.jsonl"
"""The development reports, where they are: pairs that refer to them are left out where not."""

COLUMNS: Final = ("language", "first", "category", "metres", "days", "solved", "same", "text")
SOMEWHERE: Final = Place(11.8768, 45.4064)
NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
WIDEST: Final = 110
"""Letters of a pair shown where it was decided wrongly."""


class Told(NamedTuple):
    """One report of a pair: what it says, of which category, where and when."""

    text: str
    category: CategoryView
    place: Place
    at: datetime


class Pair(NamedTuple):
    """Two reports, the first there when the second came; `solved_at` is when the first was solved, if it was."""

    language: str
    first: Told
    second: Told
    solved_at: datetime | None
    is_same: bool

    def is_told(self) -> bool:
        """Whether the second reporter is asked if it is the first one."""
        categories = {category.id: category for category in (self.first.category, self.second.category)}
        sought = duplicates.Sought(
            self.second.place, self.second.category, Wording(self.second.text), self.second.at, categories
        )
        wanted = duplicates.search_values(sought, hidden_too=False)
        if self.solved_at is not None and self.solved_at <= wanted["solved_since"]:
            return False
        return bool(duplicates.likely(sought, [self._row()], coarsely=True))

    def is_told_plainly(self) -> bool:
        """Whether the plain rule would ask: same group, open, near."""
        return (
            self.solved_at is None
            and self.first.category.group == self.second.category.group
            and self.first.place.distance_metres(self.second.place) <= settings().duplicate_radius_metres
        )

    def _row(self) -> dict[str, Any]:
        return {
            "id": UUID(int=0),
            "number": "",
            "state": "assigned" if self.solved_at is None else "resolved",
            "category_id": self.first.category.id,
            "lon": self.first.place.lon,
            "lat": self.first.place.lat,
            "created_at": self.first.at,
            "solved_at": self.solved_at,
            "description": self.first.text,
        }


class Figures(NamedTuple):
    """How well a method decides: of those told, how many are the same; of the same, how many are told."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Their harmonic mean."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @classmethod
    def of(cls, pairs: Sequence[Pair], told: Sequence[bool]) -> Figures:
        """Of decisions beside the labels."""
        right = sum(pair.is_same and is_told for pair, is_told in zip(pairs, told, strict=True))
        same = sum(pair.is_same for pair in pairs)
        return cls(right / max(1, sum(told)), right / max(1, same))

    def as_json(self) -> dict[str, float]:
        """As `--json` prints it."""
        return {"precision": round(self.precision, 4), "recall": round(self.recall, 4), "f1": round(self.f1, 4)}


def evaluate(console: Console, file: Path, reports: Path, *, as_json: bool) -> None:
    """Measure on the pairs of `file`, whose real reports are in `reports`, and print what came out.

    Raises InvalidInput where a file holds something else.
    """
    ensure_classifier(lambda _key, _share: None)
    pairs, left_out = read_pairs(file, reports)
    if left_out:
        console.print(said("duplicates.evaluation.left_out", count=left_out, folder=reports.parent))
    told = [pair.is_told() for pair in pairs]
    plainly = [pair.is_told_plainly() for pair in pairs]
    if as_json:
        figures = {
            "pairs": len(pairs),
            "left_out": left_out,
            "ours": Figures.of(pairs, told).as_json(),
            "baseline": Figures.of(pairs, plainly).as_json(),
            "by_language": _by_language(pairs, told),
        }
        print(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode())
        return
    _show(pairs, told, plainly)


def read_pairs(file: Path = PAIRS, reports: Path = REAL) -> tuple[list[Pair], int]:
    """The labelled pairs, and how many were left out because their real reports are not here.

    Raises InvalidInput where the file has other columns.
    """
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t"))
    if not rows or set(COLUMNS) - rows[0].keys():
        raise InvalidInput("duplicates.evaluation.no_pairs", field="file", file=file, columns=", ".join(COLUMNS))
    library = _Library(reports)
    pairs = [library.pair(row) for row in rows]
    found = [pair for pair in pairs if pair is not None]
    return found, len(pairs) - len(found)


class _Library:
    """The reports that pairs refer to: `seed:LINE` of the demo's, `dev:ID` of the real ones."""

    def __init__(self, reports: Path) -> None:
        self._seed = [orjson.loads(line) for line in (SEED / "reports.jsonl").read_bytes().splitlines()]
        self._real = {str(report["id"]): report for report in _json_lines(reports)} if reports.is_file() else {}
        self._labels = read_labels(LABELS) if self._real else {}
        self._categories = _categories()

    def pair(self, row: Mapping[str, str]) -> Pair | None:
        first = self._told(row["first"])
        if first is None:
            return None
        solved_at = None if row["solved"] == "-" else NOW - timedelta(days=float(row["solved"]))
        if row["text"].startswith("dev:"):
            second = self._told(row["text"])
            if second is None:
                return None
        else:
            first = first._replace(at=NOW - timedelta(days=float(row["days"])))
            east = around(first.place, float(row["metres"])).east
            second = Told(row["text"], self._categories[row["category"]], Place(east, first.place.lat), NOW)
        return Pair(row["language"], first, second, solved_at, row["same"] == "yes")

    def _told(self, reference: str) -> Told | None:
        kind, _, name = reference.partition(":")
        if kind == "seed":
            report = self._seed[int(name)]
            return Told(report["description"], self._categories[report["expected"]], SOMEWHERE, NOW)
        report = self._real.get(name)
        if report is None:
            return None
        place = Place(float(report["lng"]), float(report["lat"]))
        said_there = report["text"] or ""
        return Told(said_there, self._category(report), place, datetime.fromisoformat(report["created_at"]))

    def _category(self, report: Mapping[str, Any]) -> CategoryView:
        """Ours for theirs; where their label is as wide as a group, what the classifier says inside it."""
        label = self._labels.get(report["category"], "-")
        if label.startswith(GROUP_PREFIX):
            group = label.removeprefix(GROUP_PREFIX)
            inside = [slug for slug, category in self._categories.items() if category.group.slug == group]
            classifier = trained.classifier()
            scores = classifier.scores(f"{report['title']} {report['text'] or ''}") if classifier else {}
            label = max(inside, key=lambda slug: scores.get(slug, 0.0))
        return self._categories[LAST_RESORT if label == "-" else label]


def _categories() -> dict[str, CategoryView]:
    nameless, someday = Named("", ""), Span(1, CALENDAR_DAYS)
    return {
        slug: CategoryView(number, slug, GroupView(group, nameless, "", ""), nameless, "public", someday, [], {}, True)
        for number, (slug, group) in enumerate(groups_of_categories().items())
    }


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield from [json.loads(line)] if line.strip() else []
            except ValueError as error:
                raise InvalidInput(
                    "duplicates.evaluation.no_reports", field="reports", file=path, number=number
                ) from error


def _by_language(pairs: Sequence[Pair], told: Sequence[bool]) -> dict[str, dict[str, float]]:
    return {language: figures.as_json() for language, figures in _languages(pairs, told)}


def _languages(pairs: Sequence[Pair], told: Sequence[bool]) -> Iterable[tuple[str, Figures]]:
    for language in sorted({pair.language for pair in pairs}):
        chosen = [(pair, is_told) for pair, is_told in zip(pairs, told, strict=True) if pair.language == language]
        yield language, Figures.of([pair for pair, _ in chosen], [is_told for _, is_told in chosen])


def _show(pairs: Sequence[Pair], told: Sequence[bool], plainly: Sequence[bool]) -> None:
    out = Console()
    title = said("duplicates.evaluation.title", pairs=len(pairs), same=sum(pair.is_same for pair in pairs))
    table = Table(title=title, title_justify="left")
    for key in ("method", "precision", "recall", "f1"):
        table.add_column(said(f"duplicates.evaluation.{key}"))
    ours = said("duplicates.evaluation.ours")
    plain = said("duplicates.evaluation.baseline", metres=f"{settings().duplicate_radius_metres:g}")
    shown = [(ours, Figures.of(pairs, told)), (plain, Figures.of(pairs, plainly))]
    for language, figures in _languages(pairs, told):
        shown.append((f"{ours} ({said('duplicates.evaluation.language', tongue=language)})", figures))
    for method, figures in shown:
        table.add_row(method, f"{figures.precision:.3f}", f"{figures.recall:.3f}", f"{figures.f1:.3f}")
    out.print(table)
    wrong = [pair for pair, is_told in zip(pairs, told, strict=True) if pair.is_same != is_told]
    out.print(f"{said('duplicates.evaluation.wrong')}: {len(wrong)}")
    for pair in wrong:
        metres = round(pair.first.place.distance_metres(pair.second.place))
        mark = "=" if pair.is_same else "≠"
        words = " ".join(pair.second.text.split())
        line = f"{pair.first.category.slug} {mark} {pair.second.category.slug}, {metres} m: {words}"
        out.print(f"  {line[:WIDEST]}", markup=False, highlight=False, soft_wrap=True)
