"""Two versions of a layer: who gained which ground from whom."""

from __future__ import annotations

import pytest
import shapely

from geo.faults import Area, square_metres
from geo.zone_changes import Change, as_geojson, compare


def box(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """A box in thousandths of a degree east of 12 and north of 45."""
    return shapely.box(12 + west / 1e3, 45 + south / 1e3, 12 + east / 1e3, 45 + north / 1e3)


OLD = [Area("a", "A", box(0, 0, 5, 10)), Area("b", "B", box(5, 0, 10, 10)), Area("c", "C", box(10, 0, 15, 10))]


def by_code(changes: list[Change]) -> dict[str, Change]:
    return {change.area.code: change for change in changes}


def test_nothing_changes_where_nothing_changes() -> None:
    assert compare(OLD, list(reversed(OLD))) == []


def test_ground_goes_from_one_zone_to_another() -> None:
    new = [Area("a", "A", box(0, 0, 6, 10)), Area("b", "B", box(6, 0, 10, 10)), OLD[2]]
    found = by_code(compare(OLD, new))
    moved = square_metres(box(5, 0, 6, 10))
    assert {code: change.kinds for code, change in found.items()} == {"a": ["reshaped"], "b": ["reshaped"]}
    assert found["a"].gained == [("B", pytest.approx(moved, rel=1e-4))]
    assert found["a"].lost == []
    assert found["b"].lost == [("A", pytest.approx(moved, rel=1e-4))]


def test_ground_comes_from_nobody_and_goes_to_nobody() -> None:
    new = [Area("a", "A", box(-1, 0, 4, 10)), OLD[1], OLD[2]]
    (change,) = compare(OLD, new)
    assert [share.other for share in change.gained] == [None]
    assert [share.other for share in change.lost] == [None]
    assert len(as_geojson([change])["features"]) == 2


def test_zones_come_and_go_and_are_renamed() -> None:
    new = [Area("a", "Alba", box(0, 0, 5, 10)), Area("d", "D", box(5, 0, 10, 4)), OLD[2]]
    found = by_code(compare(OLD, new))
    assert {code: change.kinds for code, change in found.items()} == {
        "a": ["renamed"],
        "d": ["added"],
        "b": ["removed"],
    }
    assert [share.other for share in found["b"].lost] == [None, "D"]
    assert [share.other for share in found["d"].gained] == ["B"]


def test_another_code_on_the_same_ground_is_the_same_zone() -> None:
    new = [OLD[0], Area("b2", "B", box(5, 0, 10, 9.9)), OLD[2]]
    (change,) = compare(OLD, new)
    assert change.kinds == ["recoded", "reshaped"]
    assert change.as_json()["old_code"] == "b"


def test_a_border_drawn_anew_is_told_from_one_that_moved() -> None:
    new = [Area("a", "A", box(0, 0, 5.02, 10)), Area("b", "B", box(5.02, 0, 10, 10)), OLD[2]]
    assert [change.kinds for change in compare(OLD, new)] == [["redrawn"], ["redrawn"]]


def test_a_first_version_is_all_new() -> None:
    assert [change.kinds for change in compare([], OLD)] == [["added"]] * 3
    assert [change.kinds for change in compare(OLD, [])] == [["removed"]] * 3
