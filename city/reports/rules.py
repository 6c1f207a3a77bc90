"""Saving routing rules: what a rule names must exist, and two rules that could tie are refused when saved.

A tie found here is an error message; found later it would be a report on the wrong desk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import product
from typing import Any, Final

from geoalchemy2.shape import to_shape
from sqlalchemy import select

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.registry.municipality import Named, RuleView
from city.registry.tables import Category, CategoryGroup, Crew, Department, Municipality, RoutingRule, Zone, ZoneLayer
from city.registry.territory import home
from city.reports.routing import may_tie
from geo.zones import ZoneIndex, ZoneShape


@dataclass(frozen=True, slots=True)
class RuleFields:
    """What a rule says; see `city.reports.routing` for which one wins.

    `days` are ISO week days (1 is Monday), times are the municipality's wall clock. `municipalities` is for rules of
    the province: who inherits it (empty: all).
    """

    department: str
    category: str | None = None
    group: str | None = None
    layer: str | None = None
    zone: str | None = None
    days: Sequence[int] = ()
    starts_at: time | None = None
    ends_at: time | None = None
    crew: str | None = None
    priority: int = 0
    municipalities: Sequence[str] = ()
    note_it: str | None = None
    note_en: str | None = None

    def condition(self) -> dict[str, Any]:
        """When the rule counts, as columns: two rules of an owner with the same condition are the same rule."""
        return {
            "municipalities": sorted(self.municipalities),
            "category_slug": self.category,
            "group_slug": self.group,
            "layer_slug": self.layer,
            "zone_code": self.zone,
            "days": sorted(set(self.days)),
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "priority": self.priority,
        }

    def consequence(self) -> dict[str, Any]:
        """What follows, as columns."""
        return {
            "department_slug": self.department,
            "crew_slug": self.crew,
            "note_it": self.note_it,
            "note_en": self.note_en,
        }


def save_rule(session: WriteSession, owner: str, fields: RuleFields, *, rule_id: int | None = None) -> RoutingRule:
    """Make a rule of `owner` (a municipality's slug, or the province's), or change the rule `rule_id`.

    Raises InvalidInput naming the field, NotFound; Conflict naming the rule it could tie with.
    """
    return RuleBook(session, owner).save(fields, rule_id=rule_id)


class RuleBook:
    """The rules of one owner with all they may name, read once: for saving many in one transaction."""

    def __init__(self, session: WriteSession, owner: str) -> None:
        self._session = session
        self.owner = home(session, owner)
        self.rules: list[RoutingRule] = list(
            session.scalars(
                select(RoutingRule).where(RoutingRule.municipality_id == self.owner.id).order_by(RoutingRule.id)
            )
        )
        self._scope = {PROVINCE, self.owner.id}
        self._categories = self._slugs(Category)
        self._groups = self._slugs(CategoryGroup)
        self._zones = _zones(session, self._scope)
        self._layers = self._slugs(ZoneLayer)
        self._departments = _by_municipality(session, Department)
        self._crews = _by_municipality(session, Crew)
        heirs = select(Municipality.slug, Municipality.id).where(Municipality.kind == "municipality")
        self._municipalities: dict[str, int] = {row.slug: row.id for row in session.execute(heirs)}
        self._index: ZoneIndex | None = None

    def save(self, fields: RuleFields, *, rule_id: int | None = None, replace: bool = False) -> RoutingRule:
        """Save one rule. With `replace`, a rule under the same condition is changed instead of tied with.

        Raises InvalidInput naming the field, NotFound; Conflict naming the rule it could tie with.
        """
        known = self._known(fields, rule_id, replace=replace)
        values = {**fields.condition(), **fields.consequence()}
        if known is not None and all(getattr(known, name) == value for name, value in values.items()):
            return known
        self._check(fields)
        self._refuse_ties(fields, known)
        if known is None:
            known = RoutingRule(municipality_id=self.owner.id, **values)
            self._session.add(known)
            self.rules.append(known)
        else:
            for name, value in values.items():
                setattr(known, name, value)
            known.version += 1
        self._session.flush()
        return known

    def _known(self, fields: RuleFields, rule_id: int | None, *, replace: bool) -> RoutingRule | None:
        if rule_id is not None:
            known = next((rule for rule in self.rules if rule.id == rule_id), None)
            if known is None:
                raise NotFound("rules.not_found", value=rule_id)
            return known
        condition, consequence = fields.condition(), fields.consequence()
        for rule in self.rules:
            same = all(getattr(rule, name) == value for name, value in condition.items())
            if same and (replace or all(getattr(rule, name) == value for name, value in consequence.items())):
                return rule
        return None

    def _check(self, fields: RuleFields) -> None:
        """Every name a rule says must be known. Raises InvalidInput."""
        if fields.category and fields.group:
            raise InvalidInput("rules.one_subject", field="group")
        _known_in("category", fields.category, self._categories)
        _known_in("group", fields.group, self._groups)
        _known_in("layer", fields.layer, self._layers)
        self._check_zone(fields)
        _check_window(fields)
        if self.owner.id != PROVINCE and fields.municipalities:
            raise InvalidInput("rules.not_provincial", field="municipalities")
        for slug in fields.municipalities:
            _known_in("municipalities", slug, self._municipalities)
        heirs = self._heirs(fields)
        for slug, key in heirs.items():
            if fields.department not in self._departments.get(key, {}):
                raise InvalidInput(
                    "rules.no_department", field="department", value=fields.department, municipality=slug
                )
            if fields.crew is not None and fields.crew not in self._crews.get(key, {}):
                raise InvalidInput("rules.no_crew", field="crew", value=fields.crew, municipality=slug)

    def _check_zone(self, fields: RuleFields) -> None:
        if fields.zone is None:
            return
        if fields.layer is None:
            raise InvalidInput("rules.zone_without_layer", field="zone", value=fields.zone)
        codes = {zone.code for zone in self._zones.get(fields.layer, [])}
        _known_in("zone", fields.zone, codes)

    def _heirs(self, fields: RuleFields) -> dict[str, int]:
        """The municipalities in which the rule will count: slug → id."""
        if self.owner.id != PROVINCE:
            return {self.owner.slug: self.owner.id}
        if not fields.municipalities:
            return self._municipalities
        return {slug: self._municipalities[slug] for slug in fields.municipalities}

    def _refuse_ties(self, fields: RuleFields, known: RoutingRule | None) -> None:
        mine = as_view(fields, known.id if known else 0)
        for rule in self.rules:
            if rule is known or not _share_heirs(fields.municipalities, rule.municipalities):
                continue
            other = _view_of_row(rule)
            # Comparing shapes is the dear part, and hardly ever needed.
            if may_tie(mine, other, zones_overlap=True) and self._overlap(mine, other):
                raise Conflict(
                    "rules.tie", rule=rule.id, department=rule.department_slug, note=rule.note_it or rule.note_en or "-"
                )

    def _overlap(self, one: RuleView, other: RuleView) -> bool:
        """Whether some place could be in the zones of both."""
        if one.layer is None or other.layer is None or (one.layer, one.zone) == (other.layer, other.zone):
            return True
        index = self._shapes()
        return any(index.overlap(mine, its) for mine, its in product(self._keys(one), self._keys(other)))

    def _keys(self, rule: RuleView) -> list[int]:
        return [zone.id for zone in self._zones.get(rule.layer or "", []) if rule.zone in (None, zone.code)]

    def _shapes(self) -> ZoneIndex:
        if self._index is None:
            self._index = ZoneIndex(
                ZoneShape(zone.id, to_shape(zone.shape), zone.half_width_metres)
                for zones in self._zones.values()
                for zone in zones
            )
        return self._index

    def _slugs(self, table: type[Category | CategoryGroup | ZoneLayer]) -> set[str]:
        return set(self._session.scalars(select(table.slug).where(table.municipality_id.in_(self._scope))))


def missing_departments(session: ReadSession, municipality: Municipality) -> list[str]:
    """Departments named by the province's rules that this municipality lacks: its reports would wait for a person."""
    own = set(session.scalars(select(Department.slug).where(Department.municipality_id == municipality.id)))
    rules = session.execute(
        select(RoutingRule.department_slug, RoutingRule.municipalities).where(RoutingRule.municipality_id == PROVINCE)
    )
    return sorted({slug for slug, heirs in rules if slug not in own and (not heirs or municipality.slug in heirs)})


