"""Where the rules leave a report to nobody, asked of the whole ground and the whole week."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time

import pytest
import shapely

from city.registry import view
from city.registry.municipality import MunicipalityView, RuleView, ZoneView
from city.reports import coverage
from geo.zones import ZoneIndex, ZoneShape

DAY = date(2026, 6, 1)
BOUNDARY = shapely.box(11.8, 45.3, 12.0, 45.5)
WEST, EAST = shapely.box(11.8, 45.3, 11.9, 45.5), shapely.box(11.9, 45.3, 12.0, 45.5)


def rule(**given: object) -> RuleView:
    plain = RuleView(1, 1, True, None, None, None, None, frozenset(), None, None, "urp", None, 0, None)
    return replace(plain, **given)  # type: ignore[arg-type]


@pytest.fixture
def padova(database: str) -> MunicipalityView:
    """Padova with two districts of its own and one category."""
    real = view.load().municipality("padova")
    zones = {
        1: ZoneView(1, "districts", "west", "Ovest", date(2020, 1, 1), None),
        2: ZoneView(2, "districts", "east", "Est", date(2020, 1, 1), None),
    }
    return replace(
        real,
        zones=zones,
        index=ZoneIndex([ZoneShape(1, WEST), ZoneShape(2, EAST)]),
        categories={"pothole": real.categories["pothole"]},
        forgiving={},
    )


def with_rules(padova: MunicipalityView, *rules: RuleView) -> MunicipalityView:
    return replace(padova, rules=tuple(replace(one, id=number) for number, one in enumerate(rules, start=1)))


def test_one_rule_for_everywhere_is_enough(padova: MunicipalityView) -> None:
    town = with_rules(padova, rule(category="pothole"))
    assert coverage.uncovered(town, BOUNDARY, DAY) == []
    assert coverage.uncovered(with_rules(padova, rule(layer="districts")), BOUNDARY, DAY) == []


def test_without_a_rule_everything_is_the_front_desks(padova: MunicipalityView) -> None:
    (found,) = coverage.uncovered(with_rules(padova, rule(category="lamp-out")), BOUNDARY, DAY)
    assert found.category.slug == "pothole"
    assert found.is_everywhere
    assert found.is_always
    assert len(found.zones) == 2


def test_what_is_left_is_the_ground_of_the_other_zone(padova: MunicipalityView) -> None:
    (found,) = coverage.uncovered(with_rules(padova, rule(layer="districts", zone="west")), BOUNDARY, DAY)
    assert found.share == pytest.approx(0.5, abs=0.01)
    assert [zone.code for zone in found.zones] == ["east"]


def test_a_rule_for_the_night_leaves_the_day(padova: MunicipalityView) -> None:
    night = rule(starts_at=time(22), ends_at=time(6))
    (found,) = coverage.uncovered(with_rules(padova, night), BOUNDARY, DAY)
    assert found.minutes == 7 * 16 * 60
    assert not found.is_always
    both = with_rules(padova, night, rule(starts_at=time(6), ends_at=time(22)))
    assert coverage.uncovered(both, BOUNDARY, DAY) == []


def test_a_border_drawn_twice_is_no_ground(padova: MunicipalityView) -> None:
    narrow = shapely.box(11.80002, 45.3, 11.9, 45.5)
    town = replace(padova, index=ZoneIndex([ZoneShape(1, narrow), ZoneShape(2, EAST)]))
    assert coverage.uncovered(with_rules(town, rule(layer="districts")), BOUNDARY, DAY) == []


def test_a_zone_that_is_no_longer_in_force_covers_nothing(padova: MunicipalityView) -> None:
    gone = {key: replace(zone, valid_until=date(2025, 1, 1)) for key, zone in padova.zones.items()}
    town = with_rules(replace(padova, zones=gone), rule(layer="districts"))
    (found,) = coverage.uncovered(town, BOUNDARY, DAY)
    assert found.is_everywhere
    assert [(one.what, one.name) for one in coverage.dangling(town, DAY)] == [("layer", "districts")]


def test_what_rules_name_in_vain_is_said(padova: MunicipalityView) -> None:
    town = with_rules(
        padova,
        rule(department="nobody", crew="nobody", category="nothing"),
        rule(group="nothing", layer="districts", zone="north"),
    )
    assert [(one.rule.id, one.what) for one in coverage.dangling(town, DAY)] == [
        (1, "department"),
        (1, "crew"),
        (1, "category"),
        (2, "group"),
        (2, "zone"),
    ]


def test_rules_tie_only_where_their_zones_meet(padova: MunicipalityView) -> None:
    west, east = rule(layer="districts", zone="west"), rule(layer="districts", zone="east")
    assert coverage.ties(with_rules(padova, west, east), DAY) == []
    meeting = replace(padova, index=ZoneIndex([ZoneShape(1, WEST), ZoneShape(2, shapely.box(11.85, 45.3, 12, 45.5))]))
    ((one, other),) = coverage.ties(with_rules(meeting, west, east), DAY)
    assert (one.id, other.id) == (1, 2)
    assert coverage.ties(with_rules(meeting, west, replace(east, priority=5)), DAY) == []
    assert len(coverage.ties(with_rules(padova, rule(category="pothole"), rule(category="pothole")), DAY)) == 1


def test_every_category_of_the_demo_finds_a_department(database: str) -> None:
    registry = view.load()
    for town in registry.municipalities.values():
        boundary = registry.boundaries.area(town.id)
        assert boundary is not None
        assert coverage.uncovered(town, boundary, date(2026, 6, 1)) == []
        assert coverage.dangling(town, date(2026, 6, 1)) == []
        assert coverage.ties(town, date(2026, 6, 1)) == []
