"""The reporter's errand afterwards, to answer the desk and to rate, by the receipt token or signed in."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Response

from api.access import ReportKey
from api.receipt_schemas import AnswerIn, FeedbackIn
from api.schemas import HolderReport
from city.database import writing
from city.records import holding
from city.registry import view
from city.reports.feedback import Said

router = APIRouter(prefix="/api/v1/reports/{number}", tags=["reports"])


@router.post("/answers", response_model=HolderReport)
def answer(number: str, body: AnswerIn, key: ReportKey) -> Response:
    """Answer a question of the desk; the same answer again changes nothing."""
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with writing(municipality.id) as session:
        report = holding.answer(session, municipality, number, key, question_id=body.question, words=body.text)
        seen = holding.as_seen(session, municipality, report)
    return _secret(seen)


@router.put("/feedback", response_model=HolderReport)
def rate(number: str, body: FeedbackIn, key: ReportKey) -> Response:
    """Say how it was dealt with and whether it is solved; said again, the last counts."""
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    said = Said(body.rating, body.text, body.is_solved)
    with writing(municipality.id) as session:
        report = holding.rate(session, municipality, number, key, said)
        seen = holding.as_seen(session, municipality, report)
    return _secret(seen)


def _secret(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), headers={"Cache-Control": "no-store"}, media_type="application/json")
