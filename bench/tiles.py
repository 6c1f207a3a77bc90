"""How fast a tile is read from the pyramid, beside the same clusters counted on the fly from the reports.

Each tile is asked for once from either side, in turn; the median over tiles that hold reports counts.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from psycopg import Connection

from bench import reports_drawn
from bench.results import Result
from geo.place import Place
from geo.pyramid import FIRST_SINGLE_ZOOM
from geo.tiles import Tile, counted_tile, reports_tile

ZOOMS: Final = range(6, 17)
TILES_A_ZOOM: Final = 12
DELTAS: Final = 10_000
LARGE: Final = 10_000_000
"""From this number of reports on, the pyramid must be a hundred times faster."""
MOST_FOR_DELTAS: Final = 0.5
"""A tile with unfolded changes may cost twice that of a folded one."""

Maker = Callable[[Connection[Any], Tile], bytes]


def measure(owner: Connection[Any], reader: Connection[Any], count: int) -> list[Result]:
    """Every zoom on `count` reports, then with 10,000 unfolded changes. `owner` must be a superuser's connection.

    Leaves the data for the next run.
    """
    reports_drawn.draw(owner, count)
    wanted = {zoom: _tiles(count, zoom) for zoom in ZOOMS}
    folded = {zoom: _medians(reader, wanted[zoom], (reports_tile, counted_tile)) for zoom in ZOOMS}
    reports_drawn.promise_deltas(owner, DELTAS)
    try:
        loaded = {zoom: _medians(reader, wanted[zoom], (reports_tile,))[0] for zoom in ZOOMS}
    finally:
        reports_drawn.promise_deltas(owner, 0)
    target = 100.0 if count >= LARGE else None
    found = [
        Result(
            f"tiles z{zoom}, {count} reports",
            ours,
            peer,
            "ms",
            target if zoom < FIRST_SINGLE_ZOOM else None,
        )
        for zoom, (ours, peer) in folded.items()
    ]
    found += [
        Result(f"tiles z{zoom}, {DELTAS} unfolded / folded", loaded[zoom], ours, "ms", MOST_FOR_DELTAS)
        for zoom, (ours, _) in folded.items()
        if zoom < FIRST_SINGLE_ZOOM
    ]
    return found


def _tiles(count: int, zoom: int) -> list[Tile]:
    """Tiles of `zoom` as people look at them: the more reports in one, the likelier it is asked for, also again."""
    lons, lats = reports_drawn.places(count)
    chance = random.Random(zoom)  # noqa: S311  (a repeatable choice, no secret)
    chosen = [chance.randrange(count) for _ in range(TILES_A_ZOOM)]
    return [Tile.at(Place(float(lons[one]), float(lats[one])), zoom) for one in chosen]


def _medians(reader: Connection[Any], tiles: Sequence[Tile], makers: Sequence[Maker]) -> list[float]:
    """The median milliseconds of each maker, asked in turn for each tile."""
    for maker in makers:
        maker(reader, tiles[0])
    seen: list[list[float]] = [[] for _ in makers]
    for tile in tiles:
        for times, maker in zip(seen, makers, strict=True):
            begun = time.perf_counter()
            maker(reader, tile)
            times.append((time.perf_counter() - begun) * 1000)
            reader.rollback()
    return [statistics.median(times) for times in seen]
