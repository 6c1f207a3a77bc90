"""The registry as a process holds it in memory: read once, kept until its version changes.

Intake asks the database for the version in its own transaction and reads the registry anew when it has moved on, so
an edited zone or rule counts at once in every process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from city.database import PROVINCE, ReadSession, Writing, provincial
from city.errors import InvalidInput, NotFound, OutsideTerritory
from city.registry.ladder import STANDARD_LADDER, Ladder, ladder_of
from city.registry.notice_view import Notices, notices_of
from city.registry.working_time import STANDARD_WEEK, Patron, Span, WorkingTime, week_of
from geo.meeting import meets
from geo.place import Place
from geo.zones import ZoneIndex, ZoneShape, area_of, box_around

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


_ONLY: Final = {"notice": "WHERE state = 'published'"}
"""Of which tables only some rows are held."""

_held: Registry | None = None
_loading = threading.Lock()


def held() -> Registry:
    """The registry this process holds; perhaps a version behind."""
    return _held or load()


def at_version(version: int) -> Registry:
    """The registry, at least at `version`."""
    registry = held()
    return registry if registry.version == version else load(version)


def fresh(session: ReadSession | Writing) -> Registry:
    """The registry as it is now."""
    row = session.raw.execute("SELECT version FROM registry_version").fetchone()
    assert row is not None
    return at_version(row[0])


def newest() -> Registry:
    """The registry as it is now, for those without a transaction."""
    with provincial() as session:
        return fresh(session)


def found(look: Callable[[Registry], Found]) -> Found:
    """What `look` finds in the registry; before it says that there is none, it looks in the newest.

    Raises what `look` raises.
    """
    registry = held()
    try:
        return look(registry)
    except (InvalidInput, NotFound):
        now = newest()
        if now is registry:
            raise
        return look(now)


def load(version: int | None = None) -> Registry:
    """Read the registry from the database, unless another thread has just read that `version`."""
    global _held  # noqa: PLW0603  (one registry a process is the point)
    with _loading:
        if version is not None and _held is not None and _held.version == version:
            return _held
        with provincial() as session:
            _held = _read(session)
        return _held


def forget() -> None:
    """Forget the registry: the database is another one now (tests, demo)."""
    global _held  # noqa: PLW0603
    _held = None


def _read(session: ReadSession) -> Registry:
    rows = _Rows(session)
    groups = {g["slug"]: _group(g) for g in rows.sorted_of("category_group", PROVINCE)}
    municipalities = {
        m["id"]: _municipality(rows, m, groups)
        for m in rows.table("municipality", order="id")
        if m["kind"] == "municipality" and m["is_active"]
    }
    shapes = [
        ZoneShape(m["id"], shapely.from_wkb(m["boundary"]))
        for m in rows.table("municipality", order="id")
        if m["id"] in municipalities and m["boundary"]
    ]
    return Registry(
        version=rows.version,
        municipalities=municipalities,
        slugs={m.slug: m for m in municipalities.values()},
        boundaries=ZoneIndex(shapes),
        groups=groups,
    )


class _Rows:
    """The registry's tables, each read once, in one snapshot of the database."""

    def __init__(self, session: ReadSession) -> None:
        self._connection = session.raw
        self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        row = self._connection.execute("SELECT version FROM registry_version").fetchone()
        assert row is not None
        self.version: int = row[0]
        self._tables: dict[str, list[dict[str, Any]]] = {}
        self._owned: dict[str, dict[int, list[dict[str, Any]]]] = {}

    def table(self, name: str, order: str = "id") -> list[dict[str, Any]]:
        if name not in self._tables:
            only = _ONLY.get(name, "")
            cursor = self._connection.execute(f"SELECT * FROM {name} {only} ORDER BY {order}")  # noqa: S608
            names = [column.name for column in cursor.description or ()]
            self._tables[name] = [dict(zip(names, row, strict=True)) for row in cursor]
        return self._tables[name]

    def of(self, name: str, municipality_id: int, order: str = "id") -> list[dict[str, Any]]:
        if name not in self._owned:
            owned = self._owned[name] = {}
            for row in self.table(name, order):
                owned.setdefault(row["municipality_id"], []).append(row)
        return self._owned[name].get(municipality_id, [])

    @cached_property
    def province(self) -> dict[str, Any]:
        """The province's own row."""
        return next(row for row in self.table("municipality") if row["id"] == PROVINCE)

    @cached_property
    def provincial_zones(self) -> dict[int, ZoneView]:
        """The zones of the province, which all municipalities share."""
        return self.zone_views(PROVINCE)

    @cached_property
    def _provincial_shapes(self) -> list[ZoneShape]:
        return self.zone_shapes(PROVINCE)

    @cached_property
    def _provincial_tree(self) -> shapely.STRtree:
        return shapely.STRtree([zone.shape for zone in self._provincial_shapes])

    def provincial_near(self, boundary: bytes | None) -> list[ZoneShape]:
        """The province's zones that reach into the box of a boundary: with many municipalities, few of many."""
        if boundary is None:
            return []
        most = max((zone.tolerance_metres for zone in self.provincial_zones.values()), default=0.0)
        near = self._provincial_tree.query(box_around(shapely.from_wkb(boundary), most))
        return [self._provincial_shapes[position] for position in sorted(near)]

    def zone_views(self, municipality_id: int) -> dict[int, ZoneView]:
        """The zones of one owner."""
        layers = {row["id"]: (row["slug"], row["tolerance_metres"]) for row in self.of("zone_layer", municipality_id)}
        return {
            z["id"]: ZoneView(z["id"], slug, z["code"], z["name"], z["valid_from"], z["valid_until"], tolerance)
            for z in self.of("zone", municipality_id)
            for slug, tolerance in [layers[z["layer_id"]]]
        }

    def zone_shapes(self, municipality_id: int) -> list[ZoneShape]:
        """The shapes of one owner's zones, roads widened to areas."""
        zones = self.of("zone", municipality_id)
        return [area_of(ZoneShape(z["id"], shapely.from_wkb(z["shape"]), z["half_width_metres"])) for z in zones]

    def sorted_of(self, name: str, municipality_id: int) -> list[dict[str, Any]]:
        return sorted(self.of(name, municipality_id), key=lambda row: row["position"])


