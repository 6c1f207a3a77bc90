"""The shapes of child jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.base import Moment, Slug, Strict, Words
from city.reports.lifecycle import State


class ChildIn(Strict):
    """A part of the work. Department, crew and category are the parent's where nothing is said.

    `resolve_when_done`: whether the parent shall be solved with its last part; null leaves that as it is.
    """

    text: Words
    category: Slug | None = None
    department: Slug | None = None
    crew: Slug | None = None
    deadline_at: Annotated[Moment, Field(strict=False)] | None = None
    resolve_when_done: bool | None = None


class ChildOut(BaseModel):
    """A part of a report's work."""

    id: UUID
    number: str
    state: State
    is_open: bool
    category: str
    department: str
    crew: str | None
    text: str
    created_at: datetime
    deadline_at: datetime
