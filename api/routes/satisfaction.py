"""How content reporters are, for the council and everybody else."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response

from api.figures import SatisfactionTable
from api.routes.insight import Day, From, Sieved
from api.schemas.base import Slug
from api.viewing import SAME, Ready, Viewing, answer, tag_of
from city.database import ReadSession
from city.records.insight import satisfaction
from city.records.insight.figures import Question
from city.records.insight.insight import LEAST, Period, Scope
from city.records.insight.lines import By

router = APIRouter(prefix="/api/v1/insight", tags=["insight"])


@router.get("/satisfaction", response_model=SatisfactionTable, responses=SAME)
def show_satisfaction(
    request: Request,
    viewer: Viewing,
    sieved: Sieved,
    by: Annotated[By, Query()] = "total",
    layer: Annotated[Slug | None, Query(description="the zone layer, for by=zone")] = None,
    start: From = None,
    to: Day = None,
) -> Response:
    """How many reporters gave which rating from 1 to 5; what they wrote is for the office only."""
    scope = viewer.scope()
    period, sieve = Period.read(start, to, scope.zone, viewer.now), sieved.chosen

    def make(session: ReadSession, scope: Scope) -> Ready:
        rows = satisfaction.satisfaction(session, scope, Question(by, layer, period, sieve, viewer.now))
        told = {
            "municipality": scope.municipality.slug if scope.municipality else None,
            "audience": "public" if scope.is_public else "staff",
            "period": period.as_json(),
            "least": LEAST,
            "by": by,
            "layer": layer,
            "rows": rows,
        }
        body = orjson.dumps(told)
        return Ready(body, "application/json", tag_of(body))

    return answer(request, viewer, ("satisfaction", by, layer, period, sieve), make)
