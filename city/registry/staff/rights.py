"""What somebody may do, and with which reports.

A post is one appointment: a role's rights, for everything or for one department or crew, and perhaps narrowed to some
categories and zones. `Sight` says which reports posts cover; it is asked about one report (`Staff.may`) and says the
same as SQL for lists (`Sight.clause`), so that neither can know better than the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final, Protocol, Self

from city.database import PROVINCE
from city.errors import Forbidden
from city.registry.municipality import MunicipalityView


class Right(StrEnum):
    """What somebody may do with reports."""

    READ = "read"
    CONTACT = "contact"
    """To see who reported."""
    FIELD = "field"
    DESK = "desk"
    SHARE = "share"
    """To tell somebody outside who reported."""
    OVERSEE = "oversee"
    """To be written to as a head of what runs late, and to see who has looked at contact data."""
    ADMINISTER = "administer"


NEEDS: Final[Mapping[Right, Right]] = {
    Right.CONTACT: Right.READ,
    Right.FIELD: Right.READ,
    Right.DESK: Right.FIELD,
    Right.SHARE: Right.CONTACT,
}
"""What a right is no good without."""


class Matter(Protocol):
    """What decides whether somebody may do something with a report."""

    @property
    def department_id(self) -> int:
        """Who answers for it."""

    @property
    def crew_id(self) -> int | None:
        """Who goes out for it."""

    @property
    def category_id(self) -> int:
        """What it is about."""

    @property
    def group_slug(self) -> str:
        """The group of that category."""

    @property
    def zone_ids(self) -> Collection[int]:
        """The zones that held its place when it came in."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A report as far as rights go."""

    department_id: int
    crew_id: int | None
    category_id: int
    group_slug: str
    zone_ids: Collection[int]


STANDING: Final = tuple(field.name for field in fields(Standing))


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Reports of these groups or categories, in these zones; what is empty narrows nothing."""

    groups: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    """`layer/code`, which outlives a new version of the layer."""

    @classmethod
    def of(cls, groups: Iterable[str], categories: Iterable[str], zones: Iterable[str]) -> Self:
        """The same as rows and requests say it."""
        return cls(frozenset(groups), frozenset(categories), frozenset(zones))

    def __bool__(self) -> bool:
        """Whether it narrows anything."""
        return bool(self.groups or self.categories or self.zones)


EVERYTHING: Final = Narrowing()


@dataclass(frozen=True, slots=True)
class Post:
    """One appointment."""

    role: str
    rights: frozenset[Right]
    department_id: int | None = None
    crew_id: int | None = None
    is_of_crew: bool = False
    """Whether it covers only what its crew has, and no department."""
    within: Narrowing = EVERYTHING
    provider_id: int | None = None
    """The provider of identities whose groups gave it, if any: it counts in sign-ins there, and in no others."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Reports of these departments or crews, of these groups or categories, in these zones; None: of all."""

    departments: frozenset[int] | None = None
    crews: frozenset[int] = frozenset()
    groups: frozenset[str] | None = None
    categories: frozenset[int] | None = None
    zones: frozenset[int] | None = None

    @property
    def is_narrowed(self) -> bool:
        """Whether categories or zones bound it."""
        return self.groups is not None or self.zones is not None

    def has(self, department_id: int, crew_id: int | None) -> bool:
        """Whether it holds any report of that department or crew."""
        return self.departments is None or department_id in self.departments or crew_id in self.crews

    def holds(self, report: Matter) -> bool:
        """Whether it holds this report."""
        return (
            self.has(report.department_id, report.crew_id)
            and (
                self.groups is None
                or self.categories is None
                or report.group_slug in self.groups
                or report.category_id in self.categories
            )
            and (self.zones is None or not self.zones.isdisjoint(report.zone_ids))
        )

    def clause(self, name: str) -> tuple[str, dict[str, Any]]:
        """The same as a condition on `report`, its values named after `name`."""
        clauses: list[str] = []
        values: dict[str, Any] = {}
        if self.departments is not None:
            clauses.append(
                f"(report.department_id = ANY(%({name}_departments)s) OR report.crew_id = ANY(%({name}_crews)s))"
            )
            values |= {f"{name}_departments": sorted(self.departments), f"{name}_crews": sorted(self.crews)}
        if self.groups is not None and self.categories is not None:
            clauses.append(
                f"(report.group_slug = ANY(%({name}_groups)s) OR report.category_id = ANY(%({name}_categories)s))"
            )
            values |= {f"{name}_groups": sorted(self.groups), f"{name}_categories": sorted(self.categories)}
        if self.zones is not None:
            clauses.append(f"report.zone_ids && %({name}_zones)s::integer[]")
            values[f"{name}_zones"] = sorted(self.zones)
        return " AND ".join(clauses) or "true", values


