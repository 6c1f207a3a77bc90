"""Layers with faults made on purpose, and real ones whose faults are known."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from geo.faults import Area, Faults, check, repaired, square_metres
from geo.reading import read_layer

DEGREE_M = 111_132.0
"""One degree of latitude at 45 degrees north, near enough."""


def box(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """A box in thousandths of a degree east of 12 and north of 45."""
    return shapely.box(12 + west / 1e3, 45 + south / 1e3, 12 + east / 1e3, 45 + north / 1e3)


def checked(*shapes: BaseGeometry | None, boundary: BaseGeometry | None = None) -> Faults:
    areas = [Area(f"c{number}", f"Zona {number}", shape) for number, shape in enumerate(shapes)]
    return check(areas, boundary)


def test_a_clean_tiling_has_no_faults() -> None:
    faults = checked(box(0, 0, 5, 10), box(5, 0, 10, 10), boundary=box(0, 0, 10, 10))
    assert faults.is_clean
    assert faults.covered == pytest.approx(1)
    assert faults.as_geojson()["features"] == []


def test_areas_are_those_of_the_ellipsoid() -> None:
    # ST_Area(geography) of the same box.
    assert square_metres(shapely.box(11.8, 45.3, 12.0, 45.5)) == pytest.approx(348_072_392, rel=1e-6)
    assert square_metres(box(0, 0, 10, 10)) == pytest.approx(
        square_metres(box(0, 0, 10, 5)) + square_metres(box(0, 5, 10, 10)), rel=1e-6
    )


def test_an_overlap_is_measured_and_a_thin_one_is_a_sliver() -> None:
    faults = checked(box(0, 0, 6, 10), box(5, 0, 10, 10), box(0, 9.98, 10, 20))
    wide = [overlap for overlap in faults.overlaps if not overlap.is_sliver]
    thin = [overlap for overlap in faults.overlaps if overlap.is_sliver]
    assert [(overlap.one, overlap.other) for overlap in wide] == [(0, 1)]
    assert wide[0].m2 == pytest.approx(0.001 * 78_847 * 0.01 * DEGREE_M, rel=0.01)
    assert {(overlap.one, overlap.other) for overlap in thin} == {(0, 2), (1, 2)}
    assert all(overlap.width_metres == pytest.approx(2.2, rel=0.05) for overlap in thin)
    assert faults.overlaps == sorted(faults.overlaps, key=lambda overlap: -overlap.m2)


def test_neighbours_that_share_a_border_do_not_overlap() -> None:
    assert checked(box(0, 0, 5, 10), box(5, 0, 10, 10), box(5, 10, 10, 20)).overlaps == []


def test_gaps_are_what_the_boundary_has_and_the_zones_have_not() -> None:
    faults = checked(box(0, 0, 4, 10), box(5, 0, 9.99, 10), boundary=box(0, 0, 10, 10))
    assert [gap.is_sliver for gap in faults.gaps] == [False, True]
    assert faults.covered == pytest.approx(0.899, abs=0.001)


def test_without_a_boundary_only_holes_are_gaps() -> None:
    ring = shapely.difference(box(0, 0, 10, 10), box(4, 4, 6, 6))
    assert len(checked(ring).gaps) == 1
    assert checked(ring, box(4, 4, 6, 6)).gaps == []


def test_parks_are_not_meant_to_cover_the_town() -> None:
    assert checked(box(1, 1, 2, 2), boundary=box(0, 0, 10, 10)).gaps == []


def test_what_lies_outside_is_told_by_its_share() -> None:
    faults = checked(box(0, 0, 5, 10), box(8, 0, 12, 10), box(20, 0, 22, 2), boundary=box(0, 0, 10, 10))
    assert [(piece.position, round(piece.share, 2)) for piece in faults.outside] == [(2, 1.0), (1, 0.5)]


def test_an_invalid_ring_is_repaired_to_areas_only() -> None:
    bowtie = shapely.Polygon([(12, 45), (12.01, 45.01), (12.01, 45), (12, 45.01)])
    spike = shapely.Polygon([(12, 45), (12.01, 45), (12.01, 45.01), (12.02, 45.02), (12.01, 45.01), (12, 45.01)])
    faults = checked(bowtie, spike)
    assert [repair.position for repair in faults.repairs] == [0, 1]
    assert "Self-intersection" in faults.repairs[0].reason
    for shape in faults.shapes:
        assert shape is not None
        assert shape.is_valid
        assert shape.geom_type in {"Polygon", "MultiPolygon"}
    assert faults.repairs[1].after_m2 == pytest.approx(square_metres(box(0, 0, 10, 10)), rel=1e-6)


def test_nothing_left_is_said() -> None:
    flat = shapely.Polygon([(12, 45), (12.01, 45), (12, 45)])
    faults = checked(None, shapely.Polygon(), flat, shapely.Point(12, 45), box(0, 0, 1, 1))
    assert faults.empty == [0, 1, 2, 3]
    assert faults.shapes[:4] == [None] * 4
    assert repaired(shapely.LineString([(0, 0), (1, 1)])) is None
    assert check([]).is_clean


def test_codes_and_names_that_come_twice_are_counted() -> None:
    areas = [Area("a", "Centro", box(0, 0, 1, 1)), Area("a", "Centro", box(1, 0, 2, 1)), Area("", "", box(2, 0, 3, 1))]
    faults = check([*areas, Area("", "", box(3, 0, 4, 1))])
    assert (faults.same_codes, faults.same_names) == ({"a": 2}, {"Centro": 2})


def test_faults_can_be_looked_at_on_a_map() -> None:
    faults = checked(box(0, 0, 6, 10), box(5, 0, 9, 10), box(9, 0, 12, 10), boundary=box(0, 0, 10, 11))
    kinds = {feature["properties"]["fault"] for feature in faults.as_geojson()["features"]}
    assert kinds == {"overlap", "gap", "outside"}
    summary = faults.as_json()
    assert summary["overlaps"]["count"] == 1
    assert summary["overlaps"]["largest"][0]["one"] == "Zona 0"
    assert summary["outside"][0]["percent"] == pytest.approx(66.67, abs=0.01)


def real(shared_data: Path, name: str) -> list[Area]:
    features = read_layer(shared_data / "zones" / name).features
    return [Area(str(feature.number), str(feature.number), feature.shape) for feature in features]


@pytest.mark.parametrize(
    ("name", "pairs", "invalid"),
    [
        ("omi-padova-city.geojson", 45, 0),
        ("bari-municipi.geojson", 7, 1),
        ("bari-localita.geojson", 6, 1),
        ("bari-quartieri.geojson", 23, 0),
        ("bari-circoscrizioni.geojson", 0, 0),
    ],
)
def test_real_zones_have_the_faults_they_are_known_for(name: str, pairs: int, invalid: int, shared_data: Path) -> None:
    faults = check(real(shared_data, name))
    assert len(faults.overlaps) == pairs
    assert len(faults.repairs) == invalid
    assert faults.empty == []


def test_a_whole_province_of_zones_is_checked_in_seconds(shared_data: Path) -> None:
    areas = real(shared_data, "omi-prov-padova.geojson.gz")
    started = time.perf_counter()
    faults = check(areas)
    assert time.perf_counter() - started < 60
    assert [areas[repair.position].code for repair in faults.repairs] == [
        feature.code for feature in areas if feature.shape is not None and not feature.shape.is_valid
    ]
    assert len(faults.repairs) == 1


def test_slivers_are_counted_apart_and_are_not_serious() -> None:
    ground = box(0, 0, 10, 10)
    thin = checked(box(0, 0, 5.01, 10), box(5, 0, 9.98, 10.03), boundary=ground)
    assert thin.serious() == {}
    assert thin.counts() == {"overlap_slivers": 1, "gap_slivers": 1, "outside_slivers": 1}
    wide = checked(box(0, 0, 6, 10), box(5, 0, 9, 12), boundary=ground)
    assert wide.serious() == {"overlaps": 1, "gaps": 1, "outside": 1}
    assert checked(box(0, 0, 10, 10), boundary=ground).counts() == {}
