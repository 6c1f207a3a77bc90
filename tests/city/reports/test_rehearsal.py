"""A dry run says of many reports what routing would say of each of them; hidden ones are only counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from city.database import reading
from city.registry import view
from city.registry.ground import with_zones, zone_sets
from city.registry.layers import ZoneFields
from city.registry.municipality import MunicipalityView
from city.reports import rehearsal
from city.reports.rehearsal import PastReports, rehearse, with_rules
from city.reports.routing import route
from city.reports.rules import RuleFields
from geo.place import Place

DAY = date(2026, 6, 1)
BEGIN = datetime(2026, 3, 20, tzinfo=UTC)
BOUNDED = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

times = st.sampled_from([time(0), time(6), time(8, 30), time(14), time(22), time(23, 59)])


@st.composite
def rules(draw: st.DrawFn) -> RuleFields:
    """Rules of any kind, some of which tie, name a missing department, or count past midnight."""
    subject = draw(st.sampled_from([{}, {"category": "pothole"}, {"category": "lamp-out"}, {"group": "roads"}]))
    where = draw(
        st.sampled_from(
            [{}, {"layer": "padova-districts"}, {"layer": "padova-districts", "zone": "nord"}, {"layer": "x"}]
        )
    )
    window = draw(st.sampled_from([0, 1]))
    begins, ends = draw(st.lists(times, min_size=2, max_size=2, unique=True))
    return RuleFields(
        department=draw(st.sampled_from(["urp", "green", "mobility", "nobody"])),
        days=draw(st.sampled_from([(), (6, 7), (1, 2, 3, 4, 5)])),
        starts_at=begins if window else None,
        ends_at=ends if window else None,
        priority=draw(st.integers(0, 1)),
        **{**subject, **where},  # type: ignore[arg-type]
    )


def drawn(padova: MunicipalityView, seed: int, count: int) -> PastReports:
    """Reports anywhere in and around Padova, at any time of a month with the change of the clocks."""
    chance = np.random.default_rng(seed)
    categories = [padova.categories[slug].id for slug in ("pothole", "lamp-out", "dangerous-tree", "other")]
    moments = [BEGIN + timedelta(seconds=int(step)) for step in chance.integers(0, 30 * 86_400, count)]
    local = [padova.local(moment) for moment in moments]
    return PastReports(
        numbers=[f"PD-2026-{number}" for number in range(count)],
        categories=chance.choice(categories, count),
        lons=chance.uniform(11.78, 11.99, count),
        lats=chance.uniform(45.33, 45.47, count),
        moments=moments,
        weekdays=np.array([one.isoweekday() for one in local]),
        seconds=np.array([one.hour * 3600.0 + one.minute * 60 + one.second for one in local]),
        is_public=chance.random(count) < 0.7,
    )


@pytest.fixture
def padova(database: str) -> MunicipalityView:
    return view.load().municipality("padova")


@BOUNDED
@given(st.lists(rules(), max_size=6), st.integers(0, 1000))
def test_many_are_routed_as_each_of_them_would_be(database: str, given_rules: list[RuleFields], seed: int) -> None:
    padova = view.load().municipality("padova")
    reports = drawn(padova, seed, 60)
    after = with_rules(padova, {padova.id: given_rules})
    found = rehearse(padova, after, reports, DAY)
    wanted: Counter[tuple[str, str]] = Counter()
    waiting = 0
    for position, moment in enumerate(reports.moments):
        zones = padova.zones_at(Place(reports.lons[position], reports.lats[position]), DAY)
        category = padova.category_ids[int(reports.categories[position])]
        was, will = route(padova, category, zones, moment), route(after, category, zones, moment)
        if was.department.id != will.department.id:
            wanted[was.department.slug, will.department.slug] += 1
        waiting += bool(will.problem) and not was.problem
    assert {(move.before.slug, move.after.slug): move.count for move in found.moves} == dict(wanted)
    assert found.would_wait == waiting
    for move in found.moves:
        assert sum(len(positions) for positions in move.positions) == move.count
        assert all(reports.is_public[reports.numbers.index(example.number)] for example in move.examples)


@BOUNDED
@given(st.integers(0, 1000), st.sampled_from([0.0, 40.0, 900.0]))
def test_zones_of_many_places_are_those_of_each(database: str, seed: int, tolerance: float) -> None:
    zones = [
        ZoneFields("a", "A", shapely.box(11.80, 45.35, 11.86, 45.40)),
        ZoneFields("b", "B", shapely.box(11.86, 45.35, 11.92, 45.44)),
        ZoneFields("c", "C", shapely.LineString([(11.8, 45.38), (11.95, 45.43)]), 300.0),
    ]
    padova = view.load().municipality("padova")
    town = with_zones(padova, "prova", zones, tolerance)
    reports = drawn(padova, seed, 80)
    found = zone_sets(town, reports.lons, reports.lats, DAY)
    for position in range(len(reports)):
        singly = town.zones_at(Place(float(reports.lons[position]), float(reports.lats[position])), DAY)
        assert {zone.id for zone in found.sets[int(found.which[position])]} == {zone.id for zone in singly}


def test_other_zones_send_reports_elsewhere(padova: MunicipalityView) -> None:
    parks = [zone for zone in padova.zones.values() if zone.layer == "padova-parks"]
    assert parks
    reports = drawn(padova, 1, 500)
    whole = with_zones(padova, "padova-parks", [ZoneFields("all", "Tutto", shapely.box(11.7, 45.3, 12.1, 45.5))])
    found = rehearse(padova, whole, reports, DAY)
    assert found.changed > 50
    assert {move.after.slug for move in found.moves} == {"green"}
    assert rehearse(padova, padova, reports, DAY).moves == []


def test_a_provincial_rule_counts_where_it_is_listed(padova: MunicipalityView) -> None:
    here = RuleFields("urp", municipalities=["padova"])
    there = RuleFields("urp", municipalities=["pesaro"])
    town = with_rules(padova, {0: [here, there]})
    assert [(rule.id, rule.is_own) for rule in town.rules if rule.id < 0] == [(-1, False)]
    assert all(rule.is_own for rule in town.rules if rule.id > 0)


def test_reports_of_the_database_are_rehearsed_and_hidden_ones_only_counted(client: TestClient) -> None:
    body: dict[str, Any] = {"lon": 11.8768, "lat": 45.4064, "description": "Signora Rossi, via Verdi 3, interno 4"}
    shown = client.post("/api/v1/reports", json={**body, "category": "pothole"}).json()
    hidden = client.post("/api/v1/reports", json={**body, "category": "unsafe-place"}).json()
    assert (shown["is_public"], hidden["is_public"]) == (True, False)
    padova = view.held().municipality("padova")
    with reading(padova.id) as session:
        reports = rehearsal.past_reports(session.raw, padova, 1)
    assert len(reports) == 2
    after = with_rules(padova, {padova.id: [RuleFields("green")], 0: []})
    found = rehearse(padova, after, reports, DAY).as_json()
    assert (found["reports"], found["changed"]) == (2, 2)
    told = str(found)
    assert shown["number"] in told
    assert hidden["number"] not in told
    assert "Rossi" not in told


def test_no_reports_are_no_trouble(padova: MunicipalityView) -> None:
    nothing = replace(drawn(padova, 1, 0), moments=[])
    assert rehearse(padova, with_rules(padova, {padova.id: []}), nothing, DAY).as_json()["changed"] == 0