def _group(row: dict[str, Any]) -> GroupView:
    return GroupView(row["slug"], Named(row["name_it"], row["name_en"]), row["icon"], row["colour"])


def _municipality(rows: _Rows, row: dict[str, Any], groups: dict[str, GroupView]) -> MunicipalityView:
    own = row["id"]
    departments = {
        d["slug"]: DepartmentView(d["id"], d["slug"], Named(d["name_it"], d["name_en"]), d["kind"])
        for d in rows.of("department", own)
    }
    by_id = {department.id: department for department in departments.values()}
    crews = {c["slug"]: CrewView(c["id"], c["slug"], c["name"], c["department_id"]) for c in rows.of("crew", own)}
    categories = _categories(rows, own, groups)
    zones = {**rows.provincial_zones, **rows.zone_views(own)}
    return MunicipalityView(
        id=own,
        slug=row["slug"],
        name=row["name"],
        prefix=row["prefix"],
        languages=tuple(row["languages"]),
        time_zone=ZoneInfo(row["time_zone"]),
        accepts_anonymous=row["accepts_anonymous"],
        email=row["email"],
        istat_code=row["istat_code"],
        has_addresses=row["has_addresses"],
        has_subscribers=row["has_subscribers"],
        has_app_io=row["has_app_io"],
        notices=notices_of(rows.of("notice", own)),
        heard=frozenset(row["heard"]),
        fallback=by_id[row["fallback_department_id"]],
        departments=departments,
        crews=crews,
        categories=categories,
        rules=tuple(
            _rule(rule, is_own=rule["municipality_id"] == own)
            for rule in rows.of("routing_rule", PROVINCE) + rows.of("routing_rule", own)
            if not rule["municipalities"] or row["slug"] in rule["municipalities"]
        ),
        zones=zones,
        index=ZoneIndex([*rows.provincial_near(row["boundary"]), *rows.zone_shapes(own)]),
        by_id=by_id,
        category_ids={category.id: category for category in categories.values()},
        crew_ids={crew.id: crew for crew in crews.values()},
        choices=frozenset(slug for slug, category in categories.items() if category.is_active),
        emergency_phrases=tuple(
            phrase
            for category in categories.values()
            for phrases in category.emergency_words.values()
            for phrase in phrases
        ),
        forgiving=forgiving(zones.values()),
        ladder=_ladder(row["ladder"], rows.province["ladder"]),
        working_time=_working_time(rows, row),
    )


def _ladder(own: list[dict[str, Any]] | None, provincial_: list[dict[str, Any]] | None) -> Ladder:
    kept = own if own is not None else provincial_
    return STANDARD_LADDER if kept is None else ladder_of(kept)


def _working_time(rows: _Rows, row: dict[str, Any]) -> WorkingTime:
    closing = rows.of("closing_day", PROVINCE, "day") + rows.of("closing_day", row["id"], "day")
    week = row["office_hours"] or rows.province["office_hours"]
    return WorkingTime(
        zone=ZoneInfo(row["time_zone"]),
        week=week_of(week) if week else STANDARD_WEEK,
        patron=Patron.of(row["patron_day"], row["patron_name"]) if row["patron_day"] else None,
        closing={one["day"]: one["name"] for one in closing},
    )


def forgiving(zones: Iterable[ZoneView]) -> dict[str, list[ZoneView]]:
    """The zones of the layers that have a tolerance, by layer."""
    found: dict[str, list[ZoneView]] = {}
    for zone in zones:
        if zone.tolerance_metres > 0:
            found.setdefault(zone.layer, []).append(zone)
    return found


def _categories(rows: _Rows, own: int, groups: dict[str, GroupView]) -> dict[str, CategoryView]:
    overrides = {override["slug"]: override for override in rows.of("category_override", own, "slug")}
    categories: dict[str, CategoryView] = {}
    for row in rows.sorted_of("category", PROVINCE) + rows.sorted_of("category", own):
        changed = {key: value for key, value in overrides.get(row["slug"], {}).items() if value is not None}
        seen = {**row, **changed}
        categories[row["slug"]] = CategoryView(
            id=row["id"],
            slug=row["slug"],
            group=groups[row["group_slug"]],
            name=Named(seen["name_it"], seen["name_en"]),
            privacy=seen["privacy"],
            deadline=Span(seen["deadline_amount"], seen["deadline_unit"]),
            questions=seen["questions"],
            emergency_words=seen["emergency_words"],
            is_active=seen["is_active"],
        )
    return categories


def _rule(row: dict[str, Any], *, is_own: bool) -> RuleView:
    note = Named(row["note_it"], row["note_en"] or row["note_it"]) if row["note_it"] else None
    return RuleView(
        id=row["id"],
        version=row["version"],
        is_own=is_own,
        category=row["category_slug"],
        group=row["group_slug"],
        layer=row["layer_slug"],
        zone=row["zone_code"],
        days=frozenset(row["days"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        department=row["department_slug"],
        crew=row["crew_slug"],
        priority=row["priority"],
        note=note,
    )
