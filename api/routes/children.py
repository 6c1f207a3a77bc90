"""The staff's errand with child jobs: parts of a report's work that others do."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID

import orjson
from fastapi import APIRouter, Response

from api.access import IfMatch, Workplace, etag
from api.schemas.children import ChildIn
from api.schemas.desk import DeskReportFull
from city.records import worklist
from city.reports.handovers import children
from city.reports.handovers.children import ChildJob

router = APIRouter(prefix="/api/v1/desk", tags=["desk"])


@router.post("/reports/{report_id}/children", response_model=DeskReportFull)
def add_child(work: Workplace, report_id: UUID, body: ChildIn, version: IfMatch) -> Response:
    """Give a part of the work to another department, crew or category. Nothing of it is public."""
    job = ChildJob(
        words=body.text,
        category=body.category,
        department=body.department,
        crew=body.crew,
        deadline_at=body.deadline_at.astimezone(UTC) if body.deadline_at else None,
        resolve_when_done=body.resolve_when_done,
    )
    with work.desk() as desk:
        children.add_child(desk, report_id, version, job)
        desk.session.flush()
        report = worklist.one(desk.session, desk.municipality, desk.staff, report_id, just_changed=True)
    headers = {"ETag": etag(report["version"]), "Cache-Control": "no-store"}
    return Response(orjson.dumps(report), headers=headers, media_type="application/json")
