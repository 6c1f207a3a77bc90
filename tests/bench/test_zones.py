"""The benchmark of zones: all who are compared find the same, on borders as bent as real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psycopg
import pytest
import shapely

from bench import peers, zones
from city.errors import Unavailable


def test_drawn_zones_tile_their_box_and_are_the_same_each_time() -> None:
    areas = np.array(zones.drawn(30), dtype=object)
    assert 30 <= len(areas) <= 34
    assert shapely.is_valid(areas).all()
    whole = shapely.area(shapely.union_all(areas))
    assert whole == pytest.approx(float(shapely.area(areas).sum()), rel=1e-9)
    assert shapely.get_num_coordinates(areas).mean() > 100
    assert shapely.equals_exact(areas, np.array(zones.drawn(30), dtype=object)).all()


def test_memory_and_postgis_find_the_same_places(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> Path:
        raise Unavailable("peers.missing", log=tmp_path)

    monkeypatch.setattr(peers, "interpreter", unavailable)
    monkeypatch.setattr(zones, "SINGLE", 50)
    with psycopg.connect(database) as connection:
        found = zones.measure(connection, tmp_path, places=3_000)
    assert {result.name.rpartition(" / ")[2] for result in found} == {"PostGIS", "limit", "prepared query"}