def _by_municipality(session: ReadSession, table: type[Department | Crew]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for key, slug in session.execute(select(table.municipality_id, table.slug)):
        found.setdefault(key, set()).add(slug)
    return found


def _zones(session: ReadSession, scope: Iterable[int]) -> dict[str, list[Zone]]:
    """The zones of these owners that are in force or will be, by the slug of their layer."""
    found: dict[str, list[Zone]] = {}
    today = datetime.now(UTC).date()
    rows = session.execute(
        select(ZoneLayer.slug, Zone)
        .join(Zone, (Zone.municipality_id == ZoneLayer.municipality_id) & (Zone.layer_id == ZoneLayer.id))
        .where(ZoneLayer.municipality_id.in_(scope), Zone.valid_until.is_(None) | (Zone.valid_until > today))
    )
    for slug, zone in rows:
        found.setdefault(slug, []).append(zone)
    return found


MOST_NAMED: Final = 12


def _known_in(field: str, value: str | None, known: Iterable[str]) -> None:
    names = sorted(known)
    if value is not None and value not in names:
        listed = ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
        raise InvalidInput("rules.unknown", field=field, what=field, value=value, known=listed or "-")


def _check_window(fields: RuleFields) -> None:
    if (fields.starts_at is None) != (fields.ends_at is None) or (
        fields.starts_at is not None and fields.starts_at == fields.ends_at
    ):
        raise InvalidInput("rules.window", field="starts_at")
    wrong = [day for day in fields.days if not 1 <= day <= 7]  # noqa: PLR2004  (a week has seven days)
    if wrong:
        raise InvalidInput("rules.days", field="days", value=wrong[0])


def _share_heirs(one: Sequence[str], other: Sequence[str]) -> bool:
    return not one or not other or not set(one).isdisjoint(other)


def as_view(fields: RuleFields, key: int, *, is_own: bool = True) -> RuleView:
    """The rule as a process holds it, before it is kept."""
    return RuleView(
        id=key,
        version=1,
        is_own=is_own,
        category=fields.category,
        group=fields.group,
        layer=fields.layer,
        zone=fields.zone,
        days=frozenset(fields.days),
        starts_at=fields.starts_at,
        ends_at=fields.ends_at,
        department=fields.department,
        crew=fields.crew,
        priority=fields.priority,
        note=Named(fields.note_it, fields.note_en or fields.note_it) if fields.note_it else None,
    )


def _view_of_row(row: RoutingRule) -> RuleView:
    return RuleView(
        id=row.id,
        version=row.version,
        is_own=True,
        category=row.category_slug,
        group=row.group_slug,
        layer=row.layer_slug,
        zone=row.zone_code,
        days=frozenset(row.days),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        department=row.department_slug,
        crew=row.crew_slug,
        priority=row.priority,
        note=None,
    )
