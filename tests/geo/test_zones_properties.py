"""The zone index in memory, with PostGIS as the referee: on vertices, on edges, in holes and along roads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.place import Place
from geo.squares import Grid
from geo.zones import ZoneIndex, ZoneShape

BOUNDED = settings(max_examples=60, deadline=None, database=None)
Database = psycopg.Connection[Any]

WEST, SOUTH = 12.8, 43.8
CLEAR = 1e-12
grid = st.integers(0, 64)


@pytest.fixture(scope="module")
def postgis(_database: str) -> Iterator[Database]:
    with psycopg.connect(_database, autocommit=True) as connection:
        yield connection


def at(column: float, row: float) -> tuple[float, float]:
    """A knot of a grid whose steps are powers of two: edges between knots are met exactly."""
    return WEST + column / 1024, SOUTH + row / 1024


@st.composite
def areas(draw: st.DrawFn) -> shapely.Geometry:
    """Star-shaped areas on the grid, with a hole or a second part now and then."""
    middle_x, middle_y = draw(grid), draw(grid)
    corners = draw(st.integers(3, 9))
    reaches = draw(st.lists(st.integers(4, 24), min_size=corners, max_size=corners))
    ring = [
        at(
            round(middle_x + reach * math.cos(2 * math.pi * turn / corners)),
            round(middle_y + reach * math.sin(2 * math.pi * turn / corners)),
        )
        for turn, reach in enumerate(reaches)
    ]
    shell = shapely.make_valid(shapely.Polygon(ring))
    if draw(st.booleans()):
        hole = [at(middle_x + dx, middle_y + dy) for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        shell = shapely.difference(shell, shapely.Polygon(hole))
    if draw(st.booleans()):
        shell = shapely.union(shell, shapely.box(*at(middle_x + 30, middle_y), *at(middle_x + 34, middle_y + 3)))
    parts = [part for part in shapely.get_parts(shell) if part.geom_type == "Polygon"]
    return shapely.multipolygons([p for part in parts for p in shapely.get_parts(part)])


def adversaries(zones: list[shapely.Geometry], draw: st.DrawFn) -> list[Place]:
    """Vertices, points of edges, points a hair beside them, and points anywhere."""
    found = [Place(*at(draw(grid) / 3, draw(grid) / 3)) for _ in range(6)]
    for zone in zones:
        corners = shapely.get_coordinates(zone)
        for index in draw(st.lists(st.integers(0, max(0, len(corners) - 2)), min_size=1, max_size=4)):
            if not len(corners):
                continue
            here, there = corners[index], corners[min(index + 1, len(corners) - 1)]
            middle = (here + there) / 2
            found += [Place(*here), Place(*middle), Place(*(here + (there - here) / 3))]
            found += [Place(middle[0] + hair, middle[1]) for hair in (-1e-9, 1e-9)]
    return [Place(float(place.lon), float(place.lat)) for place in found]


def holding_many(index: ZoneIndex, points: Sequence[Place]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in points]
    places, shapes = index.lookup(np.array([p.lon for p in points]), np.array([p.lat for p in points]))
    for place, position in zip(places.tolist(), shapes.tolist(), strict=True):
        found[place].append(index.keys[position])
    return found


@BOUNDED
@given(st.lists(areas(), min_size=1, max_size=5), st.data())
def test_areas_hold_what_postgis_says(postgis: Database, zones: list[shapely.Geometry], data: st.DataObject) -> None:
    index = ZoneIndex(ZoneShape(key * 7, zone) for key, zone in enumerate(zones))
    points = adversaries(zones, data.draw)
    rows = postgis.execute(
        "SELECT point.at, zone.key FROM unnest(%s::float8[], %s::float8[]) WITH ORDINALITY AS point (lon, lat, at)"
        " JOIN unnest(%s::bytea[]) WITH ORDINALITY AS zone (shape, key)"
        " ON ST_Intersects(ST_GeomFromWKB(zone.shape), ST_MakePoint(lon, lat)) ORDER BY 1, 2",
        ([p.lon for p in points], [p.lat for p in points], [shapely.to_wkb(zone) for zone in zones]),
    )
    wanted: list[list[int]] = [[] for _ in points]
    for point, zone in rows:
        wanted[point - 1].append((zone - 1) * 7)
    assert [index.holding(point) for point in points] == wanted
    assert holding_many(index, points) == wanted


@st.composite
def roads(draw: st.DrawFn) -> shapely.LineString:
    """Bent lines of some kilometres."""
    knots = draw(st.lists(st.tuples(grid, grid), min_size=2, max_size=6, unique=True))
    return shapely.LineString([at(*knot) for knot in knots])


@BOUNDED
@given(roads(), st.floats(3, 60), st.data())
def test_corridors_hold_what_the_ellipsoid_says(
    postgis: Database, road: shapely.LineString, half_width: float, data: st.DataObject
) -> None:
    index = ZoneIndex([ZoneShape(1, road, half_width)])
    shares = data.draw(st.lists(st.floats(0, 1), min_size=6, max_size=6))
    aside = data.draw(st.lists(st.floats(-2 * half_width, 2 * half_width), min_size=6, max_size=6))
    points = []
    for share, metres in zip(shares, aside, strict=True):
        foot = shapely.line_interpolate_point(road, share, normalized=True)
        turn = data.draw(st.floats(0, 2 * math.pi))
        points.append(
            Place(
                foot.x + metres * math.cos(turn) / 111_195 / math.cos(math.radians(foot.y)),
                foot.y + metres * math.sin(turn) / 111_195,
            )
        )
    distances = [
        row[0]
        for row in postgis.execute(
            # In short pieces: between two far points the referee would follow the great circle, not the road drawn.
            "SELECT ST_Distance(ST_Segmentize(ST_SetSRID(ST_GeomFromWKB(%s), 4326), 0.001)::geography,"
            " ST_SetSRID(ST_MakePoint(lon, lat), 4326))"
            " FROM unnest(%s::float8[], %s::float8[]) AS point (lon, lat)",
            (shapely.to_wkb(road), [p.lon for p in points], [p.lat for p in points]),
        )
    ]
    for point, metres in zip(points, distances, strict=True):
        if metres < half_width * 0.99:
            assert index.holding(point) == [1], (point, metres, half_width)
        elif metres > half_width * 1.01:
            assert index.holding(point) == [], (point, metres, half_width)


@BOUNDED
@given(st.lists(areas(), min_size=1, max_size=4), grid, grid)
def test_the_nearest_is_the_nearest(postgis: Database, zones: list[shapely.Geometry], column: int, row: int) -> None:
    index = ZoneIndex(ZoneShape(key, zone) for key, zone in enumerate(zones))
    place = Place(*at(column * 3 - 60, row * 3 - 60))
    found = index.nearest(place)
    assert found is not None
    distances = [
        found_row[0]
        for found_row in postgis.execute(
            "SELECT ST_Distance(ST_SetSRID(ST_GeomFromWKB(shape), 4326)::geography,"
            " ST_SetSRID(ST_MakePoint(%s, %s), 4326)) FROM unnest(%s::bytea[]) WITH ORDINALITY AS zone (shape, key)"
            " ORDER BY key",
            (place.lon, place.lat, [shapely.to_wkb(zone) for zone in zones]),
        )
    ]
    key, metres = found
    assert distances[key] == pytest.approx(min(distances), rel=0.02, abs=0.5)
    assert metres == pytest.approx(min(distances), rel=0.02, abs=0.5)


def test_an_index_of_nothing() -> None:
    index = ZoneIndex([])
    assert index.holding(Place(12.9, 43.9)) == []
    assert holding_many(index, [Place(12.9, 43.9)]) == [[]]
    assert index.nearest(Place(12.9, 43.9)) is None


def test_neighbours_share_a_border_and_do_not_overlap() -> None:
    left, right = shapely.box(12.8, 43.8, 12.9, 43.9), shapely.box(12.9, 43.8, 13.0, 43.9)
    index = ZoneIndex([ZoneShape(1, left), ZoneShape(2, right), ZoneShape(3, shapely.box(12.85, 43.85, 12.95, 43.87))])
    assert index.holding(Place(12.9, 43.82)) == [1, 2]
    assert not index.overlap(1, 2)
    assert index.overlap(1, 3)
    assert index.overlap(2, 3)


@st.composite
def slivers(draw: st.DrawFn) -> shapely.Geometry:
    """Strips a hair to some metres wide, slanted, some with a hole: what is left where a border was drawn twice."""
    west, south = at(draw(grid), draw(grid))
    long, turn = draw(st.floats(1e-4, 0.05)), draw(st.floats(0, 2 * math.pi))
    wide = draw(st.sampled_from([1e-9, 1e-7, 1e-5]))
    along, across = (long * math.cos(turn), long * math.sin(turn)), (-wide * math.sin(turn), wide * math.cos(turn))
    corners = [(0.0, 0.0), along, (along[0] + across[0], along[1] + across[1]), across]
    strip = shapely.Polygon([(west + x, south + y) for x, y in corners])
    if draw(st.booleans()):
        middle = shapely.centroid(strip)
        strip = shapely.difference(
            strip, shapely.box(middle.x - wide, middle.y - wide, middle.x + wide, middle.y + wide)
        )
    valid = strip if shapely.is_valid(strip) else shapely.make_valid(strip)
    parts = [part for part in shapely.get_parts(valid) if part.geom_type == "Polygon"]
    return shapely.multipolygons(parts or [shapely.box(west, south, west + 1e-5, south + 1e-5)])


def referee(postgis: Database, zones: list[shapely.Geometry], points: list[Place]) -> list[tuple[int, int]]:
    """Pairs of place and shape, as a spatial join of PostGIS finds them."""
    return [
        (place - 1, zone - 1)
        for place, zone in postgis.execute(
            "SELECT point.at, zone.key FROM unnest(%s::float8[], %s::float8[]) WITH ORDINALITY AS point (lon, lat, at)"
            " JOIN unnest(%s::bytea[]) WITH ORDINALITY AS zone (shape, key)"
            " ON ST_Intersects(ST_GeomFromWKB(zone.shape), ST_MakePoint(lon, lat)) ORDER BY 1, 2",
            ([p.lon for p in points], [p.lat for p in points], [shapely.to_wkb(zone) for zone in zones]),
        )
    ]


@BOUNDED
@given(st.lists(slivers() | areas(), min_size=1, max_size=6), st.data())
def test_slivers_and_holes_hold_what_postgis_says(
    postgis: Database, zones: list[shapely.Geometry], data: st.DataObject
) -> None:
    index = ZoneIndex(ZoneShape(key, zone) for key, zone in enumerate(zones))
    # On a slanted edge that no double meets exactly, PostGIS rounds and GEOS does not; a vertex is a vertex to both.
    borders = shapely.union_all(shapely.boundary(np.array(zones, dtype=object)))
    points = [p for p in adversaries(zones, data.draw) if shapely.distance(borders, shapely.Point(p)) > CLEAR]
    corners = shapely.get_coordinates(np.array(zones, dtype=object))
    points += [Place(*corner) for corner in corners[:: max(1, len(corners) // 12)].tolist()]
    wanted = referee(postgis, zones, points)
    side = data.draw(st.sampled_from([1, 4, 37, 300]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geo.zones.LEAST_SQUARES", side)
        found = index.lookup(np.array([p.lon for p in points]), np.array([p.lat for p in points]))
    assert list(zip(found.places.tolist(), found.shapes.tolist(), strict=True)) == wanted
    singly = [(number, key) for number, point in enumerate(points) for key in index.holding(point)]
    assert singly == wanted


@BOUNDED
@given(st.lists(roads(), min_size=1, max_size=3), st.floats(3, 60), st.data())
def test_many_places_along_roads_are_found_as_single_ones_are(
    roads_drawn: list[shapely.LineString], half_width: float, data: st.DataObject
) -> None:
    index = ZoneIndex(ZoneShape(key, road, half_width) for key, road in enumerate(roads_drawn))
    points = adversaries(list(index.areas.tolist()), data.draw)
    side = data.draw(st.sampled_from([1, 8, 64]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geo.zones.LEAST_SQUARES", side)
        found = index.lookup(np.array([p.lon for p in points]), np.array([p.lat for p in points]))
    singly = [(number, key) for number, point in enumerate(points) for key in index.holding(point)]
    assert list(zip(found.places.tolist(), found.shapes.tolist(), strict=True)) == singly


@BOUNDED
@given(st.lists(areas(), min_size=1, max_size=4), st.floats(1, 900), st.data())
def test_just_outside_is_what_the_ellipsoid_says(
    postgis: Database, zones: list[shapely.Geometry], tolerance: float, data: st.DataObject
) -> None:
    index = ZoneIndex(ZoneShape(key * 3, zone) for key, zone in enumerate(zones))
    reach = {key * 3: tolerance for key in range(len(zones))}
    points = [
        Place(*at(data.draw(grid) + data.draw(st.floats(0, 1)), data.draw(grid) + data.draw(st.floats(0, 1))))
        for _ in range(8)
    ]
    rows = postgis.execute(
        "SELECT point.at, ST_Distance(ST_SetSRID(ST_GeomFromWKB(shape), 4326)::geography,"
        " ST_SetSRID(ST_MakePoint(lon, lat), 4326))"
        " FROM unnest(%s::float8[], %s::float8[]) WITH ORDINALITY AS point (lon, lat, at)"
        " CROSS JOIN unnest(%s::bytea[]) WITH ORDINALITY AS zone (shape, key) ORDER BY point.at, key",
        ([p.lon for p in points], [p.lat for p in points], [shapely.to_wkb(zone) for zone in zones]),
    )
    distances: list[list[float]] = [[] for _ in points]
    for place, metres in rows:
        distances[place - 1].append(metres)
    many = index.just_outside_many(np.array([p.lon for p in points]), np.array([p.lat for p in points]), reach)
    for point, metres, position in zip(points, distances, many.tolist(), strict=True):
        key = index.just_outside(point, reach)
        assert position == (-1 if key is None else key // 3)
        if min(metres) > tolerance * 1.02 + 0.5:
            assert key is None
        elif min(metres) < tolerance * 0.98 - 0.5:
            assert key is not None
            assert metres[key // 3] == pytest.approx(min(metres), rel=0.02, abs=0.5)


def test_places_that_are_no_numbers_lie_nowhere() -> None:
    index = ZoneIndex([ZoneShape(1, shapely.box(12.8, 43.8, 12.9, 43.9))])
    found = index.lookup(np.array([math.nan, 12.85, math.inf]), np.array([43.85, 43.85, math.nan]))
    assert found.places.tolist() == [1]
    assert index.just_outside(Place(12.95, 43.85), {1: 10.0, 99: 1e9}) is None
    assert index.just_outside_many(np.array([12.95]), np.array([43.85]), {}).tolist() == [-1]
    assert index.area(1) is not None
    assert index.area(2) is None


@BOUNDED
@given(st.lists(areas(), min_size=1, max_size=4), st.integers(1, 70))
def test_squares_are_inside_outside_or_crossed(zones: list[shapely.Geometry], side: int) -> None:
    whole = shapely.total_bounds(np.array(zones, dtype=object)).tolist()
    grid = Grid((whole[0], whole[1], whole[2], whole[3]), side)
    wide, high = (whole[2] - whole[0]) / side, (whole[3] - whole[1]) / side
    for zone in zones:
        shapely.prepare(zone)
        share = grid.share(zone)
        rows, columns = np.divmod(np.arange(side * side), side)
        boxes = shapely.box(
            whole[0] + columns * wide,
            whole[1] + rows * high,
            whole[0] + (columns + 1) * wide,
            whole[1] + (rows + 1) * high,
        )
        crossed = set(share.crossed.tolist())
        touched = set(shapely.intersects(shapely.boundary(zone), boxes).nonzero()[0].tolist())
        assert touched <= crossed
        assert set(share.inside.tolist()) == set(shapely.contains(zone, boxes).nonzero()[0].tolist()) - crossed
