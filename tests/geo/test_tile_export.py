"""Tiles in one file: what a PMTiles reader finds there is what the server would have answered."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import mapbox_vector_tile
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from playwright._impl._driver import compute_driver_executable
from pmtiles.reader import MmapSource, Reader
from typer.testing import CliRunner

from city.errors import InvalidInput
from city.settings import PROJECT
from commands.map_tiles import tiles_app
from geo.place import PYRAMID_LEVEL, Place, morton, unmorton
from geo.tiles import Tile

WEB: Final = PROJECT / "web"
HERE: Final = Place(12.9135, 43.9098)

READ: Final = """
import { PMTiles } from "%s"
import { readFileSync } from "node:fs"
const bytes = readFileSync(process.argv[2])
const source = {
  getKey: () => "here",
  getBytes: async (offset, length) => ({ data: new Uint8Array(bytes.subarray(offset, offset + length)).buffer }),
}
const archive = new PMTiles(source)
const header = await archive.getHeader()
const tile = await archive.getZxy(...process.argv.slice(3).map(Number))
const metadata = await archive.getMetadata()
console.log(JSON.stringify({ header, metadata, tile: tile && Buffer.from(tile.data).toString("base64") }))
"""


@given(st.integers(0, 2**PYRAMID_LEVEL - 1), st.integers(0, 2**PYRAMID_LEVEL - 1))
def test_a_key_gives_back_its_column_and_row(x: int, y: int) -> None:
    assert unmorton(morton(x, y)) == (x, y)


@pytest.fixture
def reported(client: TestClient) -> list[str]:
    numbers = []
    for step in range(6):
        place = {"lon": HERE.lon + step * 0.004, "lat": HERE.lat - step * 0.01}
        body = {**place, "description": "Lampione spento", "category": "lamp-out" if step else "unsafe-place"}
        numbers.append(client.post("/api/v1/reports", json=body).json()["number"])
    return numbers[1:]


def exported(file: Path, *options: str) -> dict[tuple[int, int, int], bytes]:
    done = CliRunner().invoke(tiles_app, ["export", str(file), *options])
    assert done.exit_code == 0, done.output
    assert [path.name for path in file.parent.iterdir()] == [file.name], "nothing unfinished is left"
    with file.open("rb") as opened:
        reader = Reader(MmapSource(opened))
        deepest = reader.header()["max_zoom"]
        found = {}
        for zoom in range(deepest + 1):
            left, top = Place(12.4, 44.0).cell(zoom)
            right, bottom = Place(13.2, 43.5).cell(zoom)
            if (right - left) * (bottom - top) < 4_000:
                for x in range(left, right + 1):
                    for y in range(top, bottom + 1):
                        data = reader.get(zoom, x, y)
                        if data is not None:
                            found[zoom, x, y] = gzip.decompress(data)
    return found


@pytest.mark.parametrize("options", [(), ("--layer", "heat"), ("--layer", "zones"), ("--municipality", "pesaro")])
def test_every_tile_in_the_file_is_the_servers(
    client: TestClient, reported: list[str], tmp_path: Path, options: tuple[str, ...]
) -> None:
    layer = options[1] if options[:1] == ("--layer",) else "reports"
    query = {"municipality": options[1]} if options[:1] == ("--municipality",) else {}
    found = exported(tmp_path / "map.pmtiles", *options, "--max-zoom", "12")
    # So far away that a zone is no dot, its tile is empty, and an empty tile is not written.
    assert {zoom for zoom, _, _ in found} >= set(range(2, 13))
    for (zoom, x, y), data in found.items():
        assert client.get(f"/tiles/{layer}/{zoom}/{x}/{y}.mvt", params=query).content == data


def test_single_reports_are_in_the_deepest_tiles(reported: list[str], tmp_path: Path) -> None:
    file = tmp_path / "map.pmtiles"
    exported(file)
    numbers = set()
    with file.open("rb") as opened:
        reader = Reader(MmapSource(opened))
        assert reader.header()["max_zoom"] == 16
        for step in range(6):
            data = reader.get(*Tile.at(Place(HERE.lon + step * 0.004, HERE.lat - step * 0.01), 16))
            if data is not None:
                features = mapbox_vector_tile.decode(gzip.decompress(data))["reports"]["features"]
                numbers |= {feature["properties"]["number"] for feature in features}
    assert numbers == set(reported)


def test_the_browsers_library_reads_it(reported: list[str], tmp_path: Path) -> None:
    file = tmp_path / "map.pmtiles"
    found = exported(file)
    script = tmp_path / "read.mjs"
    script.write_text(READ % (WEB / "node_modules" / "pmtiles" / "dist" / "esm" / "index.js").as_uri())
    node = compute_driver_executable()[0]
    tile = Tile.at(HERE, 9)
    command = [node, str(script), str(file), *map(str, tile)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert answer["header"]["maxZoom"] == 16
    assert answer["metadata"]["vector_layers"][0]["id"] == "reports"
    assert base64.b64decode(answer["tile"]) == found[tuple(tile)]


def test_nothing_to_write_is_said_and_leaves_nothing(database: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(tiles_app, ["export", str(tmp_path / "map.pmtiles")])
    assert isinstance(done.exception, InvalidInput)
    assert list(tmp_path.iterdir()) == []
