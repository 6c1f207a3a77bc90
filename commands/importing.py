"""The command line for what comes from outside: boundaries, zones, old reports, new municipalities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from city.errors import InvalidInput
from city.texts import said

STOPPED: Final = 130

import_app = typer.Typer(no_args_is_help=True, help=said("importing.help"))
create_app = typer.Typer(no_args_is_help=True, help=said("creating.help"))

FileArgument = Annotated[Path, typer.Argument(help=said("importing.help_file"), metavar="FILE")]
JsonOption = Annotated[bool, typer.Option("--json", help=said("importing.help_json"))]
CrsOption = Annotated[str | None, typer.Option("--crs", help=said("importing.help_crs"), metavar="EPSG:3003")]
SourceLayerOption = Annotated[
    str | None, typer.Option("--source-layer", help=said("importing.help_source_layer"), metavar="NAME")
]
NameFieldOption = Annotated[
    str | None, typer.Option("--name-field", help=said("importing.help_name_field"), metavar="FIELD")
]
FaultsOption = Annotated[
    Path | None, typer.Option("--faults", help=said("importing.help_faults"), metavar="OUT.geojson")
]
MapOption = Annotated[str | None, typer.Option("--map", help=said("importing.help_map"), metavar="text=…,lon=…,lat=…")]


@import_app.command("municipalities", help=said("importing.help_municipalities"))
def municipalities(
    file: FileArgument,
    name_field: NameFieldOption = None,
    istat_field: Annotated[
        str | None, typer.Option("--istat-field", help=said("importing.help_istat_field"), metavar="FIELD")
    ] = None,
    only: Annotated[str | None, typer.Option("--only", help=said("importing.help_only"), metavar="A,B")] = None,
    crs: CrsOption = None,
    source_layer: SourceLayerOption = None,
    faults: FaultsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Boundaries → municipalities."""
    with _ready():
        from commands import import_results, layers, municipality_import

        source = layers.Source(file, crs, source_layer, name_field=name_field)
        chosen = [name.strip() for name in (only or "").split(",") if name.strip()]
        done = municipality_import.import_municipalities(source, istat_field=istat_field, only=chosen)
        import_results.show_import(
            done, as_json=as_json, faults=faults, title=said("importing.municipalities_done", count=len(done.names))
        )


@import_app.command("zones", help=said("importing.help_zones"))
def zones(
    file: FileArgument,
    municipality: Annotated[str, typer.Option("--municipality", help=said("importing.help_owner"), metavar="SLUG")],
    layer: Annotated[str, typer.Option("--layer", help=said("importing.help_layer"), metavar="NAME")],
    kind: Annotated[str, typer.Option("--kind", help=said("importing.help_kind"), metavar="areas|corridors")] = "areas",
    half_width: Annotated[
        float | None, typer.Option("--half-width", help=said("importing.help_half_width"), metavar="M", min=0.1)
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help=said("importing.help_title"), metavar="NAME")] = None,
    name_field: NameFieldOption = None,
    code_field: Annotated[
        str | None, typer.Option("--code-field", help=said("importing.help_code_field"), metavar="FIELD")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option("--tolerance", help=said("zones.help_tolerance"), metavar="M", min=0, max=1000)
    ] = None,
    accept: Annotated[str | None, typer.Option("--accept", help=said("zones.help_accept"), metavar="REASON")] = None,
    valid_from: Annotated[
        datetime | None, typer.Option("--valid-from", help=said("importing.help_valid_from"), formats=["%Y-%m-%d"])
    ] = None,
    crs: CrsOption = None,
    source_layer: SourceLayerOption = None,
    faults: FaultsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Zones → a layer."""
    with _ready():
        from commands import import_results, layers, zone_import

        day: date | None = valid_from.date() if valid_from else None
        target = zone_import.ZoneTarget(municipality, layer, kind, half_width, day, title, tolerance, accept)
        source = layers.Source(file, crs, source_layer, name_field=name_field, code_field=code_field)
        done = zone_import.import_zones(source, target)
        import_results.show_import(
            done, as_json=as_json, faults=faults, title=said("importing.zones_done", count=len(done.names))
        )


@import_app.command("reports", help=said("importing.help_reports"))
def reports(
    file: FileArgument,
    municipality: Annotated[str, typer.Option("--municipality", help=said("importing.help_where"), metavar="SLUG")],
    columns: MapOption = None,
    category_map: Annotated[
        Path | None, typer.Option("--category-map", help=said("importing.help_category_map"), metavar="FILE.toml")
    ] = None,
    source: Annotated[str, typer.Option("--source", help=said("importing.help_source"), metavar="NAME")] = "import",
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help=said("importing.help_rejects"), metavar="OUT.csv")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Old reports → intake."""
    with _ready(with_classifier=True):
        from commands import import_results, report_import
        from commands.report_rows import RowFile

        rows = RowFile(file)
        plan = report_import.Plan(
            rows,
            municipality,
            report_import.columns_of(rows, columns),
            report_import.read_category_map(category_map) if category_map else {},
            source=source,
            rejects=rejects,
        )
        outcome = import_results.with_progress(plan)
        import_results.show_outcome(outcome, file, as_json=as_json)
    if outcome.is_stopped:
        raise typer.Exit(STOPPED)
    if outcome.rows and not outcome.accepted and not outcome.duplicate:
        raise typer.Exit(1)


