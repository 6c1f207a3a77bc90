"""What the operator sees of an import: progress, counts, faults, and the same as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from city.texts import operator_language, said
from commands.layers import Imported
from commands.report_import import Outcome, Plan, import_reports
from geo.faults import Faults

MOST_SHOWN: Final = 8
PLAIN_EVERY: Final = 20_000


def print_json(values: Any) -> None:
    """The result on standard output, and nothing else."""
    sys.stdout.write(orjson.dumps(values, option=orjson.OPT_INDENT_2).decode() + "\n")


def show_import(done: Imported, *, as_json: bool, faults: Path | None, title: str) -> None:
    """What an import of shapes did. Raises typer.Exit where nothing could be imported."""
    if faults is not None:
        faults.write_bytes(orjson.dumps(done.faults.as_geojson()))
    if as_json:
        print_json(done.as_json())
    else:
        _show_imported(done, title)
        if faults is not None:
            Console(markup=False).print(said("importing.faults_written", path=faults), soft_wrap=True)
    if done.refusal is not None:
        Console(stderr=True, markup=False).print(f"✗ {done.refusal.sentence(operator_language())}", soft_wrap=True)
    if not done.names:
        raise typer.Exit(1)


def _show_imported(done: Imported, title: str) -> None:
    console = Console(markup=False, highlight=False)
    console.print(title, style="bold")
    chosen = ", ".join(f"{key} ← {name or said('importing.made_up')}" for key, name in done.fields.items())
    console.print(said("importing.read_as", format=done.source.format, crs=done.source.crs or "WGS 84", fields=chosen))
    if done.changes is not None:
        console.print(
            said("importing.changes", **{name: getattr(done.changes, name) for name in type(done.changes).__slots__})
        )
    if done.left_out:
        console.print(said("importing.left_out", count=len(done.left_out)))
        reasons: dict[str, list[str]] = {}
        for name, reason in done.left_out:
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            console.print(f"  {reason}: {_listed(names)}", soft_wrap=True)
    if done.faults.is_clean:
        console.print(said("importing.clean"))
    else:
        console.print(faults_table(done.faults))


def faults_table(faults: Faults) -> Table:
    """The faults of a layer, by kind, the largest of each."""
    table = Table(title=said("faults.title"), title_justify="left", show_lines=True)
    for column in ("fault", "count", "size", "largest"):
        table.add_column(said(f"faults.{column}"), overflow="fold", justify="right" if column == "count" else "left")
    names = faults.names
    rows: list[tuple[str, int, str, list[str]]] = [
        (
            "repaired",
            len(faults.repairs),
            "",
            [
                f"{names[repair.position]}: {repair.reason}"
                f" ({figure(repair.after_m2 - repair.before_m2, sign=True)} m²)"
                for repair in faults.repairs
            ],
        ),
        ("empty", len(faults.empty), "", [names[position] for position in faults.empty]),
    ]
    for key, is_sliver in (("overlaps", False), ("overlap_slivers", True)):
        found = [overlap for overlap in faults.overlaps if overlap.is_sliver is is_sliver]
        rows.append(
            (
                key,
                len(found),
                size_of(sum(one.m2 for one in found)),
                [f"{names[one.one]} / {names[one.other]}: {size_of(one.m2)}" for one in found[:MOST_SHOWN]],
            )
        )
    for key, is_sliver in (("gaps", False), ("gap_slivers", True)):
        holes = [gap for gap in faults.gaps if gap.is_sliver is is_sliver]
        rows.append(
            (
                key,
                len(holes),
                size_of(sum(one.m2 for one in holes)),
                [
                    f"{size_of(one.m2)} ({point.x:.5f}, {point.y:.5f})"
                    for one in holes[: MOST_SHOWN // 2]
                    for point in [one.shape.representative_point()]
                ],
            )
        )
    for key, is_sliver in (("outside", False), ("outside_slivers", True)):
        beyond = [piece for piece in faults.outside if piece.is_sliver is is_sliver]
        rows.append(
            (
                key,
                len(beyond),
                size_of(sum(one.m2 for one in beyond)),
                [f"{names[one.position]}: {figure(one.share * 100, 1)} %" for one in beyond[:MOST_SHOWN]],
            )
        )
    for key, repeated in (("same_codes", faults.same_codes), ("same_names", faults.same_names)):
        rows.append((key, len(repeated), "", [f"{value} × {count}" for value, count in repeated.items()]))
    for key, count, size, largest in rows:
        if count:
            table.add_row(said(f"faults.{key}"), figure(count), size, _listed(largest, "\n"))
    return table


def size_of(m2: float) -> str:
    """An area as people say it: m², or km² from a tenth of one on."""
    return f"{figure(m2 / 1e6, 2)} km²" if m2 >= 1e5 else f"{figure(m2)} m²"  # noqa: PLR2004  (a tenth of a km²)


def figure(value: float, decimals: int = 0, *, sign: bool = False) -> str:
    """A figure as the operator writes it: 1.234,5 in Italian."""
    tidy = round(value, decimals) + 0.0  # no "-0"
    written = f"{tidy:+,.{decimals}f}" if sign else f"{tidy:,.{decimals}f}"
    return written if operator_language() == "en" else written.translate(str.maketrans(",.", ".,"))


def _listed(names: Sequence[str], between: str = ", ") -> str:
    more = [said("importing.more", count=len(names) - MOST_SHOWN)] if len(names) > MOST_SHOWN else []
    return between.join([*names[:MOST_SHOWN], *more])


def with_progress(plan: Plan) -> Outcome:
    """Import the reports with a bar, or with a line now and then where there is no terminal."""
    console = Console(stderr=True, markup=False, highlight=False)
    if not console.is_terminal:
        return import_reports(plan, _PlainProgress(console, plan.file.size))
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(plan.file.path.name, total=plan.file.size, counts="")
        return import_reports(plan, lambda done, outcome: bar.update(task, completed=done, counts=_counts(outcome)))


class _PlainProgress:
    """A line now and then, where there is no terminal."""

    def __init__(self, console: Console, size: int) -> None:
        self._console, self._size = console, max(1, size)
        self._next = PLAIN_EVERY

    def __call__(self, done_bytes: int, outcome: Outcome) -> None:
        """Say how far it is, every so many rows."""
        if outcome.rows >= self._next:
            self._next = outcome.rows + PLAIN_EVERY
            share = min(100, 100 * done_bytes // self._size)
            self._console.print(f"{share} %  {_counts(outcome)}", soft_wrap=True)


def _counts(outcome: Outcome) -> str:
    counts = said(
        "importing.counts",
        accepted=outcome.accepted,
        duplicate=outcome.duplicate,
        outside=outcome.outside,
        refused=outcome.refused,
    )
    return f"{counts}  {said('bulk.rate', rate=figure(outcome.rate))}"


def show_outcome(outcome: Outcome, file: Path, *, as_json: bool) -> None:
    """What became of the rows."""
    if as_json:
        print_json(outcome.as_json())
        return
    console = Console(markup=False, highlight=False)
    table = Table(title=said("importing.reports_done", rows=outcome.rows, file=file.name), title_justify="left")
    table.add_column(said("importing.outcome"))
    table.add_column(said("importing.rows"), justify="right")
    for name in ("accepted", "triage", "duplicate", "outside", "refused"):
        table.add_row(said(f"importing.{name}"), figure(getattr(outcome, name)))
    console.print(table)
    console.print(said("bulk.pace", seconds=figure(outcome.seconds, 1), rate=figure(outcome.rate)))
    console.print(said("importing.columns", columns=", ".join(f"{k} ← {v}" for k, v in outcome.columns.items())))
    for key, count in outcome.reasons.most_common(MOST_SHOWN):
        console.print(f"  {figure(count):>6} × {outcome.examples[key]}", soft_wrap=True)
    if outcome.rejects:
        console.print(said("importing.rejects_written", path=outcome.rejects), soft_wrap=True)
    if outcome.is_stopped:
        console.print(said("importing.resume"), soft_wrap=True)


def show_created(made: dict[str, Any], *, as_json: bool) -> None:
    """What was created."""
    if as_json:
        print_json(made)
        return
    console = Console(markup=False, highlight=False)
    console.print(said("creating.done", name=made["name"], slug=made["slug"]), style="bold")
    console.print(said("creating.details", **made))
    for name, m2 in made["overlaps"].items():
        console.print(said("creating.overlap", name=name, size=size_of(m2)))
    if made["missing_departments"]:
        console.print(said("creating.missing_departments", departments=", ".join(made["missing_departments"])))
    console.print(said("creating.next", slug=made["slug"]))
