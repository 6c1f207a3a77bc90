"""The shapes of figures that go out: what `/api/v1/insight` promises."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas import Named, PlaceOut

Reason = Literal["few", "none", "not_reached"]


class PeriodOut(BaseModel):
    """First and last day, both included."""

    from_: Annotated[date, Field(alias="from")]
    to: date


class Told(BaseModel):
    """What every answer says of itself."""

    municipality: str | None
    """None: all of them."""
    audience: Literal["public", "staff"]
    period: PeriodOut
    least: Annotated[int, Field(description="Fewer reports than these are not told to the public")]


class GroupOut(BaseModel):
    """A category group."""

    slug: str
    name: Named
    colour: str


class MonthRow(BaseModel):
    """A month and a group; None where there are one to four reports and anybody asks."""

    month: Annotated[str, Field(examples=["2026-03"])]
    group: str
    received: int | None
    open: int | None
    solved: int | None


class Months(Told):
    """Reports by month of receipt and category group."""

    groups: list[GroupOut]
    rows: list[MonthRow]


class Figures(BaseModel):
    """Figures of one period; where one is None, `reasons` says why."""

    received: int | None
    open: int | None
    solved: int | None
    answer_median_hours: Annotated[
        float | None, Field(description="Half of the reports had a first answer within; those still waiting count")
    ]
    answer_p90_hours: float | None
    solve_median_hours: float | None
    solve_p90_hours: float | None
    late_share: Annotated[
        float | None, Field(description="Of those solved or past their deadline, the share that was late; 0 to 1")
    ]
    reasons: dict[str, Reason]


class FigureRow(Figures):
    """A zone, department, category or group; key None: in no zone of the layer."""

    key: str | None
    name: Named | None
    before: Figures


class FigureTable(Told):
    """Figures side by side, and those of the period before."""

    by: Literal["zone", "department", "category", "group"]
    layer: str | None
    period_before: PeriodOut
    rows: list[FigureRow]


class PlaceAgain(BaseModel):
    """A place where the same trouble came again after it was solved."""

    place: PlaceOut
    category: str
    group: str
    reports: Annotated[int, Field(description="All reports of the chain, also from before the period")]
    times: Annotated[int, Field(description="How often it came again within the period")]
    first_at: datetime
    last_at: datetime
    is_open: Annotated[bool, Field(description="Whether the latest is not solved yet")]
    numbers: list[str]


class Recurrence(Told):
    """What came again."""

    metres: int
    days: int
    received: int | None
    again: int | None
    share: float | None
    reason: Reason | None
    places: list[PlaceAgain]


class PolygonOut(BaseModel):
    """A GeoJSON Polygon."""

    type: Literal["Polygon"]
    coordinates: list[list[list[float]]]


class HotspotOut(BaseModel):
    """A square that stands out."""

    type: Literal["Feature"]
    geometry: PolygonOut
    properties: Annotated[
        dict[str, Any], Field(description="group, kind (hot, cold), count, observed, expected, z (Gi*), q")
    ]


class Hotspots(BaseModel):
    """Hot spots of the last twelve months as a GeoJSON FeatureCollection."""

    type: Literal["FeatureCollection"]
    computed_at: datetime | None
    from_: Annotated[datetime | None, Field(alias="from")]
    cell_metres: float | None
    false_discovery_rate: float
    least: int
    features: list[HotspotOut]
