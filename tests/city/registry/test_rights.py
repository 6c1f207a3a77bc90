"""Who may do what with which report: said about one report, and as SQL for lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from city.registry import view
from city.registry.municipality import MunicipalityView
from city.registry.staff.rights import NEEDS, Narrowing, Post, Right, Sight, Staff, Standing

EVERY: Final = frozenset(Right)
CLERK: Final = frozenset({Right.READ, Right.CONTACT, Right.FIELD, Right.DESK})
READ_ONLY: Final = frozenset({Right.READ})


@pytest.fixture
def town(database: str) -> MunicipalityView:
    return view.newest().municipality("padova")


def some_of(values: list[Any]) -> some.SearchStrategy[frozenset[Any]]:
    return some.frozensets(some.sampled_from(values), max_size=3)


def posts(town: MunicipalityView) -> some.SearchStrategy[tuple[Post, ...]]:
    """Appointments of all kinds, to what is there and to what is not any more."""
    kinds, zones = sorted(town.categories), sorted({f"{one.layer}/{one.code}" for one in town.zones.values()})
    groups = sorted({one.group.slug for one in town.categories.values()})
    within = some.builds(
        Narrowing, some_of([*groups, "gone"]), some_of([*kinds, "gone"]), some_of([*zones, "gone/gone"])
    )
    post = some.builds(
        Post,
        some.just("any"),
        some.sampled_from([EVERY, CLERK, READ_ONLY, frozenset({Right.OVERSEE})]),
        some.none() | some.sampled_from(sorted(town.by_id)),
        some.none() | some.sampled_from(sorted(town.crew_ids)),
        some.booleans(),
        some.just(Narrowing()) | within,
    )
    return some.lists(post, max_size=4).map(tuple)


def standings(town: MunicipalityView) -> some.SearchStrategy[list[Standing]]:
    kinds = sorted(town.category_ids)
    one = some.builds(
        lambda department, crew, kind, zones: Standing(
            department, crew, kind, town.category_ids[kind].group.slug, zones
        ),
        some.sampled_from(sorted(town.by_id)),
        some.none() | some.sampled_from(sorted(town.crew_ids)),
        some.sampled_from(kinds),
        some.lists(some.sampled_from(sorted(town.zones)), max_size=4, unique=True),
    )
    return some.lists(one, min_size=1, max_size=30)


def listed(connection: psycopg.Connection[Any], sight: Sight, reports: list[Standing]) -> set[int]:
    """Which of these reports the clause lets through, by their place."""
    clause, values = sight.clause()
    rows = [
        {
            "place": place,
            "department_id": one.department_id,
            "crew_id": one.crew_id,
            "category_id": one.category_id,
            "group_slug": one.group_slug,
            "zone_ids": list(one.zone_ids),
        }
        for place, one in enumerate(reports)
    ]
    found = connection.execute(
        "SELECT report.place FROM jsonb_to_recordset(%(rows)s::jsonb) AS report (place integer, department_id integer,"  # type: ignore[arg-type]
        " crew_id integer, category_id integer, group_slug text, zone_ids integer[])"
        f" WHERE {clause}",
        values | {"rows": orjson.dumps(rows).decode()},
    )
    return {row[0] for row in found}


def test_lists_hold_exactly_what_may_be_opened(database: str, town: MunicipalityView) -> None:
    with psycopg.connect(database) as connection:

        @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
        @given(some.data())
        def agree(data: some.DataObject) -> None:
            staff = Staff(1, "", "", "it", town.id, data.draw(posts(town)))
            reports = data.draw(standings(town))
            for right in Right:
                sight = staff.sight(right, town)
                opened = {place for place, one in enumerate(reports) if staff.may(right, one, town)}
                assert listed(connection, sight, reports) == opened
                assert opened <= {
                    place for place, one in enumerate(reports) if sight.has(one.department_id, one.crew_id)
                }
                if sight.is_whole:
                    assert len(opened) == len(reports)

        agree()


def whole(town: MunicipalityView, *given: Post) -> Staff:
    return Staff(1, "", "", "it", town.id, given)


@pytest.fixture
def standing(town: MunicipalityView) -> Callable[..., Standing]:
    def stand(**changed: Any) -> Standing:
        kind = town.categories[changed.pop("category", "lamp-out")]
        zones = [one.id for one in town.zones.values() if f"{one.layer}/{one.code}" in changed.get("zones", ())]
        department = town.departments[changed.get("department", "urp")].id
        return Standing(department, changed.get("crew"), kind.id, kind.group.slug, zones)

    return stand


def test_the_front_desk_covers_all_departments_and_a_crew_only_what_it_has(
    town: MunicipalityView, standing: Callable[..., Standing]
) -> None:
    green, crew = town.departments["green"], town.crews["green-1"]
    desk = whole(town, Post("clerk", CLERK, town.fallback.id))
    office = whole(town, Post("clerk", CLERK, green.id))
    outside = whole(town, Post("crew", READ_ONLY, green.id, crew.id, is_of_crew=True))
    theirs, others = standing(department="green"), standing(department="mobility")
    given = standing(department="green", crew=crew.id)
    assert [desk.may(Right.DESK, one, town) for one in (theirs, others)] == [True, True]
    assert [office.may(Right.DESK, one, town) for one in (theirs, others)] == [True, False]
    assert [outside.may(Right.READ, one, town) for one in (theirs, given)] == [False, True]


def test_a_zone_is_meant_by_its_layer_and_code_in_all_its_versions(
    town: MunicipalityView, standing: Callable[..., Standing]
) -> None:
    first, *_ = (one for one in town.zones.values() if one.layer == "padova-districts")
    key = f"{first.layer}/{first.code}"
    here = whole(town, Post("clerk", CLERK, within=Narrowing(zones=frozenset({key}))))
    assert here.may(Right.READ, standing(zones=[key]), town)
    assert not here.may(Right.READ, standing(), town)


def test_two_narrow_posts_do_not_make_a_wide_one(town: MunicipalityView, standing: Callable[..., Standing]) -> None:
    first, second = sorted({f"{one.layer}/{one.code}" for one in town.zones.values()})[:2]
    staff = whole(
        town,
        Post("clerk", CLERK, within=Narrowing(groups=frozenset({"green"}), zones=frozenset({first}))),
        Post("reader", READ_ONLY, within=Narrowing(groups=frozenset({"lighting"}), zones=frozenset({second}))),
    )
    assert not staff.may(Right.READ, standing(category="lamp-out", zones=[first]), town)
    assert staff.may(Right.READ, standing(category="lamp-out", zones=[second]), town)
    assert not staff.may(Right.DESK, standing(category="lamp-out", zones=[second]), town)


def test_every_right_needs_what_it_is_no_good_without() -> None:
    assert set(NEEDS) == set(Right) - {Right.READ, Right.OVERSEE, Right.ADMINISTER}
