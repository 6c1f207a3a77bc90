"""`./lampione bench`: runs the benchmarks, and prints each figure beside its peer's.

They work on a private cluster of their own (`var/bench`), safe against power cuts like the real one. Drawn reports are
kept there between runs.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from bench.results import Result, machine
from city.errors import InvalidInput
from city.texts import said
from commands import migrating
from commands.bench_ground import FOLDER, Plan
from commands.bench_runs import KNOWN
from commands.cluster import Cluster

SMALL: Final = (100_000,)
FULL: Final = (100_000, 1_000_000, 10_000_000)
PLAIN_WIDTH: Final = 120
"""Letters of a line where no terminal says how wide it is."""


def run(names: list[str], *, as_json: bool, is_full: bool = False, peers: list[str] | None = None) -> int:
    """Run the named benchmarks (all, where none is named). A target missed is shown, and is no error.

    Raises InvalidInput for a name that is none, or a peer that is no NAME=URL.
    """
    for name in names:
        if name not in KNOWN:
            raise InvalidInput("bench.unknown", field="names", name=name, known=", ".join(KNOWN))
    for peer in peers or ():
        if not all(part in peer for part in ("=http", "{z}", "{x}", "{y}")):
            raise InvalidInput("bench.bad_peer", field="peer", value=peer)
    found: list[Result] = []
    FOLDER.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=as_json, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    _print_machine(console)
    with Cluster(FOLDER / "postgres").serving() as cluster, Console(stderr=True).status("") as status:
        migrating.make_roles(cluster.url(database="postgres"))
        for name in names or KNOWN:
            begun = time.monotonic()

            def tell(text: str, name: str = name) -> None:
                status.update(f"{name}: {text}")

            tell("…")
            results = KNOWN[name](cluster, Plan(is_full, FULL if is_full else SMALL, tuple(peers or ()), tell))
            found += results
            console.print(_table(name, results, time.monotonic() - begun))
    if as_json:
        print(orjson.dumps({"machine": machine(), "results": [result.as_json() for result in found]}).decode())
    return 0


def _print_machine(console: Console) -> None:
    console.print(said("bench.machine", **machine()), soft_wrap=True)


def _table(name: str, results: list[Result], seconds: float) -> Table:
    table = Table(title=f"{name} ({seconds:.0f} s)", title_justify="left")
    for key in ("what", "ours", "peer", "unit", "ratio", "target"):
        table.add_column(said(f"bench.{key}"), justify="left" if key in {"what", "unit"} else "right")
    for result in results:
        target: Any = "" if result.target is None else f"≥ {result.target:.2f} {'✓' if result.is_met else '✗'}"
        table.add_row(
            result.name, f"{result.ours:.2f}", f"{result.peer:.2f}", result.unit, f"{result.ratio:.2f}", target
        )
    return table