@dataclass(frozen=True, slots=True)
class Sight:
    """Which reports of a municipality some posts cover."""

    municipality_id: int
    stretches: tuple[Stretch, ...] = (Stretch(),)

    @classmethod
    def of(cls, municipality: MunicipalityView, posts: Iterable[Post]) -> Self:
        """What they cover there.

        A post without department, or to the department that takes whatever no rule sends elsewhere (the front desk),
        covers all departments.
        """
        found: dict[Narrowing, Stretch] = {}
        for post in posts:
            stretch = found.get(post.within) or _within(municipality, post.within)
            if post.is_of_crew:
                crews = stretch.crews | ({post.crew_id} if post.crew_id is not None else set())
                found[post.within] = replace(stretch, crews=crews)
            elif post.department_id is None or post.department_id == municipality.fallback.id:
                found[post.within] = replace(stretch, departments=None)
            elif stretch.departments is not None:
                found[post.within] = replace(stretch, departments=stretch.departments | {post.department_id})
        return cls(municipality.id, tuple(found.values()))

    @property
    def is_whole(self) -> bool:
        """Whether they cover every report."""
        return any(stretch.departments is None and not stretch.is_narrowed for stretch in self.stretches)

    @property
    def is_narrowed(self) -> bool:
        """Whether categories or zones keep anything from them."""
        return not self.of_all_departments().is_whole

    def has(self, department_id: int, crew_id: int | None = None) -> bool:
        """Whether they cover any report of that department or crew."""
        return any(stretch.has(department_id, crew_id) for stretch in self.stretches)

    def holds(self, report: Matter) -> bool:
        """Whether they cover this report of the municipality."""
        return any(stretch.holds(report) for stretch in self.stretches)

    def clause(self, name: str = "sight") -> tuple[str, dict[str, Any]]:
        """The same as a condition on `report`, and its values, named after `name`."""
        if self.is_whole:
            return "true", {}
        said = [stretch.clause(f"{name}{number}") for number, stretch in enumerate(self.stretches)]
        values = {key: value for _, own in said for key, value in own.items()}
        return f"({' OR '.join(clause for clause, _ in said) or 'false'})", values

    def of_all_departments(self) -> Self:
        """The same, whichever department or crew has the report."""
        return replace(self, stretches=tuple(replace(one, departments=None) for one in self.stretches))


def _within(municipality: MunicipalityView, within: Narrowing) -> Stretch:
    """Nothing yet, of no department, within these categories and zones."""
    kinds, zones = municipality.categories, municipality.zones.values()
    has_kinds = bool(within.groups or within.categories)
    return Stretch(
        departments=frozenset(),
        groups=within.groups if has_kinds else None,
        categories=frozenset(kinds[slug].id for slug in within.categories if slug in kinds) if has_kinds else None,
        zones=frozenset(one.id for one in zones if one.path in within.zones) if within.zones else None,
    )


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody signed in."""

    person_id: int
    name: str
    email: str
    language: str
    home_id: int
    """The municipality that employs them; 0 is the province."""
    posts: tuple[Post, ...]

    @property
    def roles(self) -> list[str]:
        """The roles, each once."""
        return sorted({post.role for post in self.posts})

    @property
    def rights(self) -> list[str]:
        """What they may do with some reports at least."""
        return sorted({right.value for post in self.posts for right in post.rights})

    def works_in(self, municipality_id: int) -> bool:
        """Whether they may act in this municipality at all; whom the province employs, in all of them."""
        return self.home_id in (PROVINCE, municipality_id)

    def through(self, provider_id: int | None) -> Self:
        """The same in a sign-in at that provider (None: with a password): what the groups of others gave is not in it.

        Who leaves the office loses the account there, and must not keep its roles by a password kept here.
        """
        return replace(self, posts=tuple(post for post in self.posts if post.provider_id in (None, provider_id)))

    def posts_with(self, right: Right) -> list[Post]:
        """The appointments that carry `right`."""
        return [post for post in self.posts if right in post.rights]

    def needs(self, right: Right) -> None:
        """Raises Forbidden where no appointment carries `right`."""
        if not self.posts_with(right):
            raise Forbidden("people.not_allowed", right=right.value)

    def sight(self, right: Right, municipality: MunicipalityView) -> Sight:
        """The reports of a municipality with which they may do this."""
        return Sight.of(municipality, self.posts_with(right))

    def may(self, right: Right, report: Matter, municipality: MunicipalityView) -> bool:
        """Whether they may do this with a report of that municipality."""
        return self.sight(right, municipality).holds(report)
