"""The desk's errand after a crew's morning: what did not come about, with both sides, until somebody settles it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response

from api.access import Workplace
from api.schemas.crew import FieldConflict, FieldConflicts
from city.records.field import conflicts as field_conflicts

router = APIRouter(prefix="/api/v1/desk/conflicts", tags=["desk"])


@router.get("", response_model=FieldConflicts)
def list_conflicts(
    work: Workplace,
    settled: Annotated[bool, Query(description="those that somebody was done with")] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """What crews did offline and what did not come about, with what each side holds; oldest first."""
    with work.looking() as (session, municipality):
        page = field_conflicts.page(session, municipality, work.staff, settled=settled, limit=limit, cursor=cursor)
    return Response(orjson.dumps(page), headers={"Cache-Control": "no-store"}, media_type="application/json")


@router.put("/{operation_id}/settled", response_model=FieldConflict)
def settle(work: Workplace, operation_id: UUID) -> Response:
    """Be done with a conflict: it stays readable, and leaves the list."""
    with work.desk() as desk:
        settled = field_conflicts.settle(desk, operation_id)
    return Response(orjson.dumps(settled), headers={"Cache-Control": "no-store"}, media_type="application/json")
