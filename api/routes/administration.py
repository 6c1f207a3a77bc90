"""The administrator's errand: departments, crews, categories, rules and zones of a municipality or of the province.

What is changed here counts from the very next report, in every process.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response
from sqlalchemy import select

from api.access import Signed, administering
from api.schemas.administration import (
    CategoryPut,
    CrewPut,
    DepartmentListed,
    DepartmentPut,
    OverridePut,
    RuleListed,
    RulePut,
    ZoneListed,
)
from api.schemas.base import Named, Slug
from city.database import PROVINCE
from city.errors import Conflict, NotFound
from city.registry import taxonomy, territory, view
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
from city.reports.rules import save_rule

router = APIRouter(prefix="/api/v1/registry/{owner}", tags=["administration"])

LAST_POSITION: Final = 1_000
"""New categories are listed behind the others."""

RuleId = Annotated[int, Path(ge=1, lt=2**31)]


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
        taxonomy.put_override(
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
        taxonomy.put_category(
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
