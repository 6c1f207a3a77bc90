"""`./lampione zones`: which layers there are, what is wrong with them, and what a new version changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from city.errors import InvalidInput
from city.texts import said

zones_app = typer.Typer(no_args_is_help=True, help=said("zones.help"))

OwnerOption = Annotated[str | None, typer.Option("--municipality", help=said("zones.help_owner"), metavar="SLUG")]
HereOption = Annotated[str, typer.Option("--municipality", help=said("zones.help_here"), metavar="SLUG")]
LayerOption = Annotated[str | None, typer.Option("--layer", help=said("zones.help_layer"), metavar="NAME")]
PictureOption = Annotated[
    Path | None, typer.Option("--picture", help=said("zones.help_picture"), metavar="OUT.png|.svg")
]
GeojsonOption = Annotated[Path | None, typer.Option("--geojson", help=said("zones.help_geojson"), metavar="OUT")]
JsonOption = Annotated[bool, typer.Option("--json", help=said("importing.help_json"))]
HalfWidthOption = Annotated[
    float | None, typer.Option("--half-width", help=said("importing.help_half_width"), metavar="M", min=0.1)
]
CrsOption = Annotated[str | None, typer.Option("--crs", help=said("importing.help_crs"), metavar="EPSG:3003")]
DAY_FORMATS: Final = ["%Y-%m-%d"]


@zones_app.command("list", help=said("zones.help_list"))
def list_layers(municipality: OwnerOption = None, as_json: JsonOption = False) -> None:
    """The layers and who published them."""
    from city.database import provincial
    from commands import installation, zone_results

    with installation.ready(), provincial() as session:
        zone_results.show_list(session, municipality, _today(), as_json=as_json)


@zones_app.command("check", help=said("zones.help_check"))
def check(
    municipality: OwnerOption = None,
    layer: LayerOption = None,
    faults: Annotated[
        Path | None, typer.Option("--faults", help=said("importing.help_faults"), metavar="OUT.geojson")
    ] = None,
    picture: PictureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Faults of the layers in force, and reports that no rule speaks of."""
    import orjson

    from commands import installation, zone_checks, zone_pictures, zone_results

    zone_pictures.check_ending(picture)
    with installation.ready():
        checked = zone_checks.check_zones(municipality, layer, _today())
    if faults is not None:
        faults.write_bytes(orjson.dumps(checked.as_geojson()))
    if picture is not None:
        zone_pictures.save(zone_pictures.of_faults(checked, _today().isoformat()), picture)
    zone_results.show_check(checked, as_json=as_json)
    say_written((faults, picture), as_json=as_json)
    if not checked.is_clean:
        raise typer.Exit(1)


@zones_app.command("diff", help=said("zones.help_diff"))
def diff(
    layer: Annotated[str, typer.Argument(help=said("zones.help_layer"), metavar="LAYER")],
    municipality: HereOption,
    before: Annotated[
        datetime | None, typer.Option("--from", help=said("zones.help_from"), formats=DAY_FORMATS)
    ] = None,
    after: Annotated[datetime | None, typer.Option("--to", help=said("zones.help_to"), formats=DAY_FORMATS)] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help=said("zones.help_diff_file"), metavar="NEW.geojson")
    ] = None,
    half_width: HalfWidthOption = None,
    crs: CrsOption = None,
    picture: PictureOption = None,
    geojson: GeojsonOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a new version of a layer changes."""
    import orjson

    from commands import installation, zone_changes, zone_pictures, zone_results
    from geo.zone_changes import as_geojson

    zone_pictures.check_ending(picture)
    if file is not None and after is not None:
        raise InvalidInput("zones.file_or_day", field="file")
    with installation.ready():
        compared = zone_changes.compare_versions(
            zone_changes.Wanted(municipality, layer, _day(before), _day(after), file, half_width, crs), _today()
        )
    if geojson is not None:
        geojson.write_bytes(orjson.dumps(as_geojson(compared.changes)))
    if picture is not None:
        zone_pictures.save(zone_results.picture_of(compared), picture)
    zone_results.show_changes(compared, as_json=as_json)
    say_written((geojson, picture), as_json=as_json)


def say_written(paths: Sequence[Path | None], *, as_json: bool) -> None:
    """Name the files that were written, but not among JSON."""
    for path in paths:
        if path is not None and not as_json:
            Console(markup=False).print(said("zones.written", path=path), soft_wrap=True)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment is not None else None


def _today() -> date:
    return datetime.now(UTC).date()
