"""Whoever's area meets a notice's is found, and nobody else: against comparing every shape, one by one."""

from __future__ import annotations

import math
from random import Random
from typing import Any, Final

import shapely
from geoalchemy2.shape import from_shape
from sqlalchemy import select

from city.database import reading, writing
from city.messages.notices import queue
from city.messages.notices.area import Area, DrawnPart, StreetPart, shape_of
from city.messages.notices.queue import _NEARBY, _values
from city.messages.subscriptions import subscribing
from city.messages.subscriptions.subscribing import Wish
from city.messages.subscriptions.tables import Subscription
from city.registry import view
from city.registry.addresses.tables import HouseNumber, Street
from city.registry.notice_tables import Notice
from geo.covers import circle
from geo.meeting import meets
from geo.nearby import extended_wkb
from geo.place import METRES_PER_DEGREE, WGS84, Place
from geo.zones import corridor

MIDDLE: Final = Place(12.9135, 43.9098)
EDGE_METRES: Final = 1.0
"""So near to the border either answer is right."""


def _notice(shape: Any, groups: list[str] | None = None) -> Notice:
    return Notice(shape=from_shape(shape, srid=WGS84), zones=[], groups=groups, is_everywhere=False)


def test_matching_equals_comparing_every_shape(database: str) -> None:
    assert database
    random = Random(815)
    municipality = view.newest().slugs["pesaro"]
    wishes: dict[int, tuple[Wish, Any]] = {}

    def somewhere() -> Place:
        return Place(MIDDLE.lon + random.uniform(-0.05, 0.05), MIDDLE.lat + random.uniform(-0.05, 0.05))

    def patch(size: float) -> Any:
        at = somewhere()
        corners = [(at.lon + random.uniform(-size, size), at.lat + random.uniform(-size, size)) for _ in range(5)]
        return shapely.convex_hull(shapely.MultiPoint(corners))

    asked: list[tuple[Wish, Any]] = []
    for number in range(120):
        group = random.choice([None, ["lighting"], ["roads"]])
        if number % 3:
            place, metres = somewhere(), 50 * 2 ** random.uniform(0, 7)
            asked.append((Wish(place=place, metres=metres, groups=group), circle(place, metres)))
        else:
            area = patch(0.02)
            asked.append((Wish(polygon=shapely.to_geojson(area), groups=group), area))
    district = next(zone for zone in municipality.zones.values() if zone.layer == "pesaro-districts")
    asked.append((Wish(zone=district.path), municipality.index.area(district.id)))
    asked.append((Wish(notices=False), shapely.box(0, 0, 90, 80)))
    with writing(municipality.id) as session:
        for number, (wish, area) in enumerate(asked):
            subscribing.ask(
                session, municipality, wish, address=f"n{number}@example.org", language="it", rhythm="at_once"
            )
            subscription_id = session.scalars(select(Subscription.id).order_by(Subscription.id.desc())).first()
            assert subscription_id is not None
            wishes[subscription_id] = (wish, area)
            subscribing.confirm(session, municipality.id, subscription_id)
    shapes = [patch(10 ** random.uniform(-4, -1.3)) for _ in range(25)]
    shapes += [corridor(shapely.LineString([somewhere(), somewhere()]), 20) for _ in range(15)]
    for shape in shapes:
        groups = random.choice([None, ["lighting"], ["lighting", "roads"]])
        notice = _notice(shapely.MultiPolygon([shape]), groups)
        with reading(municipality.id) as session:
            values = _values(municipality, notice, queue.NOBODY)
            rows = session.raw.execute(_NEARBY, values).fetchall()
        found = {one for row in rows for one in row[1]}
        for number, (wish, area) in wishes.items():
            is_wanted = wish.notices and not (groups and wish.groups and not set(groups) & set(wish.groups))
            answers = _right_answers(wish, area, shape) if is_wanted else {False}
            assert (number in found) in answers, (wish, groups)


def _right_answers(wish: Wish, area: Any, shape: Any) -> set[bool]:
    """Whether they meet; both answers where it is a matter of a metre."""
    if wish.zone is not None:
        return {meets(area, shape)}
    edge = EDGE_METRES + 0.003 * (wish.metres or 0)
    if _gap_metres(area, shape) > edge:
        return {False}
    return {True} if _depth_metres(area, shape) > edge else {True, False}


def _gap_metres(one: Any, other: Any) -> float:
    flat = [
        shapely.transform(shape, lambda degrees: degrees * (math.cos(math.radians(MIDDLE.lat)), 1.0))
        for shape in (one, other)
    ]
    return float(shapely.distance(*flat)) * METRES_PER_DEGREE


def _depth_metres(one: Any, other: Any) -> float:
    """How wide, at least, what both share is."""
    return math.sqrt(shapely.area(shapely.intersection(one, other))) * METRES_PER_DEGREE


def test_neighbouring_zones_only_touch() -> None:
    assert not meets(shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1))
    assert not meets(shapely.box(0, 0, 1, 1), shapely.box(0.9999, 0, 2, 1)), "borders are drawn twice"
    assert meets(shapely.box(0, 0, 1, 1), shapely.box(0.9, 0, 2, 1))
    assert meets(shapely.box(0, 0, 1, 1), shapely.box(0.5, 0.5, 0.5001, 0.5001)), "however small"


def test_a_street_is_its_line_or_some_of_its_numbers(database: str) -> None:
    assert database
    registry = view.newest()
    municipality = registry.slugs["pesaro"]
    line = shapely.MultiLineString([[(12.91, 43.91), (12.92, 43.91)]])
    with writing(municipality.id) as session:
        street = Street(
            municipality_id=municipality.id,
            reference="name:via delle prove",
            kind="Via",
            name="delle Prove",
            label="Via delle Prove",
            words="via delle prove",
            gram_count=1,
            shape=extended_wkb(line),
        )
        session.add(street)
        session.flush()
        for number in range(1, 11):
            house = {"number": number, "suffix": "", "written": str(number), "cell": 0}
            place = {"lon": 12.91 + number / 1000, "lat": 43.9101}
            session.add(HouseNumber(municipality_id=municipality.id, street_id=street.id, **house, **place))
        session.flush()
        whole = shape_of(session, registry, municipality, Area(streets=[StreetPart("via Delle prove")]))
        part = shape_of(session, registry, municipality, Area(streets=[StreetPart("Via delle Prove", 3, 5)]))
        drawn = Area(drawn=[DrawnPart({"type": "LineString", "coordinates": [[12.91, 43.91], [12.92, 43.91]]}, 40.0)])
        strip = shape_of(session, registry, municipality, drawn)
        session.rollback()
    assert shapely.area(shapely.symmetric_difference(whole, strip)) < 0.001 * shapely.area(strip)
    assert part.contains(shapely.Point(12.9141, 43.91))
    assert not part.intersects(shapely.Point(12.911, 43.91))
    assert not part.intersects(shapely.Point(12.9165, 43.91))
