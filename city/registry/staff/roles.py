"""Roles, names for rights: the province's are inherited by all, and a municipality may add its own.

Wherever somebody could administer before, somebody still can afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, exists, func, select

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.registry.sign_in.provider_tables import ProviderPost
from city.registry.staff.rights import NEEDS, Narrowing, Right, Staff
from city.registry.staff.role_tables import Role
from city.registry.tables import Appointment, Category, CategoryGroup, Person, Zone, ZoneLayer

ADMINISTRATORS: Final = 20_529
"""One half of the key of the advisory locks; the other is the municipality. Administrators leave one at a time."""


@dataclass(frozen=True, slots=True)
class RoleFields:
    """A role to put."""

    slug: str
    name_it: str
    name_en: str
    rights: Collection[Right]
    is_of_crew: bool = False


def known(session: ReadSession, home_id: int) -> list[Role]:
    """The roles there are for a municipality: the province's, then its own."""
    return list(
        session.scalars(
            select(Role)
            .where(Role.municipality_id.in_((PROVINCE, home_id)))
            .order_by(Role.municipality_id, Role.is_built_in.desc(), Role.slug)
        )
    )


def role(session: ReadSession, home_id: int, slug: str) -> Role:
    """The role of this name. Raises InvalidInput (field `role`)."""
    there = known(session, home_id)
    found = next((one for one in reversed(there) if one.slug == slug), None)
    if found is None:
        names = ", ".join(one.slug for one in there)
        raise InvalidInput("people.unknown_role", field="role", value=slug, known=names)
    return found


def put(session: WriteSession, by: Staff | None, home_id: int, fields: RoleFields) -> Role:
    """Make a role, or change one's own; `by` None is the program itself.

    Raises InvalidInput for rights that are no good alone; Conflict for a name that is another's, for administration
    within some categories or zones, or for a change that would leave a municipality without anybody to administer it.
    """
    for right in fields.rights:
        needed = NEEDS.get(right)
        if needed is not None and needed not in fields.rights:
            raise InvalidInput("roles.right_needs", field="rights", right=right.value, needed=needed.value)
    row = session.get(Role, (home_id, fields.slug))
    if row is None:
        _check_free(session, home_id, fields.slug)
        row = Role(municipality_id=home_id, slug=fields.slug, is_of_crew=fields.is_of_crew)
        session.add(row)
    elif row.is_of_crew != fields.is_of_crew:
        raise Conflict("roles.of_crew_stays", field="of_crew", role=row.slug)
    elif row.is_built_in and Right.ADMINISTER.value in row.rights and Right.ADMINISTER not in fields.rights:
        raise Conflict("roles.must_administer", field="rights", role=row.slug)
    row.name_it, row.name_en = fields.name_it, fields.name_en
    row.rights = [right.value for right in Right if right in fields.rights]
    check_administrable(session, by, home_id)
    if Right.ADMINISTER in fields.rights and _is_narrowed(session, row):
        raise Conflict("roles.whole_only", field="rights", role=row.slug)
    return row


def drop(session: WriteSession, home_id: int, slug: str) -> None:
    """Forget a role. Raises NotFound; Conflict where it came with the program, or some people or groups have it."""
    row = session.get(Role, (home_id, slug))
    if row is None:
        raise NotFound("roles.not_found", value=slug)
    if row.is_built_in:
        raise Conflict("roles.built_in", role=slug)
    for table, why in ((Appointment, "roles.in_use"), (ProviderPost, "roles.in_use_by_groups")):
        number = session.scalar(select(func.count()).where(*_to(table, row)))
        if number:
            raise Conflict(why, role=slug, number=number)
    session.delete(row)
    session.flush()


def check_administrable(session: WriteSession, by: Staff | None, home_id: int) -> None:
    """To be asked after whatever may have taken an administrator away. Raises Conflict where nobody is left.

    The province may leave a municipality without one: it can always appoint another.
    """
    session.flush()
    if by is not None and by.home_id == home_id and not is_administrable(session, home_id):
        raise Conflict("roles.last_administrator")


def is_administrable(session: WriteSession, home_id: int) -> bool:
    """Whether anybody is left to administer; until the transaction ends, no other administrator leaves."""
    session.raw.execute("SELECT pg_advisory_xact_lock(%s, %s)", (ADMINISTRATORS, home_id))
    left = (
        exists()
        .where(Appointment.municipality_id == home_id, Role.rights.contains([Right.ADMINISTER.value]))
        .where(Role.municipality_id == Appointment.role_owner_id, Role.slug == Appointment.role)
        .where(Person.municipality_id == home_id, Person.id == Appointment.person_id, Person.is_active)
    )
    return bool(session.scalar(select(left)))


def check_narrowing(session: ReadSession, home_id: int, role: Role, within: Narrowing) -> None:
    """Raises InvalidInput for categories and zones that are not there, and where a role cannot be narrowed."""
    if within and Right.ADMINISTER.value in role.rights:
        raise InvalidInput("roles.whole_only", field="role", role=role.slug)
    _check_there(within.groups, session.scalars(select(CategoryGroup.slug)).all(), "groups")
    owners = (PROVINCE, home_id)
    kinds = session.scalars(select(Category.slug).where(Category.municipality_id.in_(owners))).all()
    _check_there(within.categories, kinds, "categories")
    if within.zones:
        zones = session.execute(
            select(ZoneLayer.slug, Zone.code)
            .join(Zone, (Zone.municipality_id == ZoneLayer.municipality_id) & (Zone.layer_id == ZoneLayer.id))
            .where(Zone.municipality_id.in_(owners))
            .distinct()
        )
        _check_there(within.zones, [f"{layer}/{code}" for layer, code in zones], "zones")


def _to(table: type[Appointment | ProviderPost], role: Role) -> tuple[ColumnElement[bool], ...]:
    return table.role_owner_id == role.municipality_id, table.role == role.slug


def _is_narrowed(session: ReadSession, role: Role) -> bool:
    """Whether anybody has it, or is given it by a group, for some categories or zones only."""
    return any(
        session.scalar(
            select(
                exists().where(*_to(table, role), func.cardinality(table.groups + table.categories + table.zones) > 0)
            )
        )
        for table in (Appointment, ProviderPost)
    )


def _check_there(wanted: Collection[str], there: Sequence[str], field: str) -> None:
    missing = sorted(set(wanted) - set(there))
    if missing:
        raise InvalidInput(f"roles.unknown_{field}", field=field, value=", ".join(missing))


def _check_free(session: ReadSession, home_id: int, slug: str) -> None:
    """Raises Conflict where the name would mean one thing here and another there."""
    elsewhere = Role.municipality_id == PROVINCE if home_id != PROVINCE else Role.municipality_id != PROVINCE
    if session.scalar(select(exists().where(Role.slug == slug, elsewhere))):
        raise Conflict("roles.name_taken", field="slug", role=slug)
