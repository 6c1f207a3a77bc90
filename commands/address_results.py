"""What the operator sees of an import of addresses: how far it is, what changed, what was left out and why."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from city.texts import operator_language, said
from commands.address_import import Plan, Taken
from commands.address_import import Progress as Hearing
from commands.import_results import print_json

PLAIN_EVERY = 100_000


def with_progress(plan: Plan, work: Callable[[Plan, Hearing], Taken]) -> Taken:
    """Do the work with a bar, or with a line now and then where there is no terminal."""
    console = Console(stderr=True, markup=False, highlight=False)
    if not console.is_terminal:
        return work(plan, _plainly(console))
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rows]}"),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(plan.path.name, total=None, rows="")

        def hear(done: int, size: int, rows: int) -> None:
            bar.update(task, completed=done, total=size, rows=said("addresses.rows_read", rows=_figure(rows)))

        return work(plan, hear)


def _plainly(console: Console) -> Hearing:
    told = 0

    def hear(done: int, size: int, rows: int) -> None:
        nonlocal told
        if rows - told >= PLAIN_EVERY:
            told = rows
            share = min(100, 100 * done // max(1, size))
            console.print(f"{share} %  {said('addresses.rows_read', rows=_figure(rows))}")

    return hear


def show(taken: Taken, plan: Plan, *, as_json: bool) -> None:
    """What became of the file."""
    if as_json:
        print_json(taken.as_json())
        return
    console = Console(markup=False, highlight=False)
    changes = taken.changes
    table = Table(title=said(f"addresses.done_{taken.kind}", file=plan.path.name), title_justify="left")
    for column in ("what", "added", "changed", "removed", "here"):
        table.add_column(said(f"addresses.{column}"), justify="left" if column == "what" else "right")
    counts = (changes.streets_added, changes.streets_changed, changes.streets_removed, changes.here["streets"])
    table.add_row(said("addresses.streets"), *map(_figure, counts))
    counts = (changes.added, changes.changed, changes.removed, changes.unchanged + changes.added + changes.changed)
    table.add_row(said("addresses.numbers" if taken.kind == "addresses" else "addresses.lines"), *map(_figure, counts))
    console.print(table)
    chosen = ", ".join(f"{key} ← {name}" for key, name in taken.columns.items())
    console.print(
        said("importing.read_as", format=taken.format, crs=taken.crs or "WGS 84", fields=chosen), soft_wrap=True
    )
    if changes.repeated:
        console.print(said("addresses.repeated", count=_figure(changes.repeated)))
    if taken.elsewhere:
        console.print(said("addresses.elsewhere", count=_figure(taken.elsewhere)))
    for key, count in taken.reasons.items():
        console.print(f"  {_figure(count):>6} × {said(key, value='…', problem='…')}", soft_wrap=True)
    if taken.rejects:
        console.print(said("importing.rejects_written", path=taken.rejects), soft_wrap=True)


def _figure(value: int) -> str:
    written = f"{value:,}"
    return written if operator_language() == "en" else written.replace(",", ".")
