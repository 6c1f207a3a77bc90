"""What a process knows of municipalities: their departments, zones, categories and rules, and all of them together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from city.errors import InvalidInput, NotFound, OutsideTerritory
from city.registry.ladder import STANDARD_LADDER, Ladder
from city.registry.notice_view import Notices
from city.registry.working_time import Span, WorkingTime
from geo.meeting import meets
from geo.place import Place
from geo.zones import ZoneIndex

POLE: Final = 90
Found = TypeVar("Found")
Degrees = NDArray[np.float64]

LAST_RESORT: Final = "other"
"""The category of what nobody has sorted yet; every taxonomy has it."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name in the two languages."""

    it: str
    en: str

    def __call__(self, language: str) -> str:
        """The name in `language`; Italian where it is another one."""
        return self.en if language == "en" else self.it


@dataclass(frozen=True, slots=True)
class DepartmentView:
    """A department."""

    id: int
    slug: str
    name: Named
    kind: str


@dataclass(frozen=True, slots=True)
class CrewView:
    """A crew."""

    id: int
    slug: str
    name: str
    department_id: int


@dataclass(frozen=True, slots=True)
class GroupView:
    """The upper level of categories."""

    slug: str
    name: Named
    icon: str
    colour: str


@dataclass(frozen=True, slots=True)
class CategoryView:
    """A category as one municipality sees it, overrides applied."""

    id: int
    slug: str
    group: GroupView
    name: Named
    privacy: str
    """`public`; `coarse`: on the map, but only as one of a cell's number; `hidden`."""
    deadline: Span
    questions: list[dict[str, Any]]
    emergency_words: dict[str, list[str]]
    is_active: bool

    @property
    def is_public(self) -> bool:
        """Whether everyone may see its reports one by one."""
        return self.privacy == "public"

    @property
    def is_coarse(self) -> bool:
        """Whether everyone may see how many of them there are in a cell, and no more."""
        return self.privacy == "coarse"


@dataclass(frozen=True, slots=True)
class ZoneView:
    """A zone, without its shape."""

    id: int
    layer: str
    code: str
    name: str
    valid_from: date
    valid_until: date | None
    tolerance_metres: float = 0.0
    """A place this near counts as inside, where no zone of the layer holds it."""

    @property
    def path(self) -> str:
        """`layer/code`, which outlives a new version of the layer."""
        return f"{self.layer}/{self.code}"

    def counts_on(self, day: date) -> bool:
        """Whether the zone is in force that day."""
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)


@dataclass(frozen=True, slots=True)
class RuleView:
    """A routing rule."""

    id: int
    version: int
    is_own: bool
    category: str | None
    group: str | None
    layer: str | None
    zone: str | None
    days: frozenset[int]
    starts_at: time | None
    ends_at: time | None
    department: str
    crew: str | None
    priority: int
    note: Named | None


