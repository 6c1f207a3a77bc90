"""How fast places find their zones in memory, beside the spatial joins of PostGIS and geopandas, on the same places.

A million places over the box of each layer. PostGIS counts its pairs, with an index on either side, and sends none of
them; geopandas (in the peers' environment) has its points made beforehand; we start from bare coordinates and give both
columns of pairs. All three must find the same number. A single lookup is measured against the limit of 50 µs, and
beside a prepared query.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray
from psycopg import Connection
from shapely.geometry.base import BaseGeometry

from bench import peers
from bench.results import Result
from city.errors import Unavailable
from city.settings import PROJECT
from geo import joining
from geo.faults import repaired
from geo.place import Place
from geo.reading import read_layer
from geo.zones import ZoneIndex, ZoneShape

PLACES: Final = 1_000_000
SINGLE: Final = 20_000
SINGLE_ASKED: Final = 500
"""Single lookups of which the database is asked."""
ROUNDS: Final = 3
TIMES_POSTGIS: Final = 5.0
LIMIT_MS: Final = 0.05
DRAWN_ZONES: Final = 100
BENDS: Final = 5
"""How often a border of a drawn zone is bent anew between its bends."""
GROUND: Final = shapely.box(11.8, 45.3, 12.0, 45.5)
PEER: Final = Path(__file__).with_name("zones_geopandas.py")
REAL: Final = PROJECT.parent / "shared" / "data"
REAL_LAYERS: Final = {
    "OMI zones of Padova": "zones/omi-padova-city.geojson",
    "municipalities of Padova's province": "boundaries/limits_P_28_municipalities.geojson",
}


class Scene(NamedTuple):
    """A layer."""

    name: str
    areas: list[BaseGeometry]


def measure(connection: Connection[Any], folder: Path, places: int = PLACES) -> list[Result]:
    """Every layer; `connection` may make temporary tables. Without the peers geopandas is left out, which is said."""
    try:
        python: Path | None = peers.interpreter()
    except Unavailable as error:
        print(error, file=sys.stderr)
        python = None
    return [result for scene in scenes() for result in _beside(connection, folder, scene, places, python)]


def scenes() -> Iterator[Scene]:
    """A drawn layer of a hundred zones with bent borders and, where they are, real ones."""
    yield Scene(f"{DRAWN_ZONES} drawn zones", drawn())
    for name, path in REAL_LAYERS.items():
        if (REAL / path).is_file():
            found = (repaired(shape) for shape in read_layer(REAL / path).shapes)
            yield Scene(name, [shape for shape in found if shape is not None])


def drawn(count: int = DRAWN_ZONES) -> list[BaseGeometry]:
    """Zones that tile a box, their borders as bent as those of real ones; the same each time."""
    chance = np.random.default_rng(7)
    middles = shapely.multipoints(
        np.column_stack([chance.uniform(11.8, 12.0, count), chance.uniform(45.3, 45.5, count)])
    )
    cells = shapely.get_parts(shapely.voronoi_polygons(middles, extend_to=GROUND))
    edges = shapely.get_parts(shapely.union_all(shapely.boundary(shapely.intersection(cells, GROUND))))
    pieces = [
        _bent(np.array([begin, end]), chance)
        for edge in edges
        for begin, end in zip(edge.coords[:-1], edge.coords[1:], strict=True)
    ]
    return list(shapely.get_parts(shapely.polygonize(shapely.get_parts(shapely.union_all(np.array(pieces))))))


def _bent(line: NDArray[np.float64], chance: np.random.Generator) -> BaseGeometry:
    """A line whose middle goes aside, and the middles of its halves, and so on."""
    for _ in range(BENDS):
        steps = np.diff(line, axis=0)
        aside = np.column_stack([-steps[:, 1], steps[:, 0]]) * chance.uniform(-0.12, 0.12, (len(steps), 1))
        longer = np.empty((2 * len(line) - 1, 2))
        longer[::2], longer[1::2] = line, line[:-1] + steps / 2 + aside
        line = longer
    return shapely.LineString(line)


def _beside(
    connection: Connection[Any], folder: Path, scene: Scene, count: int, python: Path | None
) -> Iterator[Result]:
    west, south, east, north = shapely.total_bounds(np.array(scene.areas, dtype=object))
    chance = np.random.default_rng(11)
    lons, lats = chance.uniform(west, east, count), chance.uniform(south, north, count)
    index = ZoneIndex(ZoneShape(key, area) for key, area in enumerate(scene.areas))
    joining.lay_out(connection, scene.areas, lons, lats)
    ours, pairs = _fastest(lambda: len(index.lookup(lons, lats).places))
    theirs, joined = _fastest(lambda: joining.join(connection))
    _same(scene, pairs, joined)
    called = f"{scene.name}, {count} places"
    yield Result(f"{called} / PostGIS", ours, theirs, "ms", TIMES_POSTGIS)
    if python is not None:
        found = _geopandas(python, folder, scene, lons, lats)
        _same(scene, pairs, found["pairs"])
        yield Result(f"{called} / geopandas", ours, min(found["joins"]), "ms")
        yield Result(f"{called} / geopandas, points made", ours, min(found["joins"]) + found["making"], "ms")
    single, asked = _single(connection, index, lons, lats)
    yield Result(f"{scene.name}, one place / limit", single, LIMIT_MS, "ms", 1.0)
    yield Result(f"{scene.name}, one place / prepared query", single, asked, "ms")


def _fastest(count: Callable[[], int]) -> tuple[float, int]:
    """The best of some rounds in milliseconds, and what was counted."""
    times, found = [], 0
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        found = count()
        times.append((time.perf_counter() - begun) * 1000)
    return min(times), found


def _single(
    connection: Connection[Any], index: ZoneIndex, lons: NDArray[np.float64], lats: NDArray[np.float64]
) -> tuple[float, float]:
    """Milliseconds of one lookup in memory and of one query, each the mean of many."""
    places = [Place(lon, lat) for lon, lat in zip(lons[:SINGLE].tolist(), lats[:SINGLE].tolist(), strict=True)]
    begun = time.perf_counter()
    for place in places:
        index.holding(place)
    ours = (time.perf_counter() - begun) * 1000 / len(places)
    asked: Sequence[Place] = places[:SINGLE_ASKED]
    begun = time.perf_counter()
    for place in asked:
        joining.holding(connection, place.lon, place.lat)
    return ours, (time.perf_counter() - begun) * 1000 / len(asked)


def _geopandas(
    python: Path, folder: Path, scene: Scene, lons: NDArray[np.float64], lats: NDArray[np.float64]
) -> dict[str, Any]:
    file = folder / "zones.npz"
    np.savez(
        file, lons=lons, lats=lats, zones=shapely.to_wkb(np.array(scene.areas, dtype=object), hex=True).astype(str)
    )
    try:
        done = subprocess.run(
            [str(python), "-P", str(PEER), str(file), str(ROUNDS)], capture_output=True, text=True, check=True
        )
    finally:
        file.unlink()
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def _same(scene: Scene, ours: int, theirs: int) -> None:
    """Whoever finds something else must not be compared."""
    if ours != theirs:
        raise RuntimeError(f"{scene.name}: {ours} pairs in memory, {theirs} with the peer")
