"""`./lampione routing dry-run`: what other rules or zones would have done, before anybody is told to work by them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from city.errors import InvalidInput
from city.texts import said
from commands.zones import CrsOption, GeojsonOption, HalfWidthOption, HereOption, JsonOption, PictureOption

routing_app = typer.Typer(no_args_is_help=True, help=said("rehearsal.help"))


@routing_app.callback()
def routing() -> None:
    """Rules and what they do."""


@routing_app.command("dry-run", help=said("rehearsal.help_dry_run"))
def dry_run(
    municipality: HereOption,
    rules: Annotated[
        Path | None, typer.Option("--rules", help=said("rehearsal.help_rules"), metavar="RULES.toml")
    ] = None,
    zones: Annotated[Path | None, typer.Option("--zones", help=said("rehearsal.help_zones"), metavar="FILE")] = None,
    layer: Annotated[str | None, typer.Option("--layer", help=said("rehearsal.help_layer"), metavar="NAME")] = None,
    months: Annotated[int, typer.Option("--months", help=said("rehearsal.help_months"), min=1, max=600)] = 12,
    half_width: HalfWidthOption = None,
    crs: CrsOption = None,
    picture: PictureOption = None,
    geojson: GeojsonOption = None,
    as_json: JsonOption = False,
) -> None:
    """Other rules or zones against the last months' reports."""
    import orjson

    from commands import installation, rehearsals, zone_pictures
    from commands.zones import say_written

    if rules is None and zones is None:
        raise InvalidInput("rehearsal.nothing_to_try", field="rules")
    if (zones is None) != (layer is None):
        raise InvalidInput("rehearsal.zones_and_layer", field="layer")
    zone_pictures.check_ending(picture)
    with installation.ready():
        trial = rehearsals.Trial(municipality, rules, zones, layer, months, half_width, crs)
        tried = rehearsals.try_out(trial, datetime.now(UTC))
    if geojson is not None:
        geojson.write_bytes(orjson.dumps(rehearsals.as_geojson(tried)))
    if picture is not None:
        zone_pictures.save(rehearsals.picture_of(tried), picture)
    rehearsals.show(tried, as_json=as_json)
    say_written((geojson, picture), as_json=as_json)
