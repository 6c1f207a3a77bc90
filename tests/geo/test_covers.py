"""Cells of an area: a place in the area is found by one of its own cells, and inner cells hold no place outside."""

from __future__ import annotations

import psycopg
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.covers import MOST_CELLS, cells_holding, circle, covering_cells, in_area
from geo.place import Place, morton

ITALY = st.builds(Place, st.floats(7, 18), st.floats(37, 46))
NEAR = st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))


@given(ITALY, st.floats(50, 20_000), NEAR, st.integers(1, 40))
def test_a_place_finds_every_circle_that_holds_it(
    middle: Place, metres: float, step: tuple[float, float], most: int
) -> None:
    area = circle(middle, metres)
    west, south, east, north = area.bounds
    place = Place(middle.lon + step[0] * (east - west) / 2, middle.lat + step[1] * (north - south) / 2)
    cover = covering_cells(area, most)
    own = set(cells_holding(place))
    hit = [cell for cell in cover if cell.cell in own]
    assert len(hit) <= 1, "the cells of an area do not overlap"
    if area.intersects(shapely.Point(place)):
        assert hit
    if hit and hit[0].is_inside:
        assert area.intersects(shapely.Point(place))


@given(ITALY, st.floats(50, 20_000))
def test_a_circle_is_a_circle_and_its_cells_are_few(middle: Place, metres: float) -> None:
    area = circle(middle, metres)
    for lon, lat in shapely.get_coordinates(area):
        assert abs(middle.distance_metres(Place(lon, lat)) - metres) <= 0.01 * metres
    assert len(covering_cells(area)) <= max(MOST_CELLS, 4)


def test_an_area_of_two_parts_is_covered_in_both() -> None:
    parts = shapely.union(circle(Place(12.0, 43.0), 500), circle(Place(12.1, 43.1), 500))
    cells = {cell.cell for cell in covering_cells(parts)}
    for place in (Place(12.0, 43.0), Place(12.1, 43.1)):
        assert cells & set(cells_holding(place))
    assert not cells & set(cells_holding(Place(12.05, 43.05)))


def test_a_condition_finds_the_rows_inside_and_no_others(database: str) -> None:
    middle = Place(12.0, 43.0)
    area = shapely.difference(circle(middle, 900), circle(middle, 300))
    places = [Place(12.0 + step / 3000, 43.0 + other / 3000) for step in range(-40, 41) for other in range(-40, 41)]
    with psycopg.connect(database) as admin:
        admin.execute("CREATE TEMP TABLE row (cell bigint, lon float8, lat float8)")
        with admin.cursor().copy("COPY row FROM STDIN") as copy:
            for place in places:
                copy.write_row((morton(*place.cell()), place.lon, place.lat))
        condition, values = in_area(area, "row")
        found = {Place(*row) for row in admin.execute(f"SELECT lon, lat FROM row WHERE {condition}", values)}
        assert found == {place for place in places if area.intersects(shapely.Point(place))}