RejectsOption = Annotated[
    Path | None, typer.Option("--rejects", help=said("importing.help_rejects"), metavar="OUT.csv")
]
MayRemoveOption = Annotated[bool, typer.Option("--may-remove", help=said("addresses.help_may_remove"))]
AddressMapOption = Annotated[
    str | None, typer.Option("--map", help=said("addresses.help_map"), metavar="street=…,number=…,x=…,y=…")
]


@import_app.command("addresses", help=said("addresses.help_addresses"))
def addresses(
    file: Annotated[Path, typer.Argument(help=said("addresses.help_file"), metavar="FILE")],
    municipality: Annotated[str, typer.Option("--municipality", help=said("importing.help_where"), metavar="SLUG")],
    crs: CrsOption = None,
    columns: AddressMapOption = None,
    source_layer: SourceLayerOption = None,
    rejects: RejectsOption = None,
    may_remove: MayRemoveOption = False,
    as_json: JsonOption = False,
) -> None:
    """House numbers → the register."""
    with _ready():
        from commands import address_import, address_results

        plan = address_import.Plan(file, municipality, crs, source_layer, columns, rejects, may_remove)
        taken = address_results.with_progress(plan, address_import.import_addresses)
        address_results.show(taken, plan, as_json=as_json)


@import_app.command("streets", help=said("addresses.help_streets"))
def streets(
    file: Annotated[Path, typer.Argument(help=said("addresses.help_file"), metavar="FILE")],
    municipality: Annotated[str, typer.Option("--municipality", help=said("importing.help_where"), metavar="SLUG")],
    crs: CrsOption = None,
    columns: AddressMapOption = None,
    source_layer: SourceLayerOption = None,
    may_remove: MayRemoveOption = False,
    as_json: JsonOption = False,
) -> None:
    """Streets' lines → the register."""
    with _ready():
        from commands import address_import, address_results

        plan = address_import.Plan(file, municipality, crs, source_layer, columns, None, may_remove)
        taken = address_results.with_progress(plan, address_import.import_streets)
        address_results.show(taken, plan, as_json=as_json)


@create_app.command("municipality", help=said("creating.help_municipality"))
def municipality(
    name: Annotated[str, typer.Argument(help=said("creating.help_name"), metavar="NAME")],
    boundary: Annotated[
        Path | None, typer.Option("--boundary", help=said("creating.help_boundary"), metavar="FILE")
    ] = None,
    around: Annotated[Path | None, typer.Option("--around", help=said("creating.help_around"), metavar="FILE")] = None,
    dissolve: Annotated[bool, typer.Option("--dissolve", help=said("creating.help_dissolve"))] = False,
    columns: MapOption = None,
    margin: Annotated[
        float, typer.Option("--margin-metres", help=said("creating.help_margin"), metavar="M", min=10, max=50_000)
    ] = 2_000,
    slug: Annotated[str | None, typer.Option("--slug", help=said("creating.help_slug"))] = None,
    istat: Annotated[str | None, typer.Option("--istat", help=said("creating.help_istat"))] = None,
    email: Annotated[str | None, typer.Option("--email", help=said("creating.help_email"))] = None,
    time_zone: Annotated[str, typer.Option("--time-zone", help=said("creating.help_time_zone"))] = "Europe/Rome",
    crs: CrsOption = None,
    source_layer: SourceLayerOption = None,
    as_json: JsonOption = False,
) -> None:
    """A municipality, from its boundary or around places."""
    if (boundary is None) == (around is None):
        raise InvalidInput("creating.one_of", field="boundary")
    with _ready():
        from city.registry.territory import MunicipalityFields
        from commands import creation, import_results
        from commands.layers import Source
        from commands.report_rows import RowFile

        if boundary is not None:
            shape, code = creation.boundary_in(Source(boundary, crs, source_layer), name, dissolve=dissolve)
        else:
            shape, code = creation.hull_of(RowFile(around or Path()), columns, margin), None
        fields = MunicipalityFields(name=name, slug=slug, istat_code=istat or code, email=email, time_zone=time_zone)
        import_results.show_created(creation.create(fields, shape, may_cut=around is not None), as_json=as_json)


@contextmanager
def _ready(*, with_classifier: bool = False) -> Iterator[None]:
    """The database with a taxonomy, without which nothing can be reported; for reports, also the classifier."""
    from rich.console import Console

    from commands import installation
    from commands.seeding.learning import ensure_classifier
    from commands.seeding.registry import ensure_taxonomy

    with installation.ready():
        quiet = Console(stderr=True)
        told: set[str] = set()

        def progress(key: str, _share: float) -> None:
            if key not in told:
                told.add(key)
                quiet.print(f"· {said(key)}…")

        if ensure_taxonomy():
            quiet.print(f"· {said('importing.taxonomy')}")
        if with_classifier:
            ensure_classifier(progress)
        yield
