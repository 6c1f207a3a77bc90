"""Cells and ranges of cells, against their own promises and against PostGIS."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.cells import MOST_RANGES, Bounds, around, covering, tile_range
from geo.place import PYRAMID_LEVEL, Place, morton

BOUNDED = settings(max_examples=150, deadline=None, database=None)
SIDE = 1 << PYRAMID_LEVEL
LATITUDE = 85.051128

lons = st.floats(-180, 180, allow_nan=False)
lats = st.floats(-LATITUDE, LATITUDE, allow_nan=False)
places = st.builds(Place, lons, lats)
columns = st.integers(0, SIDE - 1)


@st.composite
def boxes(draw: st.DrawFn) -> Bounds:
    """Boxes of any size: a street corner, a town, the world."""
    place = draw(places)
    width = draw(st.sampled_from([0.0, 1e-7, 1e-4, 0.01, 1.0, 50.0, 400.0])) * draw(st.floats(0, 1))
    height = draw(st.sampled_from([0.0, 1e-7, 1e-4, 0.01, 1.0, 50.0, 200.0])) * draw(st.floats(0, 1))
    return Bounds(place.lon, place.lat, min(180.0, place.lon + width), min(90.0, place.lat + height))


@BOUNDED
@given(boxes(), st.data())
def test_a_covering_holds_every_place_of_its_box(box: Bounds, data: st.DataObject) -> None:
    ranges = covering(box)
    assert 1 <= len(ranges) <= MOST_RANGES
    assert all(cells.first <= cells.last for cells in ranges)
    assert all(here.last + 1 < there.first for here, there in itertools.pairwise(ranges))
    inside = st.builds(Place, st.floats(box.west, box.east), st.floats(box.south, box.north))
    corners = [Place(lon, lat) for lon in (box.west, box.east) for lat in (box.south, box.north)]
    for place in [*corners, *data.draw(st.lists(inside, max_size=8))]:
        assert box.holds(place)
        key = morton(*place.cell())
        assert any(cells.first <= key <= cells.last for cells in ranges), place


@BOUNDED
@given(places, st.floats(1, 500))
def test_a_covering_of_a_neighbourhood_is_not_much_larger_than_it(place: Place, metres: float) -> None:
    box = around(place, metres)
    box = Bounds(max(-180.0, box.west), max(-90.0, box.south), min(180.0, box.east), min(90.0, box.north))
    cells = sum(cells.last - cells.first + 1 for cells in covering(box))
    left, top = Place(box.west, box.north).cell()
    right, bottom = Place(box.east, box.south).cell()
    wanted = (right - left + 1) * (bottom - top + 1)
    assert wanted <= cells <= max(64 * wanted, 64 * max(right - left + 1, bottom - top + 1) ** 2)


@BOUNDED
@given(st.builds(Place, lons, st.floats(-60, 60)), st.floats(1, 2000), st.floats(0, 1), st.floats(0, 6.2832))
def test_around_holds_the_circle(place: Place, metres: float, share: float, turn: float) -> None:
    dy = share * metres * math.sin(turn) / 111_195.1 * 0.999
    dx = share * metres * math.cos(turn) / 111_195.1 / math.cos(math.radians(place.lat)) * 0.999
    assert around(place, metres).holds(Place(place.lon + dx, place.lat + dy))


@BOUNDED
@given(columns, columns, st.integers(0, PYRAMID_LEVEL))
def test_a_tile_is_one_range_of_exactly_its_cells(x: int, y: int, zoom: int) -> None:
    shift = PYRAMID_LEVEL - zoom
    cells = tile_range(zoom, x >> shift, y >> shift)
    assert cells.last - cells.first + 1 == 4**shift
    assert cells.first <= morton(x, y) <= cells.last
    other = (x >> shift) ^ 1, y >> shift
    beside = tile_range(zoom, *other)
    assert not beside.first <= morton(x, y) <= beside.last or zoom == 0


@BOUNDED
@given(columns, columns)
def test_morton_keys_are_one_to_one(x: int, y: int) -> None:
    key = morton(x, y)
    assert 0 <= key < 1 << 2 * PYRAMID_LEVEL
    assert sum((key >> 2 * bit & 1) << bit for bit in range(PYRAMID_LEVEL)) == x
    assert sum((key >> 2 * bit + 1 & 1) << bit for bit in range(PYRAMID_LEVEL)) == y


@BOUNDED
@given(columns, columns, columns, columns)
def test_morton_keys_run_in_the_order_of_quarters(x: int, y: int, other_x: int, other_y: int) -> None:
    here, there = morton(x, y), morton(other_x, other_y)
    for level in range(1, PYRAMID_LEVEL + 1):
        shift = PYRAMID_LEVEL - level
        quarter, other = (y >> shift & 1, x >> shift & 1), (other_y >> shift & 1, other_x >> shift & 1)
        if quarter != other:  # the coarsest level at which they part decides
            assert (here < there) == (quarter < other)
            return
    assert here == there


@BOUNDED
@given(places, st.integers(0, PYRAMID_LEVEL))
def test_a_cell_lies_in_its_parent(place: Place, level: int) -> None:
    x, y = place.cell()
    shift = PYRAMID_LEVEL - level
    assert place.cell(level) == (x >> shift, y >> shift)
    assert 0 <= x < SIDE
    assert 0 <= y < SIDE


def test_the_corners_of_the_world() -> None:
    assert Place(-180, 90).cell() == (0, 0)
    assert Place(180, -90).cell() == (SIDE - 1, SIDE - 1)
    assert Place(0, 0).cell(1) == (1, 1)
    assert len(covering(Bounds(-180, -90, 180, 90))) == 1


@pytest.fixture(scope="module")
def postgis(_database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(_database, autocommit=True) as connection:
        yield connection


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(places, min_size=20, max_size=20))
def test_cells_agree_with_postgis(postgis: psycopg.Connection[tuple[object, ...]], found: list[Place]) -> None:
    rows = postgis.execute(
        "SELECT 0.5 + ST_X(p) / 40075016.685578488, 0.5 - ST_Y(p) / 40075016.685578488"
        " FROM unnest(%s::float8[], %s::float8[]) AS given (lon, lat),"
        " LATERAL (SELECT ST_Transform(ST_SetSRID(ST_MakePoint(lon, lat), 4326), 3857) AS p) AS projected",
        ([place.lon for place in found], [place.lat for place in found]),
    ).fetchall()
    for place, row in zip(found, rows, strict=True):
        x, y = (float(str(share)) * SIDE for share in row)
        column, line = place.cell()
        # A place on the very edge of a cell may fall to either side: a millionth of a cell decides.
        assert column - 1e-3 <= x <= column + 1 + 1e-3, place
        assert line - 1e-3 <= y <= line + 1 + 1e-3, place
