"""Where the rules leave a report to nobody: no rule fits, a rule names what is not there, two rules tie.

What is asked of the rules here is asked of the whole ground and the whole week at once, not of single reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations, product

import shapely
from shapely.geometry.base import BaseGeometry

from city.registry.municipality import CategoryView, MunicipalityView, RuleView, ZoneView
from city.reports.routing import may_tie, minutes_of
from geo.faults import left_over, square_metres

WEEK_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Ground on which no rule speaks of a category: the default department gets what is reported there.

    `minutes` are those of a week in which it is so; `zones` those in force that lie on it at least by half.
    """

    category: CategoryView
    ground: BaseGeometry
    m2: float
    share: float
    minutes: int
    zones: tuple[ZoneView, ...]

    @property
    def is_always(self) -> bool:
        """Whether it is so at any time."""
        return self.minutes == WEEK_MINUTES

    @property
    def is_everywhere(self) -> bool:
        """Whether the whole municipality is meant."""
        return self.share > 0.999  # noqa: PLR2004  (all but rounding)


@dataclass(frozen=True, slots=True)
class Dangling:
    """A rule that names something that is not there: `what` (a department, a crew …) called `name`."""

    rule: RuleView
    what: str
    name: str


def uncovered(municipality: MunicipalityView, boundary: BaseGeometry, day: date) -> list[Uncovered]:
    """Per category the ground without a rule, the largest first; in the order of the categories."""
    grounds = _Grounds(municipality, boundary, day)
    found = []
    for category in municipality.categories.values():
        if category.is_active:
            rules = [rule for rule in municipality.rules if _speaks_of(rule, category)]
            found += [
                Uncovered(category, ground, m2, m2 / grounds.whole_m2, minutes, grounds.zones_on(ground))
                for ground, m2, minutes in grounds.without(rules)
            ]
    return found


def dangling(municipality: MunicipalityView, day: date) -> list[Dangling]:
    """What rules name in vain on `day`."""
    layers = {zone.layer for zone in municipality.zones.values() if zone.counts_on(day)}
    zones = {(zone.layer, zone.code) for zone in municipality.zones.values() if zone.counts_on(day)}
    groups = {category.group.slug for category in municipality.categories.values()}
    found = []
    for rule in municipality.rules:
        named = (
            ("department", rule.department, rule.department in municipality.departments),
            ("crew", rule.crew, rule.crew in municipality.crews),
            ("category", rule.category, rule.category in municipality.categories),
            ("group", rule.group, rule.group in groups),
            ("layer", rule.layer, rule.layer in layers),
            ("zone", rule.zone, rule.layer not in layers or (rule.layer, rule.zone) in zones),
        )
        found += [Dangling(rule, what, name) for what, name, is_there in named if name is not None and not is_there]
    return found


def ties(municipality: MunicipalityView, day: date) -> list[tuple[RuleView, RuleView]]:
    """Rules of which two could be the most specific for one report: such a report waits for a person."""
    keys: dict[tuple[str, str | None], list[int]] = {}
    for zone in municipality.zones.values():
        if zone.counts_on(day) and municipality.index.area(zone.id) is not None:
            keys.setdefault((zone.layer, None), []).append(zone.id)
            keys.setdefault((zone.layer, zone.code), []).append(zone.id)

    def meet(one: RuleView, other: RuleView) -> bool:
        if one.layer is None or other.layer is None or (one.layer, one.zone) == (other.layer, other.zone):
            return True
        pairs = product(keys.get((one.layer, one.zone), ()), keys.get((other.layer, other.zone), ()))
        return any(mine == its or municipality.index.overlap(mine, its) for mine, its in pairs)

    return [
        (one, other)
        for one, other in combinations(municipality.rules, 2)
        if may_tie(one, other, zones_overlap=True) and meet(one, other)
    ]


def _speaks_of(rule: RuleView, category: CategoryView) -> bool:
    return rule.category in {None, category.slug} and rule.group in {None, category.group.slug}


class _Grounds:
    """The ground of a municipality less what rules speak of; the same rules are not asked twice."""

    def __init__(self, municipality: MunicipalityView, boundary: BaseGeometry, day: date) -> None:
        self.boundary = boundary
        self.whole_m2 = max(square_metres(boundary), 1.0)
        self._zones: list[tuple[ZoneView, BaseGeometry]] = [
            (zone, area)
            for zone in municipality.zones.values()
            if zone.counts_on(day) and (area := municipality.index.area(zone.id)) is not None
        ]
        self._left: dict[frozenset[tuple[str | None, str | None]], tuple[BaseGeometry, float]] = {}

    def without(self, rules: Sequence[RuleView]) -> list[tuple[BaseGeometry, float, int]]:
        """Ground, m² and minutes of the week without any of the rules, the largest first."""
        minutes: Counter[frozenset[tuple[str | None, str | None]]] = Counter()
        for where, count in _where_and_how_long(rules).items():
            if (None, None) not in where:
                minutes[where] += count
        found = [(*self._left_by(where), count) for where, count in minutes.items()]
        return sorted((one for one in found if one[1] > 0), key=lambda one: -one[1])

    def zones_on(self, ground: BaseGeometry) -> tuple[ZoneView, ...]:
        """The zones that lie on the ground at least by half."""
        return tuple(
            zone
            for zone, area in self._zones
            if shapely.intersects(area, ground)
            and shapely.area(shapely.intersection(area, ground)) >= shapely.area(area) / 2
        )

    def _left_by(self, where: frozenset[tuple[str | None, str | None]]) -> tuple[BaseGeometry, float]:
        if where not in self._left:
            taken = [area for zone, area in self._zones if {(zone.layer, None), (zone.layer, zone.code)} & where]
            ground = left_over(self.boundary, taken)
            self._left[where] = ground, square_metres(ground)
        return self._left[where]


def _where_and_how_long(rules: Iterable[RuleView]) -> Counter[frozenset[tuple[str | None, str | None]]]:
    """For how many minutes of the week which places are spoken of: (layer, zone), None for any."""
    always = frozenset((rule.layer, rule.zone) for rule in rules if not rule.days and rule.starts_at is None)
    timed = [((rule.layer, rule.zone), minutes_of(rule)) for rule in rules if rule.days or rule.starts_at is not None]
    if not timed:
        return Counter({always: WEEK_MINUTES})
    return Counter(always | {where for where, minutes in timed if minute in minutes} for minute in range(WEEK_MINUTES))