@dataclass(frozen=True, slots=True)
class MunicipalityView:
    """A municipality with all it works with."""

    id: int
    slug: str
    name: str
    prefix: str
    languages: tuple[str, ...]
    time_zone: ZoneInfo
    accepts_anonymous: bool
    email: str | None
    istat_code: str | None
    has_addresses: bool
    fallback: DepartmentView
    departments: dict[str, DepartmentView]
    crews: dict[str, CrewView]
    categories: dict[str, CategoryView]
    rules: tuple[RuleView, ...]
    zones: dict[int, ZoneView]
    index: ZoneIndex
    by_id: dict[int, DepartmentView] = field(repr=False)
    category_ids: dict[int, CategoryView] = field(repr=False)
    crew_ids: dict[int, CrewView] = field(repr=False)
    choices: frozenset[str] = field(repr=False)
    """The slugs a citizen may choose and the classifier may propose."""
    emergency_phrases: tuple[str, ...] = field(repr=False)
    """Words of all categories and languages that bring up 112."""
    forgiving: dict[str, list[ZoneView]] = field(default_factory=dict, repr=False)
    """The zones of the layers that have a tolerance, by layer."""
    has_subscribers: bool = False
    has_app_io: bool = False
    notices: Notices = field(default=Notices(), repr=False)
    """Those published."""
    heard: frozenset[str] = frozenset()
    """What any channel of the staff is told of."""
    ladder: Ladder = STANDARD_LADDER
    """Who is told of reports whose time runs out."""
    working_time: WorkingTime = field(default=WorkingTime(ZoneInfo("Europe/Rome")), repr=False)

    def category(self, slug: str) -> CategoryView:
        """The active category `slug`. Raises InvalidInput that names the field and what would be right."""
        category = self.categories.get(slug)
        if category is None or not category.is_active:
            raise InvalidInput("intake.unknown_category", field="category", value=slug, municipality=self.name)
        return category

    def department(self, slug: str) -> DepartmentView:
        """The department `slug`. Raises InvalidInput."""
        if slug not in self.departments:
            known = ", ".join(sorted(self.departments))
            raise InvalidInput("registry.unknown_department", field="department", value=slug, known=known)
        return self.departments[slug]

    def crew(self, slug: str) -> CrewView:
        """The crew `slug`. Raises InvalidInput."""
        if slug not in self.crews:
            known = ", ".join(sorted(self.crews)) or "-"
            raise InvalidInput("registry.unknown_crew", field="crew", value=slug, known=known)
        return self.crews[slug]

    def known_groups(self, wanted: Iterable[str] | None) -> list[str] | None:
        """These slugs of category groups, each once and sorted; None where there are none. Raises InvalidInput."""
        known = {category.group.slug for category in self.categories.values()}
        for slug in wanted or ():
            if slug not in known:
                names = ", ".join(sorted(known))
                raise InvalidInput("registry.unknown_group", field="groups", value=slug, known=names)
        return sorted(set(wanted or ())) or None

    def zones_named(self, path: str) -> list[ZoneView]:
        """The zones `layer/code` of all times, the one in force last at the end."""
        return sorted((zone for zone in self.zones.values() if zone.path == path), key=lambda zone: zone.valid_from)

    def zone_in_force(self, path: str, day: date) -> ZoneView | None:
        """The zone `layer/code` that counts on `day`, whose area is known; None: there is none."""
        counting = (zone for zone in self.zones_named(path) if zone.counts_on(day))
        return next((zone for zone in counting if self.index.area(zone.id) is not None), None)

    def zone_name(self, path: str) -> str:
        """What the zone `layer/code` is or was called last; the path itself where nobody knows."""
        found = self.zones_named(path)
        return found[-1].name if found else path

    def zones_met(self, area: BaseGeometry, day: date) -> list[ZoneView]:
        """The zones in force on `day` that share more than a border with `area`."""
        counting = [zone for zone in self.zones.values() if zone.counts_on(day)]
        return [zone for zone in counting if (own := self.index.area(zone.id)) is not None and meets(own, area)]

    def zones_at(self, place: Place, day: date) -> list[ZoneView]:
        """The zones in force on `day` that hold `place`; of a layer that forgives, else the nearest in its reach."""
        held = [zone for key in self.index.holding(place) if (zone := self.zones[key]).counts_on(day)]
        for layer, zones in self.forgiving.items():
            if all(zone.layer != layer for zone in held):
                reach = {zone.id: zone.tolerance_metres for zone in zones if zone.counts_on(day)}
                near = self.index.just_outside(place, reach)
                held += [] if near is None else [self.zones[near]]
        return held

    def today(self) -> date:
        """The day by the municipality's clock."""
        return self.local(datetime.now(UTC)).date()

    def local(self, moment: datetime) -> datetime:
        """The municipality's wall-clock time."""
        return moment.astimezone(self.time_zone)

    def month(self, moment: datetime) -> int:
        """The month of the municipality's calendar, as yyyymm."""
        local = self.local(moment)
        return local.year * 100 + local.month


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything, at one version."""

    version: int
    municipalities: dict[int, MunicipalityView]
    slugs: dict[str, MunicipalityView]
    boundaries: ZoneIndex
    groups: dict[str, GroupView]

    def municipality(self, slug: str) -> MunicipalityView:
        """The municipality `slug`. Raises NotFound."""
        if slug not in self.slugs:
            raise NotFound("registry.unknown_municipality", value=slug)
        return self.slugs[slug]

    def at(self, place: Place) -> MunicipalityView:
        """The municipality of `place`; on a shared border the first hosted one.

        Raises OutsideTerritory naming the nearest municipality, or that coordinates look swapped.
        """
        held = self.boundaries.holding(place)
        if held:
            return self.municipalities[held[0]]
        swapped = self.boundaries.holding(Place(place.lat, place.lon)) if abs(place.lon) <= POLE else []
        if swapped:
            raise InvalidInput("intake.swapped", field="place", municipality=self.municipalities[swapped[0]].name)
        nearest = self.boundaries.nearest(place)
        if nearest is None:
            raise OutsideTerritory("intake.no_municipality", field="place")
        near, metres = nearest
        raise OutsideTerritory(
            "intake.outside", field="place", nearest=self.municipalities[near].name, kilometres=f"{metres / 1000:.1f}"
        )

    def ids_at(self, lons: Degrees, lats: Degrees) -> NDArray[np.int64]:
        """For many places (degrees, shape (n,)) the municipality's id; -1 where `at` would raise."""
        found = np.full(len(lons), -1)
        places, positions = self.boundaries.lookup(lons, lats)
        first, begins = np.unique(places, return_index=True)
        found[first] = np.array(self.boundaries.keys, np.int64)[positions[begins]]
        return found
