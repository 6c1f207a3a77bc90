"""The administrator's errand with roles: which there are, and what each lets somebody do."""

from __future__ import annotations

from fastapi import APIRouter

from api.access import Signed, administering
from api.schemas.base import Named, Slug
from api.schemas.role import RoleListed, RolePut, RoleSlug
from city.registry.staff import roles
from city.registry.staff.rights import Right
from city.registry.staff.role_tables import Role
from city.registry.staff.roles import RoleFields

router = APIRouter(prefix="/api/v1/registry/{owner}/roles", tags=["administration"])


@router.get("")
def list_roles(owner: Slug, staff: Signed) -> list[RoleListed]:
    """The roles there are: the province's, then the municipality's own."""
    with administering(staff, owner) as (session, home):
        return [_listed(one, home.id) for one in roles.known(session, home.id)]


@router.put("/{slug}")
def put_role(owner: Slug, slug: RoleSlug, body: RolePut, staff: Signed) -> RoleListed:
    """Make a role of one's own, or change it; it counts from the next request of everybody appointed to it."""
    fields = RoleFields(slug, body.name.it, body.name.en, frozenset(body.rights), is_of_crew=body.of_crew)
    with administering(staff, owner) as (session, home):
        return _listed(roles.put(session, staff, home.id, fields), home.id)


@router.delete("/{slug}", status_code=204)
def drop_role(owner: Slug, slug: RoleSlug, staff: Signed) -> None:
    """Take away a role of one's own that nobody is appointed to."""
    with administering(staff, owner) as (session, home):
        roles.drop(session, home.id, slug)


def _listed(role: Role, home_id: int) -> RoleListed:
    return RoleListed(
        slug=role.slug,
        name=Named(it=role.name_it, en=role.name_en),
        rights=[Right(right) for right in role.rights],
        of_crew=role.is_of_crew,
        is_built_in=role.is_built_in,
        is_inherited=role.municipality_id != home_id,
    )
