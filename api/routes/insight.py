"""The council's errand, and the press's: months, hot spots, what comes again, figures by zone, and maps for print.

Without a sign-in, only public reports count and small numbers are not told; whoever signs in with the right to read
reports sees all that they may read.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from api.figures import AgeingTable, FigureTable, Flow, Hotspots, Months, Recurrence
from api.problems import language_of
from api.routes.reports import GeoJson
from api.schemas.base import Slug
from api.viewing import AS_CSV, SAME, Language, Ready, Table, Tabled, Viewing, answer, tag_of, tagged
from city.database import ReadSession
from city.errors import InvalidInput
from city.records.insight import figures, hotspots, insight, recurrence
from city.records.insight.ageing import CLASSES, AgeingQuestion, ageing, day_of
from city.records.insight.figures import FIGURES, Figure, Question
from city.records.insight.insight import LEAST, Period, Scope, Sieve
from city.records.insight.lines import Across, By
from city.records.insight.recurrence import Again
from city.records.monthly import sheets
from city.records.monthly.sheets import LARGEST_WIDTH, SMALLEST_WIDTH, USUAL_WIDTH, Sheet, Subject
from city.reports.lifecycle import State

router = APIRouter(prefix="/api/v1/insight", tags=["insight"])

Day = Annotated[str | None, Query(max_length=10, description="YYYY-MM or YYYY-MM-DD, included", examples=["2026-01"])]
From = Annotated[str | None, Query(alias="from", max_length=10, description="YYYY-MM or YYYY-MM-DD, included")]


class _Sieve:
    """The filters that all figures share."""

    def __init__(
        self,
        group: Annotated[Slug | None, Query()] = None,
        category: Annotated[Slug | None, Query()] = None,
        department: Annotated[Slug | None, Query()] = None,
        state: Annotated[State | None, Query()] = None,
    ) -> None:
        self.chosen = Sieve(group, category, department, state)


Sieved = Annotated[_Sieve, Depends()]


@router.get("/months", response_model=Months, responses=SAME | AS_CSV)
def count_months(
    request: Request, viewer: Viewing, sieved: Sieved, table: Tabled, start: From = None, to: Day = None
) -> Response:
    """Reports by month and category group: received, and of these open and solved now."""
    scope = viewer.scope()
    period, sieve = Period.read(start, to, scope.zone, viewer.now), sieved.chosen

    def make(session: ReadSession, scope: Scope) -> Ready:
        rows = insight.months(session, scope, period, sieve)
        if table.is_wanted:
            return table.ready(list(rows[0]) if rows else [], ([*row.values()] for row in rows))
        groups = [
            {"slug": g.slug, "name": {"it": g.name.it, "en": g.name.en}, "colour": g.colour}
            for g in scope.groups.values()
        ]
        return _json(_told(scope, period) | {"groups": groups, "rows": rows})

    return answer(request, viewer, ("months", period, sieve, table.key), make)


@router.get("/flow", response_model=Flow, responses=SAME | AS_CSV)
def count_flow(
    request: Request, viewer: Viewing, sieved: Sieved, table: Tabled, start: From = None, to: Day = None
) -> Response:
    """What came in, what was solved and what was reopened, month by month: whether the pile grows."""
    scope = viewer.scope()
    period, sieve = Period.read(start, to, scope.zone, viewer.now), sieved.chosen

    def make(session: ReadSession, scope: Scope) -> Ready:
        rows = insight.flow(session, scope, period, sieve)
        if table.is_wanted:
            return table.ready(["month", *insight.FLOWS], ([*row.values()] for row in rows))
        return _json(_told(scope, period) | {"rows": rows})

    return answer(request, viewer, ("flow", period, sieve, table.key), make)


@router.get("/zones", response_model=FigureTable, responses=SAME | AS_CSV)
def compare_zones(
    request: Request,
    viewer: Viewing,
    sieved: Sieved,
    table: Tabled,
    by: Annotated[By, Query()] = "zone",
    across: Annotated[Across | None, Query(description="a row for each pair, such as zone and department")] = None,
    layer: Annotated[Slug | None, Query(description="the zone layer, for by=zone")] = None,
    start: From = None,
    to: Day = None,
) -> Response:
    """Figures by zone, department, category, group or month, beside those of the period before. Medians, never
    averages.
    """
    scope = viewer.scope()
    period, sieve = Period.read(start, to, scope.zone, viewer.now), sieved.chosen

    def make(session: ReadSession, scope: Scope) -> Ready:
        rows = figures.figures(session, scope, Question(by, layer, period, sieve, viewer.now, across))
        if table.is_wanted:
            return table.ready(*_figures_table(rows, table.language, is_crossed=across is not None))
        asked = {"by": by, "across": across, "layer": layer, "period_before": period.before().as_json()}
        return _json(_told(scope, period) | asked | {"rows": rows})

    return answer(request, viewer, ("zones", by, across, layer, period, sieve, table.key), make)


@router.get("/ageing", response_model=AgeingTable, responses=SAME | AS_CSV)
def show_ageing(
    request: Request,
    viewer: Viewing,
    sieved: Sieved,
    table: Tabled,
    by: Annotated[
        Literal["zone", "department", "category", "group", "total"], Query(description="what is told side by side")
    ] = "total",
    layer: Annotated[Slug | None, Query(description="the zone layer, for by=zone")] = None,
    at: Annotated[
        str | None,
        Query(max_length=10, description="YYYY-MM-DD or YYYY-MM, whose end is looked at; without: now"),
    ] = None,
) -> Response:
    """What lay open, and for how long already."""
    scope = viewer.scope()
    asked = AgeingQuestion(by, layer, day_of(scope, at, viewer.now), sieved.chosen, viewer.now)

    def make(session: ReadSession, scope: Scope) -> Ready:
        rows = ageing(session, scope, asked)
        if table.is_wanted:
            return table.ready(*_ageing_table(rows, table))
        starts = (0, *CLASSES)
        ends = (*(edge - 1 for edge in CLASSES), None)
        return _json(
            {
                "municipality": scope.municipality.slug if scope.municipality else None,
                "audience": "public" if scope.is_public else "staff",
                "day": asked.day.isoformat(),
                "least": LEAST,
                "by": by,
                "layer": layer,
                "classes": [{"from": first, "to": last} for first, last in zip(starts, ends, strict=True)],
                "rows": rows,
            }
        )

    key = ("ageing", by, layer, asked.day, sieved.chosen, table.key)
    return answer(request, viewer, key, make)


@router.get("/recurrence", response_model=Recurrence, responses=SAME)
def find_recurrence(
    request: Request,
    viewer: Viewing,
    sieved: Sieved,
    start: From = None,
    to: Day = None,
    metres: Annotated[int, Query(ge=5, le=200, description="how near is the same place")] = recurrence.USUAL_METRES,
    days: Annotated[int, Query(ge=1, le=365, description="how soon after it was solved")] = recurrence.USUAL_DAYS,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """The same kind of trouble at the same place soon after it was solved: the worst places, and the share of all."""
    scope = viewer.scope()
    period, sieve, again = Period.read(start, to, scope.zone, viewer.now), sieved.chosen, Again(metres, days, limit)

    def make(session: ReadSession, scope: Scope) -> Ready:
        return _json(_told(scope, period) | recurrence.recurrence(session, scope, period, sieve, again))

    return answer(request, viewer, ("recurrence", period, sieve, again), make)


@router.get("/hotspots", response_model=Hotspots, response_class=GeoJson, responses=SAME)
def show_hotspots(
    request: Request,
    viewer: Viewing,
    group: Annotated[Slug | None, Query(description="held against all reports; without: all together")] = None,
) -> Response:
    """Squares where more (or less) was reported in the last twelve months than chance explains, as GeoJSON."""
    sieve = Sieve(group)
    with viewer.looking() as (session, scope):
        sieve.clauses(scope)
        found = hotspots.features(session, scope, group)
    body = orjson.dumps(found)
    return tagged(request, viewer, Ready(body, "application/geo+json", tag_of(body)))


@router.get(
    "/map.{kind}",
    response_class=Response,
    responses=SAME | {200: {"content": {"image/png": {}, "image/svg+xml": {}}}},
)
def draw_map(
    request: Request,
    viewer: Viewing,
    sieved: Sieved,
    kind: Literal["png", "svg"],
    by: Annotated[Subject, Query()] = "heat",
    layer: Annotated[Slug | None, Query(description="whose zones are drawn")] = None,
    figure: Annotated[Figure, Query(description="for by=zones")] = "received",
    start: From = None,
    to: Day = None,
    language: Language = None,
    width: Annotated[int, Query(ge=SMALLEST_WIDTH, le=LARGEST_WIDTH)] = USUAL_WIDTH,
) -> Response:
    """A map for the printed report, with title, period, legend and scale."""
    if by == "hotspots":
        _only_groups(sieved.chosen, start, to)
    scope = viewer.scope()
    period = Period.read(start, to, scope.zone, viewer.now)
    spoken = language or language_of(request)
    sheet = Sheet(by, period, sieved.chosen, layer, figure, spoken, width, viewer.now)

    def make(session: ReadSession, scope: Scope) -> Ready:
        body = sheets.draw(session, scope, sheet, kind)
        return Ready(body, "image/png" if kind == "png" else "image/svg+xml", tag_of(body))

    key = ("map", kind, by, layer, figure, period, sieved.chosen, spoken, width)
    return answer(request, viewer, key, make)


def _only_groups(sieve: Sieve, start: str | None, to: str | None) -> None:
    """Hot spots are worked out beforehand, by group and for the last twelve months: a map must not pretend more."""
    chosen = {"category": sieve.category, "department": sieve.department, "state": sieve.state, "from": start, "to": to}
    for field, value in chosen.items():
        if value is not None:
            raise InvalidInput("insight.only_groups", field=field)


def _told(scope: Scope, period: Period) -> dict[str, Any]:
    return {
        "municipality": scope.municipality.slug if scope.municipality else None,
        "audience": "public" if scope.is_public else "staff",
        "period": period.as_json(),
        "least": LEAST,
    }


def _json(value: dict[str, Any]) -> Ready:
    body = orjson.dumps(value)
    return Ready(body, "application/json", tag_of(body))


def _figures_table(
    rows: list[dict[str, Any]], language: str, *, is_crossed: bool
) -> tuple[list[str], Iterator[list[object]]]:
    crossing = ["across_key", "across_name"] if is_crossed else []
    head = ["key", "name", *crossing, *FIGURES, "reasons", *(f"before_{name}" for name in FIGURES), "before_reasons"]

    def lines() -> Iterator[list[object]]:
        for row in rows:
            line: list[object] = []
            for named in (row, row["across"]) if is_crossed else (row,):
                line += [named["key"], named["name"] and named["name"][language]]
            for period in (row, row["before"]):
                line += [period[name] for name in FIGURES]
                line.append(" ".join(f"{name}={reason}" for name, reason in period["reasons"].items()))
            yield line

    return head, lines()


def _ageing_table(rows: list[dict[str, Any]], table: Table) -> tuple[list[str], Iterator[list[object]]]:
    figures = ("open", "late", "median_days", "p90_days", "oldest_days")
    classes = [f"days_{first}_{last}" for first, last in pairwise((0, *CLASSES))] + [f"days_{CLASSES[-1]}"]
    head = ["key", "name", *figures, *classes]

    def lines() -> Iterator[list[object]]:
        for row in rows:
            name = row["name"] and row["name"][table.language]
            yield [row["key"], name, *(row[figure] for figure in figures), *row["classes"]]

    return head, lines()
