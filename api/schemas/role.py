"""Shapes of roles and of appointments to them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.base import Named, NamedIn, Slug, Strict
from city.registry.staff.rights import Narrowing, Right

RoleSlug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
ZoneKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}/[^/\x00]{1,100}$")]
MOST_NAMED: Final = 100
RIGHTS: Final = (
    "read: reports; contact: see who reported; field: say and do what crews do; desk: do what offices do; share: tell"
    " somebody outside who reported; oversee: hear of what runs late, and see who has looked at contact data;"
    " administer: people, roles, categories, rules and zones"
)


class RolePut(Strict):
    """A role: its names, and what it lets somebody do."""

    name: NamedIn
    rights: Annotated[
        list[Annotated[Right, Field(strict=False)]], Field(min_length=1, max_length=len(Right), description=RIGHTS)
    ]
    of_crew: bool = False
    """Whether an appointment to it names a crew, and covers only what that crew has."""


class RoleListed(BaseModel):
    """A role that somebody can be appointed to."""

    slug: str
    name: Named
    rights: list[Right]
    of_crew: bool
    is_built_in: bool
    """It came with the program, and stays."""
    is_inherited: bool
    """It is the province's."""


class Within(Strict):
    """To which reports an appointment is narrowed; what is empty narrows nothing."""

    groups: Annotated[list[Slug], Field(default_factory=list, max_length=MOST_NAMED)]
    categories: Annotated[list[Slug], Field(default_factory=list, max_length=MOST_NAMED)]
    """Reports of these categories or of these `groups`."""
    zones: Annotated[list[ZoneKey], Field(default_factory=list, max_length=MOST_NAMED)]
    """Reports in one of these zones, as `layer/code`."""

    @property
    def narrowing(self) -> Narrowing:
        """The same as the city says it."""
        return Narrowing.of(self.groups, self.categories, self.zones)


class AppointmentIn(Within):
    """A role for somebody: for everything, or for one department or crew, or only for some categories and zones."""

    role: RoleSlug
    department: Slug | None = None
    crew: Slug | None = None


class AppointmentListed(BaseModel):
    """One role of somebody, for everything or for one department or crew, or only for some categories and zones."""

    id: int
    role: str
    department: str | None
    crew: str | None
    groups: list[str]
    categories: list[str]
    zones: list[str]
    is_from_provider: bool
    """Given by a group of a provider of identities: it lasts as long as they are in it."""
