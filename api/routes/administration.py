"""The administrator's errand: departments, crews, categories, rules and people of a municipality or of the province.

What is changed here counts from the very next report, in every process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import time
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy import select

from api.access import Signed
from api.schemas import DeadlineSpan, Line, Name, Named, NamedIn, Slug, Strict
from city.database import PROVINCE, WriteSession, provincial
from city.errors import Conflict, Forbidden, NotFound
from city.registry import territory, view
from city.registry.staff.people import Right, Staff
from city.registry.tables import (
    Category,
    Crew,
    Department,
    Municipality,
    RoutingRule,
    Zone,
    ZoneLayer,
)
from city.registry.territory import DepartmentFields
from city.registry.working_time import Span
from city.reports import journey
from city.reports.rules import RuleFields, save_rule

router = APIRouter(prefix="/api/v1/registry/{owner}", tags=["administration"])

LAST_POSITION: Final = 1_000
"""New categories are listed behind the others."""

Email = Annotated[Line, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


def _of_the_wall(moment: time) -> time:
    """`moment`, which is nobody's but the municipality's clock's."""
    if moment.tzinfo is not None:
        raise PydanticCustomError("wall_clock", "no zone")
    return moment


_WALL_CLOCK = WithJsonSchema(
    {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$", "examples": ["07:30"]}
)
"""JSON Schema's own `time` wants a zone."""
WallClock = Annotated[time, Field(strict=False), AfterValidator(_of_the_wall), _WALL_CLOCK]
RuleId = Annotated[int, Path(ge=1, lt=2**31)]


class DepartmentPut(Strict):
    """A department, as it should be."""

    name: NamedIn
    email: Email | None = None
    kind: Literal["office", "outside"] = "office"


class CrewPut(Strict):
    """A crew, as it should be."""

    name: Name
    department: Slug


class OverridePut(Strict):
    """What this municipality sees differently from the province; null: as the province has it."""

    name: NamedIn | None = None
    privacy: Literal["public", "coarse", "hidden"] | None = None
    deadline: DeadlineSpan | None = None
    is_active: bool | None = None


class ChoicePut(Strict):
    """One possible answer."""

    value: Slug
    it: Name
    en: Name


class QuestionPut(Strict):
    """A question of a category; without choices it is answered in one's own words."""

    key: Slug
    it: Name
    en: Name
    choices: Annotated[list[ChoicePut], Field(max_length=30)] = Field(default_factory=list)


class EmergencyWords(Strict):
    """Phrases that bring up 112, in each language."""

    it: Annotated[list[Name], Field(max_length=50)] = Field(default_factory=list)
    en: Annotated[list[Name], Field(max_length=50)] = Field(default_factory=list)


class CategoryPut(Strict):
    """A category, as it should be: one's own, or (of the province) one that all inherit."""

    group: Slug
    name: NamedIn
    deadline: DeadlineSpan
    privacy: Literal["public", "coarse", "hidden"] = "public"
    questions: Annotated[list[QuestionPut], Field(max_length=20)] = Field(default_factory=list)
    emergency_words: EmergencyWords = Field(default_factory=EmergencyWords)


class RulePut(Strict):
    """A routing rule: what, where and when → who."""

    department: Slug
    category: Slug | None = None
    group: Slug | None = None
    layer: Slug | None = None
    zone: Annotated[Line, StringConstraints(max_length=63)] | None = None
    days: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Field(max_length=7)] = Field(default_factory=list)
    starts_at: WallClock | None = None
    ends_at: WallClock | None = None
    crew: Slug | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    municipalities: Annotated[list[Slug], Field(max_length=500)] = Field(default_factory=list)
    note: NamedIn | None = None

    def fields(self) -> RuleFields:
        """As the registry takes it."""
        return RuleFields(
            department=self.department,
            category=self.category,
            group=self.group,
            layer=self.layer,
            zone=self.zone,
            days=self.days,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            crew=self.crew,
            priority=self.priority,
            municipalities=self.municipalities,
            note_it=self.note.it if self.note else None,
            note_en=self.note.en if self.note else None,
        )


class DepartmentListed(BaseModel):
    """A department."""

    slug: str
    name: Named
    email: str | None
    kind: str
    is_fallback: bool
    crews: list[str]


