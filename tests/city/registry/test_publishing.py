"""Zones are published: with serious faults only for a reason, which is kept. A layer may forgive."""

from __future__ import annotations

from datetime import date

import pytest
import shapely

from city.database import provincial
from city.errors import Conflict, InvalidInput
from city.registry import layers, publishing, view
from city.registry.layers import ZoneFields
from city.registry.publishing import Publication
from geo.place import Place

WEST, MIDDLE, EAST = 11.86, 11.87, 11.88
ZONES = [
    ZoneFields("a", "A", shapely.box(WEST, 45.40, MIDDLE, 45.41)),
    ZoneFields("b", "B", shapely.box(MIDDLE, 45.40, EAST, 45.41)),
]
DAY = date(2026, 1, 1)
REASON = "Così le ha approvate il Consiglio"


def published(publication: Publication, tolerance: float | None = None) -> layers.ZoneChanges:
    with provincial() as session:
        layer = layers.put_layer(
            session, "padova", "prova", name_it="Prova", name_en="Trial", tolerance_metres=tolerance
        )
        return publishing.publish(session, layer, ZONES, publication)


def kept() -> list[tuple[str, int, dict[str, int], str | None]]:
    with provincial() as session:
        layer = layers.put_layer(session, "padova", "prova", name_it="Prova", name_en="Trial")
        rows = publishing.publications(session, layer)
        return [(row.published_by, row.zones, row.faults, row.accepted_because) for row in rows]


def test_a_faulty_layer_wants_a_reason_and_keeps_it(own_registry: str) -> None:
    faults = {"overlaps": 2, "overlap_slivers": 40}
    with pytest.raises(Conflict, match="serious faults"):
        published(Publication("anna", DAY, "a.geojson", faults, {"overlaps": 2}))
    with pytest.raises(InvalidInput, match="reason"):
        published(Publication("anna", DAY, "a.geojson", faults, {"overlaps": 2}, accepted_because=" ok "))
    done = published(Publication("anna", DAY, "a.geojson", faults, {"overlaps": 2}, accepted_because=REASON))
    assert done.added == 2
    assert kept() == [("anna", 2, faults, REASON)]


def test_what_is_published_already_wants_no_reason_again(own_registry: str) -> None:
    published(Publication("anna", DAY, faults={"gaps": 1}, serious={"gaps": 1}, accepted_because=REASON))
    assert published(Publication("bruno", DAY, faults={"gaps": 1}, serious={"gaps": 1})).unchanged == 2
    assert [row[0] for row in kept()] == ["anna"]


def test_slivers_alone_want_no_reason_and_none_is_kept(own_registry: str) -> None:
    published(Publication("anna", DAY, faults={"gap_slivers": 9}, accepted_because=REASON))
    assert kept() == [("anna", 2, {"gap_slivers": 9}, None)]


def test_a_layer_forgives_places_just_outside(own_registry: str) -> None:
    published(Publication("anna", DAY), tolerance=30)
    padova = view.newest().municipality("padova")

    def codes(place: Place, day: date = date(2026, 6, 1)) -> list[str]:
        return [zone.code for zone in padova.zones_at(place, day) if zone.layer == "prova"]

    degree = 1 / 111_195
    assert codes(Place(11.875, 45.405)) == ["b"]
    assert codes(Place(11.875, 45.41 + 25 * degree)) == ["b"]
    assert codes(Place(11.875, 45.41 + 35 * degree)) == []
    assert codes(Place(MIDDLE, 45.405)) == ["a", "b"]
    assert codes(Place(11.875, 45.41 + 25 * degree), date(2025, 12, 31)) == []


def test_a_tolerance_stays_until_another_is_given(own_registry: str) -> None:
    published(Publication("anna", DAY), tolerance=30)
    published(Publication("anna", DAY))
    with provincial() as session:
        assert layers.put_layer(session, "padova", "prova", name_it="P", name_en="T").tolerance_metres == 30
        with pytest.raises(InvalidInput, match="1000"):
            layers.put_layer(session, "padova", "prova", name_it="P", name_en="T", tolerance_metres=5000)
