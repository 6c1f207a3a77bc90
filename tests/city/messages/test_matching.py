"""Whoever asked for a place is found, and nobody else: against looking at every subscription, one by one."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from city.database import ReadSession, reading, writing
from city.messages.quiet import DAILY_AT, DUE_SQL
from city.messages.subscriptions import subscribing
from city.messages.subscriptions.matching import MATCH_SQL, values_of
from city.messages.subscriptions.subscribing import Wish
from city.messages.subscriptions.tables import Subscription
from city.registry import view
from city.registry.municipality import MunicipalityView
from geo.covers import circle
from geo.place import Place

MIDDLE: Final = Place(12.9135, 43.9098)
ROME: Final = ZoneInfo("Europe/Rome")


def test_matching_equals_asking_every_subscription(database: str) -> None:
    random = Random(4711)
    municipality = view.newest().slugs["pesaro"]
    groups = [None, ["lighting"], ["roads", "waste"]]
    wishes: dict[str, tuple[Wish, Any]] = {}
    for number in range(120):
        somewhere = Place(MIDDLE.lon + random.uniform(-0.05, 0.05), MIDDLE.lat + random.uniform(-0.05, 0.05))
        metres = 50 * 2 ** random.uniform(0, 7)
        group = random.choice(groups)
        if number % 3:
            wish = Wish(place=somewhere, metres=metres, groups=group)
            area = circle(somewhere, metres)
        else:
            corners = [
                (somewhere.lon + random.uniform(-0.02, 0.02), somewhere.lat + random.uniform(-0.02, 0.02))
                for _ in range(5)
            ]
            area = shapely.convex_hull(shapely.MultiPoint(corners))
            wish = Wish(polygon=shapely.to_geojson(area), groups=group)
        wishes[f"n{number}@example.org"] = (wish, area)
    wishes["all@example.org"] = (Wish(), shapely.box(-180, -85, 180, 85))
    wishes["notices@example.org"] = (Wish(reports=False), shapely.Point())
    with writing(municipality.id) as session:
        for address, (wish, _) in wishes.items():
            subscribing.ask(session, municipality, wish, address=address, language="it", rhythm="at_once")
        for subscription_id in session.scalars(select(Subscription.id)).all():
            subscribing.confirm(session, municipality.id, subscription_id)
    with psycopg.connect(database) as admin:
        names = dict(admin.execute("SELECT id, address FROM subscriber").fetchall())
    hits = 0
    for _ in range(150):
        place = Place(MIDDLE.lon + random.uniform(-0.06, 0.06), MIDDLE.lat + random.uniform(-0.06, 0.06))
        group_slug = random.choice(["lighting", "roads", "green"])
        with reading(municipality.id) as session:
            found = matching(session, municipality, place, group_slug)
        assert len({subscriber for subscriber, _ in found}) == len(found)
        expected = {
            address
            for address, (wish, area) in wishes.items()
            if _holds(wish, area, place) and (wish.groups is None or group_slug in wish.groups)
        }
        edge = {address for address, (wish, _) in wishes.items() if _is_on_edge(wish, place)}
        assert {names[subscriber] for subscriber, _ in found} - edge == expected - edge
        hits += len(expected)
    assert hits > 500
    with reading(view.newest().slugs["fano"].id) as session:
        assert matching(session, municipality, MIDDLE, "roads") == [], "rows of another tenant"


def matching(session: ReadSession, municipality: MunicipalityView, place: Place, group: str) -> list[Any]:
    return session.raw.execute(MATCH_SQL, values_of(municipality, place, datetime.now(UTC).date(), group)).fetchall()


def _holds(wish: Wish, area: Any, place: Place) -> bool:
    if wish.place is not None and wish.metres is not None:
        return place.distance_metres(wish.place) < wish.metres
    return bool(area.intersects(shapely.Point(place)))


def _is_on_edge(wish: Wish, place: Place) -> bool:
    """Within one per cent of a circle's border, where a plane and a sphere may differ."""
    if wish.place is None or wish.metres is None:
        return False
    return abs(place.distance_metres(wish.place) - wish.metres) <= 0.01 * wish.metres


def slow_due(at: datetime, rhythm: str, quiet: tuple[time, time] | None) -> datetime:
    """Minute by minute, the first moment at which it may be told."""
    moment = at
    while True:
        clock = moment.astimezone(ROME).time()
        is_quiet = quiet is not None and (
            quiet[0] <= clock < quiet[1] if quiet[0] <= quiet[1] else clock >= quiet[0] or clock < quiet[1]
        )
        opening = DAILY_AT if quiet is None else max(DAILY_AT, quiet[1])
        if rhythm == "at_once" and not is_quiet:
            return moment
        if rhythm == "daily" and moment > at and (clock.hour, clock.minute) == (opening.hour, opening.minute):
            return moment
        moment = (moment + timedelta(minutes=1)).replace(second=0, microsecond=0)


clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 30]))
quiet_hours = st.none() | st.tuples(clocks, clocks).filter(lambda pair: pair[0] != pair[1])
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.fixture(scope="module")
def asking(_database: str) -> Any:
    with psycopg.connect(_database) as connection:
        yield connection


@given(moments, st.sampled_from(["at_once", "daily"]), quiet_hours)
def test_when_somebody_may_be_told(asking: Any, at: datetime, rhythm: str, quiet: tuple[time, time] | None) -> None:
    due = DUE_SQL.format(who="who").replace("ELSE now()", "ELSE %(at)s::timestamptz")
    found = asking.execute(
        f"SELECT {due} FROM (SELECT %(rhythm)s AS rhythm, %(first)s::time AS quiet_from, %(last)s::time AS quiet_until)"
        " AS who, (SELECT %(at)s::timestamptz AT TIME ZONE %(zone)s AS at) AS local",
        {
            "at": at,
            "zone": "Europe/Rome",
            "daily": DAILY_AT,
            "rhythm": rhythm,
            "first": quiet[0] if quiet else None,
            "last": quiet[1] if quiet else None,
        },
    ).fetchone()[0]
    wanted = slow_due(at, rhythm, quiet)
    if any(_is_gap(moment) for moment in (found, wanted)):
        assert abs(found - wanted) <= timedelta(hours=1)
    else:
        assert found == wanted


def _is_gap(moment: datetime) -> bool:
    """The hours in which clocks are changed: a wall-clock time may then come twice or never."""
    local = moment.astimezone(ROME)
    return local.day >= 25 and local.month in {3, 10} and local.hour <= 3