class RuleListed(BaseModel):
    """A routing rule."""

    id: int
    version: int
    is_inherited: bool
    department: str
    category: str | None
    group: str | None
    layer: str | None
    zone: str | None
    days: list[int]
    starts_at: Annotated[time, _WALL_CLOCK] | None
    ends_at: Annotated[time, _WALL_CLOCK] | None
    crew: str | None
    priority: int
    municipalities: list[str]
    note: Named | None


class ZoneListed(BaseModel):
    """A zone, without its shape (that is on the zone tiles)."""

    layer: str
    code: str
    name: str
    half_width_metres: float | None
    valid_from: str
    valid_until: str | None


@contextmanager
def administering(staff: Staff, owner: str) -> Iterator[tuple[WriteSession, Municipality]]:
    """One transaction on the registry of `owner`, for its administrators only."""
    staff.needs(Right.ADMINISTER)
    with provincial() as session:
        home = territory.home(session, owner)
        allowed = staff.works_in(home.id) if home.id != PROVINCE else staff.home_id == PROVINCE
        if not allowed:
            raise Forbidden("people.not_here", municipality=home.name)
        yield session, home


@router.get("/departments")
def list_departments(owner: Slug, staff: Signed) -> list[DepartmentListed]:
    """The departments and their crews."""
    with administering(staff, owner) as (session, home):
        crews = session.execute(
            select(Crew.department_id, Crew.slug).where(Crew.municipality_id == home.id).order_by(Crew.slug)
        ).all()
        found = session.scalars(
            select(Department).where(Department.municipality_id == home.id).order_by(Department.slug)
        )
        return [
            DepartmentListed(
                slug=one.slug,
                name=Named(it=one.name_it, en=one.name_en),
                email=one.email,
                kind=one.kind,
                is_fallback=one.id == home.fallback_department_id,
                crews=[slug for department_id, slug in crews if department_id == one.id],
            )
            for one in found
        ]


@router.put("/departments/{slug}", status_code=204)
def put_department(owner: Slug, slug: Slug, body: DepartmentPut, staff: Signed) -> None:
    """Make or change a department."""
    with administering(staff, owner) as (session, home):
        territory.put_department(
            session,
            home.id,
            DepartmentFields(slug, body.name.it, body.name.en, email=body.email, kind=body.kind),
        )


@router.put("/crews/{slug}", status_code=204)
def put_crew(owner: Slug, slug: Slug, body: CrewPut, staff: Signed) -> None:
    """Make or change a crew."""
    with administering(staff, owner) as (session, home):
        department = session.scalar(
            select(Department).where(Department.municipality_id == home.id, Department.slug == body.department)
        )
        if department is None:
            raise NotFound("registry.no_department", field="department", value=body.department)
        territory.put_crew(session, department, slug, body.name)


@router.put("/categories/{slug}", status_code=204)
def put_override(owner: Slug, slug: Slug, body: OverridePut, staff: Signed) -> None:
    """Say what this municipality sees differently; reports of the category become public or hidden with it."""
    with administering(staff, owner) as (session, home):
        before = view.fresh(session).municipality(home.slug).categories.get(slug)
        if before is None:
            raise NotFound("registry.no_category", field="slug", value=slug)
        territory.put_override(
            session,
            home.id,
            slug,
            name_it=body.name.it if body.name else None,
            name_en=body.name.en if body.name else None,
            privacy=body.privacy,
            deadline=Span(body.deadline.amount, body.deadline.unit) if body.deadline else None,
            is_active=body.is_active,
        )
        journey.after_privacy_change(session, home.id, slug)


