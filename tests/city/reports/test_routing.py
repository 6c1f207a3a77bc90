"""Which rule wins: the most specific, in its window of the wall clock; and what happens where none or two do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from city.registry.municipality import (
    CategoryView,
    CrewView,
    DepartmentView,
    GroupView,
    MunicipalityView,
    Named,
    RuleView,
    ZoneView,
)
from city.registry.working_time import CALENDAR_DAYS, Span
from city.reports.routing import fits, may_tie, route, specificity
from geo.zones import ZoneIndex

ROME = ZoneInfo("Europe/Rome")
BOUNDED = settings(max_examples=200, deadline=None, database=None)
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=ROME)  # a Wednesday

GROUP = GroupView("roads", Named("Strade", "Roads"), "road", "#000")
POTHOLE = CategoryView(1, "pothole", GROUP, Named("Buca", "Pothole"), "public", Span(5, CALENDAR_DAYS), [], {}, True)
NORTH = ZoneView(1, "districts", "north", "Nord", date(2020, 1, 1), None)
LIT = ZoneView(2, "lots", "a", "Lotto A", date(2020, 1, 1), None)
DEPARTMENTS = {
    slug: DepartmentView(key, slug, Named(slug, slug), "office")
    for key, slug in enumerate(("desk", "works", "green", "police"), 1)
}
CREW = CrewView(1, "night", "Squadra notte", 2)


def a_rule(key: int = 1, department: str = "works", **given_: Any) -> RuleView:
    fields: dict[str, Any] = {
        "version": 1,
        "is_own": True,
        "category": None,
        "group": None,
        "layer": None,
        "zone": None,
        "days": frozenset(),
        "starts_at": None,
        "ends_at": None,
        "crew": None,
        "priority": 0,
        "note": None,
    }
    return RuleView(id=key, department=department, **{**fields, **given_})


def a_town(*rules: RuleView) -> MunicipalityView:
    return MunicipalityView(
        has_addresses=False,
        id=1,
        slug="paese",
        name="Paese",
        prefix="PA",
        languages=("it", "en"),
        time_zone=ROME,
        accepts_anonymous=True,
        email=None,
        istat_code=None,
        fallback=DEPARTMENTS["desk"],
        departments=DEPARTMENTS,
        crews={"night": CREW},
        categories={"pothole": POTHOLE},
        rules=rules,
        zones={1: NORTH, 2: LIT},
        index=ZoneIndex([]),
        by_id={department.id: department for department in DEPARTMENTS.values()},
        category_ids={1: POTHOLE},
        crew_ids={1: CREW},
        choices=frozenset({"pothole"}),
        emergency_phrases=(),
    )


def sent(*rules: RuleView, zones: Sequence[ZoneView] = (NORTH, LIT), at: datetime = NOON) -> str:
    """The department, or what went wrong."""
    found = route(a_town(*rules), POTHOLE, zones, at)
    if found.problem:
        assert found.department is DEPARTMENTS["desk"]
    return found.problem or found.department.slug


LADDER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"group": "roads"}, {}),
    ({"category": "pothole"}, {"group": "roads", "layer": "districts", "zone": "north", "priority": 50}),
    ({"category": "pothole", "layer": "districts"}, {"category": "pothole", "priority": 50}),
    ({"category": "pothole", "layer": "districts", "zone": "north"}, {"category": "pothole", "layer": "lots"}),
    ({"layer": "districts"}, {"days": frozenset({3}), "priority": 50}),
    ({"group": "roads", "days": frozenset({3})}, {"group": "roads", "priority": 50}),
    ({"group": "roads", "starts_at": time(8), "ends_at": time(14)}, {"group": "roads", "priority": 50}),
    ({"group": "roads"}, {"group": "roads", "is_own": False, "priority": 50}),
    ({"group": "roads", "priority": 2}, {"group": "roads", "priority": 1}),
    ({"group": "roads", "is_own": False, "layer": "lots"}, {"group": "roads"}),
]


@pytest.mark.parametrize(("special", "general"), LADDER)
def test_the_more_special_rule_wins_in_whatever_order(special: dict[str, Any], general: dict[str, Any]) -> None:
    winner, loser = a_rule(1, "works", **special), a_rule(2, "green", **general)
    assert specificity(winner) > specificity(loser)
    for rules in itertools.permutations((winner, loser, a_rule(3, "police", category="graffiti"))):
        assert sent(*rules) == "works"


def test_without_a_rule_the_fallback_answers_and_says_so() -> None:
    found = route(a_town(a_rule(category="graffiti")), POTHOLE, [NORTH], NOON)
    assert (found.department.slug, found.rule, found.problem) == ("desk", None, None)
    assert found.as_json()["rule"] is None
    assert found.facts == {
        "category": "pothole",
        "group": "roads",
        "zones": ["districts/north"],
        "local_time": "2026-11-25T12:00",
    }


def test_the_reason_names_rule_version_and_facts() -> None:
    rule = a_rule(7, "works", group="roads", crew="night", note=Named("Di notte", "At night"), is_own=False)
    found = route(a_town(rule), POTHOLE, [NORTH, LIT], NOON)
    assert found.crew is CREW
    said = found.as_json()
    assert (said["rule"], said["version"], said["inherited"], said["note"]) == (
        7,
        1,
        True,
        {"it": "Di notte", "en": "At night"},
    )


def test_a_tie_goes_to_a_person_and_names_the_rules() -> None:
    rules = a_rule(1, "works", group="roads"), a_rule(2, "green", group="roads"), a_rule(3, "police")
    found = route(a_town(*rules), POTHOLE, [], NOON)
    assert (found.department.slug, found.problem) == ("desk", "routing.tie")
    assert found.facts["tied_rules"] == [1, 2]


def test_a_department_that_is_not_there_goes_to_a_person() -> None:
    found = route(a_town(a_rule(1, "circus", group="roads")), POTHOLE, [], NOON)
    assert (found.department.slug, found.problem) == ("desk", "routing.no_department")
    assert found.facts["missing_department"] == "circus"
    assert found.rule is not None


def test_a_crew_that_is_not_there_goes_to_a_person_at_the_right_department() -> None:
    rule = replace(a_rule(1, "works", group="roads"), crew="acrobats")
    found = route(a_town(rule), POTHOLE, [], NOON)
    assert (found.department.slug, found.crew, found.problem) == ("works", None, "routing.no_crew")
    assert found.facts["missing_crew"] == "acrobats"


def test_zones_are_asked_for_by_layer_and_code() -> None:
    assert sent(a_rule(layer="districts"), zones=[LIT]) == "desk"
    assert sent(a_rule(layer="districts", zone="south")) == "desk"
    assert sent(a_rule(layer="lots", zone="north")) == "desk"  # the code of another layer
    assert sent(a_rule(layer="districts", zone="north")) == "works"


# --- windows of the wall clock


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


WINDOWS: list[tuple[dict[str, Any], str, bool]] = [
    ({"starts_at": time(8), "ends_at": time(14)}, "2026-11-25T07:59:59+01:00", False),
    ({"starts_at": time(8), "ends_at": time(14)}, "2026-11-25T08:00:00+01:00", True),
    ({"starts_at": time(8), "ends_at": time(14)}, "2026-11-25T13:59:59+01:00", True),
    ({"starts_at": time(8), "ends_at": time(14)}, "2026-11-25T14:00:00+01:00", False),
    ({"days": frozenset({6, 7})}, "2026-11-28T00:00:00+01:00", True),
    ({"days": frozenset({6, 7})}, "2026-11-27T23:59:59+01:00", False),
    # past midnight: Friday night lasts into Saturday morning
    ({"days": frozenset({5}), "starts_at": time(22), "ends_at": time(6)}, "2026-11-27T23:00:00+01:00", True),
    ({"days": frozenset({5}), "starts_at": time(22), "ends_at": time(6)}, "2026-11-28T05:59:00+01:00", True),
    ({"days": frozenset({5}), "starts_at": time(22), "ends_at": time(6)}, "2026-11-28T06:00:00+01:00", False),
    ({"days": frozenset({5}), "starts_at": time(22), "ends_at": time(6)}, "2026-11-27T05:00:00+01:00", False),
    ({"days": frozenset({5}), "starts_at": time(22), "ends_at": time(6)}, "2026-11-28T23:00:00+01:00", False),
    ({"days": frozenset({7}), "starts_at": time(22), "ends_at": time(6)}, "2026-11-30T03:00:00+01:00", True),
    # the moment may be told in any zone, the window is the town's
    ({"starts_at": time(8), "ends_at": time(14)}, "2026-11-25T07:30:00+00:00", True),
    ({"starts_at": time(8), "ends_at": time(14)}, "2026-07-25T06:30:00+00:00", True),
    # the hour that comes twice, and the one that does not come
    ({"starts_at": time(2), "ends_at": time(3)}, "2026-10-25T02:30:00+02:00", True),
    ({"starts_at": time(2), "ends_at": time(3)}, "2026-10-25T02:30:00+01:00", True),
    ({"starts_at": time(2), "ends_at": time(3)}, "2026-03-29T01:30:00+00:00", False),
]


@pytest.mark.parametrize(("window", "moment", "counts"), WINDOWS)
def test_a_rule_counts_in_its_window(window: dict[str, Any], moment: str, counts: bool) -> None:
    assert (sent(a_rule(**window), at=at(moment)) == "works") == counts


# --- two rules that could tie

slots = st.sampled_from([None, time(0), time(6), time(8, 30), time(14), time(22), time(23, 59)])


@st.composite
def any_rules(draw: st.DrawFn, key: int = 1) -> RuleView:
    subject = draw(st.sampled_from([{}, {"group": "roads"}, {"category": "pothole"}]))
    where = draw(
        st.sampled_from([{}, {"layer": "districts"}, {"layer": "districts", "zone": "north"}, {"layer": "lots"}])
    )
    starts, ends = draw(slots), draw(slots)
    window = {} if None in (starts, ends) or starts == ends else {"starts_at": starts, "ends_at": ends}
    days = draw(st.frozensets(st.integers(1, 7), max_size=3))
    return a_rule(key, **subject, **where, **window, days=days, priority=draw(st.integers(0, 1)))


@BOUNDED
@given(any_rules(1), any_rules(2), st.booleans())
def test_whether_two_may_tie_is_a_matter_of_both(one: RuleView, other: RuleView, overlap: bool) -> None:
    assert may_tie(one, other, overlap) == may_tie(other, one, overlap)
    assert may_tie(one, one, zones_overlap=True)


@BOUNDED
@given(any_rules(1), any_rules(2), st.integers(0, 7 * 24 * 60 - 1))
def test_what_may_not_tie_does_not(one: RuleView, other: RuleView, minute: int) -> None:
    moment = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=minute)
    if not may_tie(one, other, zones_overlap=True):
        assert sent(one, other, at=moment) != "routing.tie"


@BOUNDED
@given(any_rules(1), any_rules(2))
def test_what_may_tie_does_at_some_minute_of_the_week(one: RuleView, other: RuleView) -> None:
    if may_tie(one, other, zones_overlap=True):
        monday = datetime(2026, 6, 1, tzinfo=ROME)
        zones = [NORTH, LIT]
        moments = (monday + timedelta(minutes=minute) for minute in range(7 * 24 * 60))
        both = (moment for moment in moments if all(fits(rule, POTHOLE, zones, moment) for rule in (one, other)))
        assert sent(one, other, at=next(both)) == "routing.tie"
