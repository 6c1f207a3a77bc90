"""The command line for the map: count its cells anew, write its tiles into one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from city.errors import InvalidInput
from city.texts import said

tiles_app = typer.Typer(help=said("cli.tiles"), no_args_is_help=True)


@tiles_app.command("rebuild", help=said("cli.tiles_rebuild"))
def rebuild() -> None:
    """Count the cells of the map anew."""
    from rich.console import Console

    from city.database import provincial
    from commands import installation
    from geo import pyramid

    with installation.ready(), _bar(said("cli.tiles_counting")) as move, provincial() as session:
        count = pyramid.rebuild(session.raw, lambda share: move(share, 1))
    Console(stderr=True).print(said("cli.tiles_rebuilt", count=count))


@tiles_app.command("export", help=said("cli.tiles_export"))
def export(
    file: Annotated[Path, typer.Argument(help=said("cli.tiles_file"), metavar="FILE.pmtiles")],
    layer: Annotated[str, typer.Option(help=said("cli.tiles_layer"), metavar="reports|heat|zones")] = "reports",
    municipality: Annotated[str | None, typer.Option(help=said("cli.municipality"))] = None,
    deepest: Annotated[int | None, typer.Option("--max-zoom", help=said("cli.tiles_deepest"), min=0, max=16)] = None,
) -> None:
    """The tiles of a layer in one file, which appears only once it is whole."""
    from rich.console import Console

    from city.database import public
    from city.registry import view
    from commands import installation
    from geo import tile_export

    if layer not in tile_export.MAKERS:
        raise InvalidInput("cli.tiles_no_layer", field="layer", value=layer, known=", ".join(tile_export.MAKERS))
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        out = unfinished.open("wb")
    except OSError as error:
        raise InvalidInput("reading.broken", field="file", path=str(file), problem=error.strerror or "") from error
    try:
        with out, installation.ready(), _bar(said("cli.tiles_writing")) as move:
            where = view.load().municipality(municipality).id if municipality else None
            with public() as session:
                count = tile_export.export(
                    session.raw, out, layer, municipality_id=where, deepest=deepest, progress=move
                )
        unfinished.replace(file)
    except ValueError:
        raise InvalidInput("cli.tiles_empty", field="layer", value=layer) from None
    finally:
        unfinished.unlink(missing_ok=True)
    size = f"{file.stat().st_size / 1e6:.1f}"
    Console(stderr=True).print(said("cli.tiles_written", count=count, file=file, megabytes=size))


@contextmanager
def _bar(title: str) -> Iterator[Callable[[float, float], None]]:
    """A bar that shows how far a long job is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, whole: progress.update(task, completed=done, total=whole)
