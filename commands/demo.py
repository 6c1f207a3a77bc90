"""The main job, shown: the demo province, one report's journey, then a service to play with."""

from __future__ import annotations

import sys

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from city.settings import settings
from city.texts import said
from commands import installation, serving, supervisor
from commands.journey import CLERK, Journey, Step, play
from commands.seeding.demo import load_demo
from commands.seeding.learning import ensure_classifier


def run(*, once: bool, as_json: bool, host: str, port: int | None) -> int:
    """Load, serve, play, and unless `once` keep serving until Ctrl-C. The exit code: 0 where every step held."""
    console = Console(stderr=True)
    with installation.ready():
        password = installation.own_secret(settings().var / "demo-password")[:16]
        _load(console, password)
        with serving.serving(host=host, port=port) as address:
            if not as_json:
                console.print(f"\n[bold]{said('demo.title')}[/bold]")
            journey = play(address, password, lambda step: None if as_json else _show(console, step))
            if as_json:
                sys.stdout.write(orjson.dumps(journey.as_json(), option=orjson.OPT_INDENT_2).decode() + "\n")
                sys.stdout.flush()
            else:
                _summarise(console, journey, address, password)
            if not once:
                console.print(said("serving.at", address=address))
                supervisor.asked_to_end().wait()
    return 0 if journey.ok else 1


def _load(console: Console, password: str) -> None:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        tasks: dict[str, int] = {}

        def progress(key: str, share: float) -> None:
            if key not in tasks:
                tasks[key] = bar.add_task(said(key), total=1.0)
                if not console.is_terminal:
                    console.print(f"· {said(key)}…")
            bar.update(tasks[key], completed=share)  # type: ignore[arg-type]

        ensure_classifier(progress)
        load_demo(progress, password=password)


def _show(console: Console, step: Step) -> None:
    mark = "[green]✓[/green]" if step.ok else "[red]✗[/red]"
    row = Table.grid(padding=(0, 2))
    row.add_column(width=1)
    row.add_column(width=36)
    row.add_column(width=8, justify="right")
    row.add_column(overflow="fold")
    row.add_row(mark, step.label, f"{step.seconds * 1000:.0f} ms", step.detail)
    console.print(row)


def _summarise(console: Console, journey: Journey, address: str, password: str) -> None:
    outcome = "demo.held" if journey.ok else "demo.failed"
    console.print(f"\n[bold]{said(outcome, seconds=f'{journey.seconds:.1f}')}[/bold]")
    for key, value in (
        ("demo.map", journey.links.get("map", f"{address}/")),
        ("demo.status", journey.links.get("status", "-")),
        ("demo.mail", (journey.mail or {}).get("path") or "-"),
        ("demo.report", f"{address}/api/v1/insight/report.pdf?municipality=pesaro"),
        ("demo.contract", f"{address}/openapi.json"),
        ("demo.clerk", f"{CLERK}  {password}"),
    ):
        console.print(f"{said(key):<36} {value}", soft_wrap=True, highlight=False)
    console.print()
