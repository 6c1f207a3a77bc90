"""Shapes of looks at contact data."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class LookedAt(BaseModel):
    """The report whose reporter was shown."""

    id: UUID
    number: str


class LookOut(BaseModel):
    """Somebody of the staff was shown who reported; what follows within ten minutes is the same look."""

    at: datetime
    why: str
    """`opened`, `changed` (the answer to a change shows the report too) or `list`."""
    report: LookedAt
    person_id: int
    person: str | None
    """Their name; null where the province employs them."""
    of_province: bool


class LooksOut(BaseModel):
    """The looks at one report, newest first."""

    looks: list[LookOut]


class LooksPage(LooksOut):
    """Looks, newest first."""

    next: str | None
    """Where the next page begins."""
