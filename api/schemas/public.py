"""Reports as everybody may see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
)

from api.schemas.base import Named, PlaceOut, PointOut
from api.schemas.search import Searched
from city.reports.lifecycle import State


class PublicTimelineEntry(BaseModel):
    """What everyone may know of what happened."""

    at: datetime
    what: str
    actor: Literal["citizen", "contractor", "outside", "staff", "system"]
    from_state: State | None
    to_state: State | None
    note: str | None


class PublicReport(BaseModel):
    """A report as everyone sees it."""

    number: str
    state: State
    is_open: bool
    place: PlaceOut
    municipality: str
    category: str
    group: str
    department: str
    handed_to: Named | None
    description: str | None
    people: int
    photos: list[UUID]
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    promised_at: datetime | None


class PublicReportWithTimeline(PublicReport):
    """A report as everyone sees it, with what happened."""

    timeline: list[PublicTimelineEntry]


class PublicPage(BaseModel):
    """A page of public reports; follow `next` as `cursor` until it is null."""

    reports: list[PublicReport]
    next: str | None
    searched: Searched | None = None
    """How `q` was understood; only where there is one."""


class PublicFeature(BaseModel):
    """A report as a GeoJSON Feature."""

    type: Literal["Feature"]
    id: str
    geometry: PointOut
    properties: dict[str, Any]


class PublicFeatures(BaseModel):
    """A page of public reports as a GeoJSON FeatureCollection."""

    type: Literal["FeatureCollection"]
    features: list[PublicFeature]
    next: str | None
    searched: Searched | None = None
    """How `q` was understood; only where there is one."""
