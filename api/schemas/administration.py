"""What goes in and out when departments, crews, categories, rules and zones are administered."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.schemas.base import Line, Name, Named, NamedIn, Slug, Strict
from api.schemas.taxonomy import DeadlineSpan
from city.reports.rules import RuleFields

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