@router.put("/definitions/{slug}", status_code=204)
def put_category(owner: Slug, slug: Slug, body: CategoryPut, staff: Signed) -> None:
    """Make or change a category of one's own; the province's count for every municipality.

    The classifier proposes it once staff have chosen it often enough and `./lampione train` has run.
    """
    with administering(staff, owner) as (session, home):
        known = session.scalars(
            select(Category).where(Category.slug == slug, Category.municipality_id.in_({PROVINCE, home.id}))
        ).first()
        if known is not None and known.municipality_id != home.id:
            raise Conflict("registry.category_inherited", field="slug", value=slug)
        if known is not None and known.group_slug != body.group:
            raise Conflict("registry.category_keeps_group", field="group", value=known.group_slug)
        territory.put_category(
            session,
            slug,
            group=body.group,
            name_it=body.name.it,
            name_en=body.name.en,
            deadline=Span(body.deadline.amount, body.deadline.unit),
            privacy=body.privacy,
            questions=[question.model_dump() for question in body.questions],
            emergency_words=body.emergency_words.model_dump(),
            position=known.position if known else LAST_POSITION,
            municipality_id=home.id,
        )
        for municipality_id in territory.heirs(session, home):
            journey.after_privacy_change(session, municipality_id, slug)


@router.get("/rules")
def list_rules(owner: Slug, staff: Signed) -> list[RuleListed]:
    """The rules, own and inherited."""
    with administering(staff, owner) as (session, home):
        found = session.scalars(
            select(RoutingRule)
            .where(RoutingRule.municipality_id.in_({PROVINCE, home.id}))
            .order_by(RoutingRule.municipality_id, RoutingRule.id)
        )
        return [
            _rule(rule, home)
            for rule in found
            if not rule.municipalities or home.id == PROVINCE or home.slug in rule.municipalities
        ]


@router.post("/rules", status_code=201)
def add_rule(owner: Slug, body: RulePut, staff: Signed) -> RuleListed:
    """Add a rule. One that could tie with another is refused."""
    with administering(staff, owner) as (session, home):
        return _rule(save_rule(session, owner, body.fields()), home)


@router.put("/rules/{rule_id}")
def change_rule(owner: Slug, rule_id: RuleId, body: RulePut, staff: Signed) -> RuleListed:
    """Change a rule; its version goes up."""
    with administering(staff, owner) as (session, home):
        return _rule(save_rule(session, owner, body.fields(), rule_id=rule_id), home)


@router.delete("/rules/{rule_id}", status_code=204)
def remove_rule(owner: Slug, rule_id: RuleId, staff: Signed) -> Response:
    """Remove a rule; reports keep the reason they were routed by."""
    with administering(staff, owner) as (session, home):
        rule = session.get(RoutingRule, (home.id, rule_id))
        if rule is None:
            raise NotFound("rules.not_found", value=rule_id)
        session.delete(rule)
    return Response(status_code=204)


@router.get("/zones")
def list_zones(owner: Slug, staff: Signed) -> list[ZoneListed]:
    """The zones of all layers, own and inherited. Import them with `./lampione import zones`."""
    with administering(staff, owner) as (session, home):
        found = session.execute(
            select(ZoneLayer.slug, Zone.code, Zone.name, Zone.half_width_metres, Zone.valid_from, Zone.valid_until)
            .join(Zone, (Zone.municipality_id == ZoneLayer.municipality_id) & (Zone.layer_id == ZoneLayer.id))
            .where(ZoneLayer.municipality_id.in_({PROVINCE, home.id}))
            .order_by(ZoneLayer.slug, Zone.code)
        )
        return [
            ZoneListed(
                layer=layer,
                code=code,
                name=name,
                half_width_metres=half_width,
                valid_from=valid_from.isoformat(),
                valid_until=valid_until.isoformat() if valid_until else None,
            )
            for layer, code, name, half_width, valid_from, valid_until in found
        ]


def _rule(rule: RoutingRule, home: Municipality) -> RuleListed:
    shown: dict[str, Any] = {
        "id": rule.id,
        "version": rule.version,
        "is_inherited": rule.municipality_id != home.id,
        "department": rule.department_slug,
        "category": rule.category_slug,
        "group": rule.group_slug,
        "layer": rule.layer_slug,
        "zone": rule.zone_code,
        "days": rule.days,
        "starts_at": rule.starts_at,
        "ends_at": rule.ends_at,
        "crew": rule.crew_slug,
        "priority": rule.priority,
        "municipalities": rule.municipalities,
        "note": Named(it=rule.note_it, en=rule.note_en or rule.note_it) if rule.note_it else None,
    }
    return RuleListed(**shown)
