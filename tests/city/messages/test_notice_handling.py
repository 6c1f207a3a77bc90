"""What may be public: nothing that is over before it appears, nothing urgent that nobody confirmed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from city.database import writing
from city.errors import Conflict, Forbidden, InvalidInput
from city.messages.notices import handling
from city.messages.notices.area import Area, DrawnPart, StreetPart, said
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import Notice
from city.registry.staff.people import Right, Staff
from city.registry.staff.rights import Narrowing, Post
from city.reports.changing import Desk
from tests.city.messages.test_notice_queue import STAFF, fields, tellings
from tests.stories.telling import COAST, INLAND
from tests.stories.test_notices import around

TOMORROW = timedelta(days=1)
CLERK = replace(STAFF, posts=(Post("clerk", frozenset(Right) - {Right.OVERSEE}),))


@pytest.fixture
def town(database: str) -> MunicipalityView:
    assert database
    return view.newest().slugs["pesaro"]


def written(town: MunicipalityView, staff: Staff = STAFF, **changed: Any) -> Notice:
    with writing(town.id) as session:
        return handling.write(Desk(session, town, staff), fields(**changed))


def published(town: MunicipalityView, *, confirm_urgent: bool = True, **changed: Any) -> Notice:
    notice = written(town, **changed)
    with writing(town.id) as session:
        return handling.publish(Desk(session, town, STAFF), notice.id, notice.version, confirm_urgent=confirm_urgent)


def altered(
    town: MunicipalityView, notice: Notice, *, confirm_urgent: bool = False, staff: Staff = STAFF, **changed: Any
) -> Notice:
    with writing(town.id) as session:
        desk = Desk(session, town, staff)
        said = fields(**changed)
        return handling.change(
            desk, notice.id, notice.version, said, tell=False, words=None, confirm_urgent=confirm_urgent
        )


def test_what_is_scheduled_becomes_urgent_only_when_that_is_confirmed(town: MunicipalityView) -> None:
    at = datetime.now(UTC) + TOMORROW
    planned = published(town, publish_at=at)
    with pytest.raises(InvalidInput) as refused:
        altered(town, planned, publish_at=at, is_urgent=True)
    assert refused.value.field == "confirm_urgent"
    with pytest.raises(Forbidden):
        altered(town, planned, publish_at=at, is_urgent=True, confirm_urgent=True, staff=CLERK)
    urgent = altered(town, planned, publish_at=at, is_urgent=True, confirm_urgent=True)
    assert (urgent.state, urgent.is_urgent) == ("scheduled", True)
    assert altered(town, urgent, publish_at=at, is_urgent=True).is_urgent, "who has said yes need not say it again"
    with pytest.raises(Conflict):
        altered(town, published(town), is_urgent=True, confirm_urgent=True)


@pytest.mark.parametrize("name", ["ends_at", "expires_at"])
def test_what_would_be_over_before_it_appears_is_neither_scheduled_nor_changed_to_that(
    town: MunicipalityView, name: str
) -> None:
    end = datetime.now(UTC) + TOMORROW
    late = end + timedelta(hours=1)
    with pytest.raises(InvalidInput) as refused:
        published(town, publish_at=late, **{name: end})
    assert refused.value.field == name
    planned = published(town, publish_at=end - timedelta(hours=1), **{name: end})
    with pytest.raises(InvalidInput) as refused:
        altered(town, planned, publish_at=late, **{name: end})
    assert refused.value.field == name


def test_what_is_to_wait_no_more_appears_at_once(town: MunicipalityView) -> None:
    planned = published(town, publish_at=datetime.now(UTC) + TOMORROW)
    assert tellings(town) == []
    assert altered(town, planned, publish_at=None).state == "published"
    assert len(tellings(town)) == 1


def test_a_moment_that_was_slept_through_is_not_made_up_for_when_all_is_over(town: MunicipalityView) -> None:
    now = datetime.now(UTC)
    planned = published(town, publish_at=now + TOMORROW, ends_at=now + 2 * TOMORROW)
    with writing(town.id) as session:
        handling.keep_time(session, town.id, planned.id, now + 3 * TOMORROW)
    with writing(town.id) as session:
        slept = session.get_one(Notice, (town.id, planned.id))
        assert (slept.state, slept.published_at) == ("ended", None)
    assert tellings(town) == []


SEA, HILLS = "pesaro-districts/centro-mare", Area(drawn=[DrawnPart(around(*INLAND))])


def within(**narrowing: frozenset[str]) -> Staff:
    return replace(STAFF, posts=(Post("clerk", frozenset(Right), within=Narrowing(**narrowing)),))


def test_whoever_works_on_some_zones_writes_of_what_lies_wholly_inside_them(town: MunicipalityView) -> None:
    there = within(zones=frozenset({SEA}))
    sea = Area(zones=[("pesaro-districts", "centro-mare")])
    mine = written(town, there, area=sea)
    inside = Area(drawn=[DrawnPart(around(COAST.lon, COAST.lat))])
    assert written(town, there, area=inside).where_it == "L'area segnata sulla mappa"
    for elsewhere in (Area(everywhere=True), HILLS, replace(sea, drawn=HILLS.drawn)):
        with pytest.raises(Forbidden) as refused:
            written(town, there, area=elsewhere)
        assert refused.value.field == "area"
        with pytest.raises(Forbidden):
            altered(town, mine, staff=there, area=elsewhere)
        others = written(town, area=elsewhere)
        with pytest.raises(Forbidden), writing(town.id) as session:
            handling.opened(Desk(session, town, there), others.id, others.version)
    assert altered(town, mine, staff=there, area=inside).version == 2
    long_ago = town.today() - 2 * TOMORROW
    then = replace(town, zones={key: replace(zone, valid_until=long_ago) for key, zone in town.zones.items()})
    with pytest.raises(Forbidden):
        written(then, there, area=inside)


def test_whoever_works_on_some_groups_writes_about_these(town: MunicipalityView) -> None:
    lamps = within(groups=frozenset({"lighting", "green"}))
    assert written(town, lamps, groups=["lighting"]).groups == ["lighting"]
    for groups in (None, ["lighting", "waste"]):
        with pytest.raises(Forbidden):
            written(town, lamps, groups=groups)
    with pytest.raises(Forbidden):
        written(town, within(categories=frozenset({"lamp-out"})), groups=["lighting"])


def test_a_notice_says_in_words_where_it_holds(town: MunicipalityView) -> None:
    assert written(town).where_en == "All of the municipality of Pesaro"
    streets = [
        StreetPart("via Uno"),
        StreetPart("via Due", 3, 9),
        StreetPart("via Tre", 5),
        StreetPart("via Quattro", last=7),
    ]
    area = Area(zones=[("pesaro-districts", "centro-mare")], streets=[*streets, StreetPart("via Cinque", 1, 1)])
    names = [
        town.zone_name(SEA),
        "via Uno",
        "via Due dal n. 3 al n. 9",
        "via Tre dal n. 5 in poi",
        "via Quattro fino al n. 7",
        "via Cinque n. 1",
    ]
    assert said(town, area, "it") == "; ".join(names)
    assert said(town, replace(area, streets=[], drawn=HILLS.drawn), "en") == (
        f"{town.zone_name(SEA)}; and the area marked on the map"
    )


def test_what_is_refused_takes_no_number(town: MunicipalityView) -> None:
    first = written(town)
    for wrong in ({"kind": "dragons"}, {"groups": ["dragons"]}, {"applies_to_reports": True}, {"title_it": None}):
        with pytest.raises(InvalidInput):
            written(town, **wrong)
    with pytest.raises(Forbidden):
        written(town, CLERK, is_urgent=True)
    numbers = [int(one.number.rpartition("-")[2]) for one in (first, written(town))]
    assert numbers[1] == numbers[0] + 1
