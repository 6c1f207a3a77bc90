"""`./lampione`: every command, grouped as a person would look for them."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from city.errors import LampioneError
from city.texts import operator_language, said

START = said("cli.panel_start")
FILL = said("cli.panel_fill")
KEEP = said("cli.panel_keep")
DEVELOP = said("cli.panel_develop")

ORDER = (
    "demo up create import zones routing migrate roles train evaluate jobs tiles bounce report test check openapi bench"
)


class Ordered(TyperGroup):
    """Lists the commands as a person meets them: begin, fill, maintain, develop."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in that order."""
        names = super().list_commands(ctx)
        return sorted(names, key=ORDER.split().index)


app = typer.Typer(
    name="lampione",
    cls=Ordered,
    help=said("cli.lampione"),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
create_app = typer.Typer(help=said("cli.create"), no_args_is_help=True)
jobs_app = typer.Typer(help=said("cli.jobs"), no_args_is_help=True)

Host = Annotated[str, typer.Option(help=said("cli.host"))]
Port = Annotated[int | None, typer.Option(help=said("cli.port"), min=1, max=65535)]
AsJson = Annotated[bool, typer.Option("--json", help=said("cli.json"))]

console = Console(stderr=True)


@app.command(help=said("cli.demo"), rich_help_panel=START)
def demo(
    once: Annotated[bool, typer.Option("--once", help=said("cli.once"))] = False,
    as_json: AsJson = False,
    host: Host = "127.0.0.1",
    port: Port = None,
) -> None:
    """The main job, shown."""
    from commands import demo as demonstration

    raise typer.Exit(demonstration.run(once=once, as_json=as_json, host=host, port=port))


@app.command(help=said("cli.up"), rich_help_panel=START)
def up(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help=said("cli.port"), min=1, max=65535)] = 8080,
    processes: Annotated[int, typer.Option(help=said("cli.processes"), min=1, max=64)] = 1,
) -> None:
    """Serve, without demo data."""
    from city.registry import view
    from commands import installation, serving
    from commands.seeding.learning import ensure_classifier
    from commands.seeding.registry import ensure_taxonomy

    with installation.ready() as cluster:
        ensure_classifier(lambda _key, _share: None)
        ensure_taxonomy()
        if not view.load().municipalities:
            console.print(said("serving.empty"))
        serving.become_supervisor(host=host, port=port, processes=processes, cluster=cluster)


@app.command(
    help=said("cli.test"),
    rich_help_panel=DEVELOP,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def test(context: typer.Context) -> None:
    """All tests; arguments go to pytest."""
    from commands import checking

    raise typer.Exit(checking.test(context.args))


@app.command(help=said("cli.check"), rich_help_panel=DEVELOP)
def check(
    fix: Annotated[bool, typer.Option("--fix", help=said("cli.fix"))] = False,
) -> None:
    """Format, lint, types, floors, contract, migrations."""
    from commands import checking

    raise typer.Exit(checking.check(fix=fix))


@app.command(help=said("cli.migrate"), rich_help_panel=KEEP)
def migrate() -> None:
    """Bring the database to this version."""
    import os

    from commands import installation

    if os.environ.get("LAMPIONE_DATABASE_URL") or os.environ.get("LAMPIONE_OWNER_URL"):
        before, after = installation.migrate_existing()
        console.print(said("serving.migrated", before=before, after=after))
        return
    with installation.private_cluster():
        from commands import migrating

        console.print(said("serving.migrated", before="-", after=migrating.newest()))


@app.command(help=said("cli.roles"), rich_help_panel=KEEP)
def roles() -> None:
    """The SQL that a database administrator runs once."""
    from commands import migrating

    print(migrating.ROLES_SQL.strip() + "\nGRANT CREATE ON SCHEMA public TO lampione_owner;\n" + migrating.DATABASE_SQL)


@app.command(help=said("cli.train"), rich_help_panel=KEEP)
def train(as_json: AsJson = False) -> None:
    """Train the classifier anew on the seed's phrases and the staff's corrections."""
    from commands import classification, installation

    with installation.ready():
        classification.train(console, as_json=as_json)


evaluate_app = typer.Typer(help=said("cli.evaluate"), no_args_is_help=True)


@evaluate_app.command("classification", help=said("cli.evaluate_classification"))
def evaluate_classification(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=said("cli.file"))],
    text: Annotated[str, typer.Option(help=said("cli.text_column"))],
    label: Annotated[str, typer.Option(help=said("cli.label_column"))],
    labels: Annotated[Path | None, typer.Option("--map", exists=True, dir_okay=False, help=said("cli.map"))] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the classifier on labelled texts."""
    from commands import classification

    classification.evaluate(console, file, text, label, labels, as_json=as_json)


@evaluate_app.command("duplicates", help=said("cli.evaluate_duplicates"))
def evaluate_duplicates(
    file: Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help=said("cli.file"))] = None,
    reports: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help=said("cli.real_reports"))] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the near duplicates on labelled pairs."""
    from commands import duplicate_evaluation as evaluation

    evaluation.evaluate(console, file or evaluation.PAIRS, reports or evaluation.REAL, as_json=as_json)


