"""The shapes of figures that go out: what `/api/v1/insight` promises."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.base import Named, PlaceOut
from city.records.insight.lines import Across, By

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
    """Figures of the reports that came in a period, as they are now; where one is None, `reasons` says why."""

    received: int | None
    open: int | None
    solved: int | None
    confirmed: Annotated[int | None, Field(description="Solved, and the reporter said so too")]
    reopened: Annotated[int | None, Field(description="Came back after they were thought solved")]
    late: Annotated[int | None, Field(description="Solved after the deadline, or open past it")]
    late_open: Annotated[int | None, Field(description="Of the late ones those still open")]
    rated: Annotated[int | None, Field(description="The reporter said how it was dealt with, 1 to 5")]
    answer_median_hours: Annotated[
        float | None, Field(description="Half of the reports had a first answer within; those still waiting count")
    ]
    answer_p90_hours: float | None
    solve_median_hours: float | None
    solve_p90_hours: float | None
    late_share: Annotated[
        float | None, Field(description="Of those solved or past their deadline, the share that was late; 0 to 1")
    ]
    confirmed_share: Annotated[float | None, Field(description="Of those solved, the share confirmed")]
    reopened_share: Annotated[float | None, Field(description="Of those thought solved once, the share reopened")]
    satisfied_share: Annotated[float | None, Field(description="Of those rated, the share with 4 or 5")]
    reasons: dict[str, Reason]


class LineOut(BaseModel):
    """What a line of a table stands for."""

    key: str | None
    name: Named | None


class FigureRow(Figures):
    """A zone, department, category, group or month, or the total; key None: in no zone of the layer."""

    key: str | None
    name: Named | None
    across: Annotated[LineOut | None, Field(description="Where `across` is asked for: of the pair, what it crosses")]
    before: Figures


class FigureTable(Told):
    """Figures side by side, and those of the period before."""

    by: By
    across: Across | None
    layer: str | None
    period_before: PeriodOut
    rows: list[FigureRow]


class SatisfactionRow(LineOut):
    """How many have rated, how many gave each rating from 1 to 5, and the mean; null: not told, or too few."""

    rated: int | None
    ratings: Annotated[list[int | None], Field(min_length=5, max_length=5)]
    mean: float | None


class SatisfactionTable(Told):
    """How content reporters are, line by line."""

    by: By
    layer: str | None
    rows: list[SatisfactionRow]


class FlowRow(BaseModel):
    """A month: what came in, what was done; None for one to four, and for what would give them away."""

    month: Annotated[str, Field(examples=["2026-03"])]
    received: int | None
    solved: int | None
    reopened: int | None


class Flow(Told):
    """What came in and what was done, month by month."""

    rows: list[FlowRow]


class AgeingRow(BaseModel):
    """What lay open in a zone, department, category or group, or in all."""

    key: str | None
    name: Named | None
    open: int | None
    late: Annotated[int | None, Field(description="Past the deadline, as it is now, at that moment")]
    median_days: int | None
    p90_days: int | None
    oldest_days: int | None
    classes: Annotated[list[int | None], Field(description="How many in each of `classes` of the table")]


class AgeClass(BaseModel):
    """Ages in whole days, both included; `to` None: no end."""

    from_: Annotated[int, Field(alias="from")]
    to: int | None


class AgeingTable(BaseModel):
    """What lay open at the end of a day (of today: what lies open now), and for how long."""

    municipality: str | None
    audience: Literal["public", "staff"]
    day: date
    least: int
    by: By
    layer: str | None
    classes: list[AgeClass]
    rows: list[AgeingRow]


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
