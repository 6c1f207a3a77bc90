"""Rules are checked when they are saved: what they name must exist, and two of them never tie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, time

import pytest
import shapely

from city.database import WriteSession, provincial
from city.errors import Conflict, InvalidInput, NotFound
from city.registry import layers, territory
from city.registry.layers import ZoneFields
from city.reports.rules import RuleBook, RuleFields, missing_departments, save_rule


@pytest.fixture
def session(own_registry: str) -> Iterator[WriteSession]:
    """A provincial transaction on the demo's registry, with two overlapping zones and one apart in Padova."""
    with provincial() as opened:
        layer = layers.put_layer(opened, "padova", "prova", name_it="Prova", name_en="Trial")
        zones = [
            ZoneFields("west", "Ovest", shapely.box(11.85, 45.40, 11.87, 45.42)),
            ZoneFields("middle", "Mezzo", shapely.box(11.86, 45.40, 11.88, 45.42)),
            ZoneFields("east", "Est", shapely.box(11.90, 45.40, 11.91, 45.42)),
        ]
        layers.put_zones(opened, layer, zones, valid_from=date(2026, 1, 1))
        yield opened


RULE = RuleFields(department="mobility", category="pothole", layer="prova", zone="west", priority=7)


def test_a_rule_is_saved_and_saving_it_again_changes_nothing(session: WriteSession) -> None:
    first = save_rule(session, "padova", RULE)
    again = save_rule(session, "padova", RULE)
    assert (again.id, again.version) == (first.id, 1)
    changed = save_rule(session, "padova", replace(RULE, department="green"), rule_id=first.id)
    assert (changed.id, changed.version, changed.department_slug) == (first.id, 2, "green")
    with pytest.raises(NotFound):
        save_rule(session, "padova", RULE, rule_id=0)


@pytest.mark.parametrize(
    ("change", "ties"),
    [
        ({}, True),
        ({"zone": "middle"}, True),
        ({"zone": "east"}, False),
        ({"priority": 8}, False),
        ({"category": "pavement"}, False),
        ({"days": (6, 7)}, False),
    ],
)
def test_a_tie_is_refused_naming_the_other_rule(session: WriteSession, change: dict[str, object], ties: bool) -> None:
    first = save_rule(session, "padova", RULE)
    other = replace(RULE, department="green", **change)  # type: ignore[arg-type]
    if not ties:
        assert save_rule(session, "padova", other).id != first.id
        return
    with pytest.raises(Conflict) as caught:
        save_rule(session, "padova", other)
    assert caught.value.values["rule"] == first.id


def test_time_windows_tie_only_where_they_meet(session: WriteSession) -> None:
    night = replace(RULE, starts_at=time(22), ends_at=time(6))
    save_rule(session, "padova", night)
    save_rule(session, "padova", replace(night, department="green", starts_at=time(6), ends_at=time(22)))
    with pytest.raises(Conflict):
        save_rule(session, "padova", replace(night, department="urp", starts_at=time(5), ends_at=time(7)))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"category": "volcano"}, "category"),
        ({"category": None, "group": "volcanoes"}, "group"),
        ({"group": "roads"}, "group"),
        ({"layer": "seas", "zone": None}, "layer"),
        ({"zone": "north"}, "zone"),
        ({"layer": None}, "zone"),
        ({"department": "ministry"}, "department"),
        ({"crew": "marines"}, "crew"),
        ({"starts_at": time(8)}, "starts_at"),
        ({"starts_at": time(8), "ends_at": time(8)}, "starts_at"),
        ({"days": (8,)}, "days"),
        ({"municipalities": ("pesaro",)}, "municipalities"),
    ],
)
def test_what_a_rule_names_must_exist(session: WriteSession, change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        save_rule(session, "padova", replace(RULE, **change))  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.sentence("it")


def test_a_rule_of_the_province_needs_its_department_in_every_heir(session: WriteSession) -> None:
    everywhere = RuleFields(department="mobility", category="pothole", priority=9)
    with pytest.raises(InvalidInput) as caught:
        save_rule(session, "provincia", everywhere)
    assert caught.value.field == "department"
    book = RuleBook(session, "provincia")
    book.save(replace(everywhere, municipalities=("padova",)))
    with pytest.raises(Conflict):
        book.save(replace(everywhere, department="urp"))
    book.save(replace(everywhere, department="urp", municipalities=("pesaro",)))


def test_what_a_new_municipality_lacks_is_told(session: WriteSession) -> None:
    made = territory.create_municipality(session, territory.MunicipalityFields(name="Nuovo"))
    assert missing_departments(session, made) == []
    save_rule(session, "provincia", RuleFields(department="urp", category="hedge", priority=3))
    assert missing_departments(session, made) == []
    assert territory.home(session, "nuovo").fallback_department_id is not None