@create_app.command("person", help=said("cli.create_person"))
def create_person(
    email: str,
    role: Annotated[str, typer.Option(help=said("cli.role"))],
    municipality: Annotated[str | None, typer.Option(help=said("cli.municipality"))] = None,
    department: Annotated[str | None, typer.Option(help=said("cli.department"))] = None,
    crew: Annotated[str | None, typer.Option(help=said("cli.crew"))] = None,
    name: Annotated[str | None, typer.Option(help=said("cli.name"))] = None,
) -> None:
    """Somebody who may sign in; the password is asked for, or read from standard input."""
    from city.database import provincial
    from city.registry.staff import people
    from commands import installation

    password = getpass.getpass(said("cli.password") + ": ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    with installation.ready(), provincial() as session:
        people.appoint(
            session,
            municipality=municipality,
            email=email,
            name=name or email.split("@", maxsplit=1)[0],
            role=role,
            password=password,
            department=department,
            crew=crew,
        )
    console.print(said("cli.person_created", email=email, role=role))


@jobs_app.command("list", help=said("cli.jobs_list"))
def list_jobs() -> None:
    """What waits, and what has failed for good."""
    from city.database import provincial
    from commands import installation
    from workers import dead_letters

    with installation.ready(), provincial() as session:
        waiting, dead = dead_letters.waiting_counts(session), dead_letters.dead_jobs(session)
    for rows, title in ((waiting, "cli.jobs_waiting"), (dead, "cli.jobs_dead")):
        table = Table(title=said(title), title_justify="left")
        for column in rows[0]._fields if rows else ():
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(str(value) for value in row))
        Console().print(table if rows else f"{said(title)}: 0")


@jobs_app.command("rerun", help=said("cli.jobs_rerun"))
def rerun_jobs(
    ids: Annotated[list[int] | None, typer.Argument(help=said("cli.jobs_ids"))] = None,
    everything: Annotated[bool, typer.Option("--all", help=said("cli.jobs_all"))] = False,
) -> None:
    """Put dead jobs back into the queue."""
    from city.database import provincial
    from commands import installation
    from workers import dead_letters

    if not ids and not everything:
        raise typer.BadParameter(said("cli.jobs_which"))
    with installation.ready(), provincial() as session:
        console.print(said("cli.jobs_again", count=dead_letters.rerun(session, None if everything else ids)))


@app.command("bounce", help=said("cli.bounce"), rich_help_panel=KEEP)
def take_bounce() -> None:
    """A mail that came back; exit code 75 (try again later) where it cannot be noted now."""
    from commands import bounces

    raise typer.Exit(bounces.take(console, sys.stdin.buffer))


@app.command("report", help=said("cli.report"), rich_help_panel=KEEP)
def write_report(
    municipality: Annotated[str, typer.Option(help=said("cli.municipality"))],
    output: Annotated[Path, typer.Option(help=said("cli.report_output"), metavar="FILE")],
    month: Annotated[str | None, typer.Option(help=said("cli.report_month"), metavar="YYYY-MM")] = None,
    language: Annotated[str, typer.Option(help=said("cli.report_language"), metavar="it|en")] = operator_language(),
    internal: Annotated[bool, typer.Option("--internal", help=said("cli.report_internal"))] = False,
) -> None:
    """The council's monthly report."""
    from commands import installation, monthly_report

    with installation.ready():
        file = monthly_report.write(municipality, month, output, language, is_internal=internal)
    console.print(said("cli.report_written", file=file, kilobytes=f"{file.stat().st_size / 1000:.0f}"))


@app.command("openapi", help=said("cli.openapi"), rich_help_panel=DEVELOP)
def write_contract() -> None:
    """Write the contract to openapi/."""
    from commands import checking

    console.print(str(checking.write_contract()))


@app.command(help=said("cli.bench"), rich_help_panel=DEVELOP)
def bench(
    names: Annotated[list[str] | None, typer.Argument(help=said("cli.bench_names"))] = None,
    full: Annotated[bool, typer.Option("--full", help=said("cli.bench_full"))] = False,
    peer: Annotated[list[str] | None, typer.Option(help=said("cli.bench_peer"), metavar="NAME=URL")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure, each against a peer or a limit in the same run."""
    from commands import benchmarks

    raise typer.Exit(benchmarks.run(names or [], as_json=as_json, is_full=full, peers=peer))


def main() -> None:
    """Run the command that was asked for; a known error is one sentence, not a traceback."""
    from commands.importing import create_app as create_municipality_app
    from commands.importing import import_app
    from commands.map_tiles import tiles_app
    from commands.routing import routing_app
    from commands.zones import zones_app

    for command in create_municipality_app.registered_commands:
        create_app.registered_commands.append(command)
    app.add_typer(import_app, name="import", help=said("cli.import"), rich_help_panel=FILL)
    app.add_typer(zones_app, name="zones", rich_help_panel=KEEP)
    app.add_typer(routing_app, name="routing", rich_help_panel=KEEP)
    app.add_typer(create_app, name="create", rich_help_panel=FILL)
    app.add_typer(evaluate_app, name="evaluate", rich_help_panel=KEEP)
    app.add_typer(jobs_app, name="jobs", rich_help_panel=KEEP)
    app.add_typer(tiles_app, name="tiles", rich_help_panel=KEEP)
    try:
        app(prog_name="./lampione")
    except LampioneError as error:
        console.print(f"[red]✗[/red] {error.sentence(operator_language())}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
