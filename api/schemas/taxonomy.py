"""Categories as they are listed."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    Field,
)

from api.schemas.base import MunicipalityOut, Named, Strict
from api.schemas.receipt import QuestionOut
from city.registry.working_time import CALENDAR_DAYS, Unit


class DeadlineSpan(Strict):
    """How much time there is to solve something: days count from the day after and end at midnight; working hours are
    office hours, to the minute.
    """

    amount: Annotated[int, Field(ge=1, le=3650)]
    unit: Unit = CALENDAR_DAYS


class CategoryListed(BaseModel):
    """A category one may choose."""

    slug: str
    group: str
    name: Named
    is_public: bool
    deadline: DeadlineSpan
    questions: list[QuestionOut]


class GroupListed(BaseModel):
    """A group of categories."""

    slug: str
    name: Named
    icon: str
    colour: str


class CategoriesOut(BaseModel):
    """The categories of a municipality."""

    municipality: MunicipalityOut
    accepts_anonymous: bool
    groups: list[GroupListed]
    categories: list[CategoryListed]
