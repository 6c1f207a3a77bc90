"""How fast a tile is made from the pyramid, beside the same tile counted on the fly, and beside plain points.

Each tile is asked for from every side in turn; tiles are those around reports drawn by lot, so that places where people
report are looked at more often, as they are. A peer that takes long is asked for fewer tiles. Medians count.
"""

from __future__ import annotations

import gzip
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection

from bench import nation
from bench.results import Result
from geo.place import Place
from geo.pyramid import FIRST_SINGLE_ZOOM
from geo.tile_points import points_tile
from geo.tiles import ALL, Choice, Tile, counted_tile, heat_tile, reports_tile

ZOOMS: Final = range(5, 19)
TILES_A_ZOOM: Final = 24
LONGEST_SECONDS: Final = 6.0
"""For one peer at one zoom; then the tiles asked for so far count."""
DELTAS: Final = 10_000
SMALLEST: Final = 100_000
LARGE: Final = 10_000_000
"""From this number of reports on, the pyramid must be a hundred times faster."""
MOST_FOR_DELTAS: Final = 0.5
"""A tile with unfolded changes may cost twice that of a folded one."""
LEAST_GROWTH: Final = 1 / 1.3
"""Ten million reports may cost 1.3 times what a hundred thousand do."""
MOST_KILOBYTES: Final = 30.0

Maker = Callable[[Connection[Any], Tile], bytes]
MAKERS: Final[dict[str, Maker]] = {"reports": reports_tile, "heat": heat_tile}
YEAR: Final = Choice(first_month=202511, last_month=202610, groups=("roads", "lighting"))
"""What a council asks for: twelve months over the turn of a year, two groups."""


class Connections(NamedTuple):
    """As a superuser; as the public reader as our API reads; as the public reader for the peers."""

    owner: Connection[Any]
    ours: Connection[Any]
    peers: Connection[Any]


class Seen(NamedTuple):
    """Median milliseconds of the layers' tiles at each zoom."""

    milliseconds: dict[tuple[str, int], float]


def measure(
    by: Connections, count: int, smaller: Seen | None, said: Callable[[str], None]
) -> tuple[list[Result], Seen]:
    """Every zoom on `count` reports, and with 10,000 unfolded changes; `smaller` is what was seen on fewer reports.

    Leaves the data for the next run.
    """
    nation.draw(by.owner, count, said)
    nation.promise_deltas(by.owner, 0)
    wanted = {zoom: tiles_of(by.peers, count, zoom) for zoom in ZOOMS}
    found: list[Result] = []
    seen: dict[tuple[str, int], float] = {}
    largest = 0.0
    for zoom in ZOOMS:
        said(f"zoom {zoom}")
        for layer, make in MAKERS.items():
            largest = max(largest, *(len(gzip.compress(make(by.ours, tile), 6)) / 1000 for tile in wanted[zoom]))
            ours, counted = _medians(wanted[zoom], _by(by.ours, make), _by(by.peers, _counted(layer)))
            seen[layer, zoom] = ours
            target = 100.0 if count >= LARGE and zoom < FIRST_SINGLE_ZOOM else None
            found.append(Result(f"{layer} z{zoom}, {count:,} / counted on the fly", ours, counted, "ms", target))
        (points,) = _medians(wanted[zoom], _by(by.peers, points_tile))
        found.append(Result(f"reports z{zoom}, {count:,} / plain points", seen["reports", zoom], points, "ms"))
        ours, counted = _medians(wanted[zoom], _by(by.ours, _filtered), _by(by.peers, _counted("heat", YEAR)))
        found.append(Result(f"heat z{zoom}, {count:,}, 12 months, 2 groups / counted", ours, counted, "ms"))
    found.append(Result(f"largest tile, {count:,} reports / 30 kB", largest, MOST_KILOBYTES, "kB", 1.0))
    if smaller:
        found += [
            Result(f"{layer} z{zoom}, {count:,} / {SMALLEST:,} reports", ours, before, "ms", LEAST_GROWTH)
            for (layer, zoom), ours in seen.items()
            if zoom < FIRST_SINGLE_ZOOM and (before := smaller.milliseconds.get((layer, zoom)))
        ]
    found += _with_deltas(by, wanted, count)
    return found, Seen(seen)


def _with_deltas(by: Connections, wanted: dict[int, list[Tile]], count: int) -> list[Result]:
    """The same tiles again, first as they are, then while 10,000 changes wait to be folded."""
    zooms = [zoom for zoom in ZOOMS if zoom < FIRST_SINGLE_ZOOM]
    makers = [_by(by.ours, make) for make in MAKERS.values()]
    before = {zoom: _medians(wanted[zoom], *makers) for zoom in zooms}
    nation.promise_deltas(by.owner, DELTAS)
    try:
        after = {zoom: _medians(wanted[zoom], *makers) for zoom in zooms}
    finally:
        nation.promise_deltas(by.owner, 0)
    return [
        Result(f"{layer} z{zoom}, {count:,}: {DELTAS:,} unfolded / folded", loaded, folded, "ms", MOST_FOR_DELTAS)
        for zoom in zooms
        for layer, loaded, folded in zip(MAKERS, after[zoom], before[zoom], strict=True)
    ]


def tiles_of(reader: Connection[Any], count: int, zoom: int) -> list[Tile]:
    """Tiles of `zoom` around reports drawn by lot, the same at every run."""
    chance = random.Random(zoom)  # noqa: S311  (a repeatable choice, no secret)
    numbers = [f"DR-{chance.randrange(count)}" for _ in range(2 * TILES_A_ZOOM)]
    rows = reader.execute("SELECT lon, lat FROM report WHERE number = ANY(%s) ORDER BY number", (numbers,)).fetchall()
    reader.rollback()
    return [Tile.at(Place(*row), zoom) for row in rows[:TILES_A_ZOOM]]


def _counted(layer: str, choice: Choice = ALL) -> Maker:
    return lambda connection, tile: counted_tile(connection, tile, choice, layer=layer)


def _filtered(connection: Connection[Any], tile: Tile) -> bytes:
    return heat_tile(connection, tile, YEAR)


def _by(connection: Connection[Any], make: Maker) -> Callable[[Tile], None]:
    def ask(tile: Tile) -> None:
        make(connection, tile)
        connection.commit()

    return ask


def _medians(tiles: Sequence[Tile], *asks: Callable[[Tile], None]) -> list[float]:
    """The median milliseconds of each, asked in turn for each tile."""
    for ask in asks:
        for tile in tiles[:2]:
            ask(tile)
    seen: list[list[float]] = [[] for _ in asks]
    for tile in tiles:
        for times, ask in zip(seen, asks, strict=True):
            if sum(times) > LONGEST_SECONDS * 1000:
                continue
            begun = time.perf_counter()
            ask(tile)
            times.append((time.perf_counter() - begun) * 1000)
    return [statistics.median(times) for times in seen]
