"""Reading the registry: rows of the database become what is held in memory."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import shapely

from city.database import PROVINCE, ReadSession
from city.registry.ladder import STANDARD_LADDER, Ladder, ladder_of
from city.registry.municipality import (
    CategoryView,
    CrewView,
    DepartmentView,
    GroupView,
    MunicipalityView,
    Named,
    Registry,
    RuleView,
    ZoneView,
)
from city.registry.notice_view import notices_of
from city.registry.working_time import STANDARD_WEEK, Patron, Span, WorkingTime, week_of
from geo.zones import ZoneIndex, ZoneShape, area_of, box_around

_ONLY: Final = {"notice": "WHERE state = 'published'"}
"""Of which tables only some rows are held."""


def read(session: ReadSession) -> Registry:
    """The whole registry, of one moment."""
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
