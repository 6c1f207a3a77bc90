"""The staff's errand: a report, and everything that is done to a report. Every change wants `If-Match`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Response

from api.access import IfMatch, Work, Workplace, etag
from api.routes.reports import jpeg
from api.schemas.desk import (
    CategoryIn,
    CrewIn,
    DepartmentIn,
    DeskReportFull,
    MasterIn,
    MoveIn,
    PersonIn,
    PromiseEnd,
    PromiseIn,
    ReleaseIn,
    SplitIn,
    UpdateIn,
)
from city.records import worklist
from city.reports import assignment, attention, handling, photos, promises
from city.reports.changing import Desk

router = APIRouter(prefix="/api/v1/desk", tags=["desk"])


@router.get("/reports/{report_id}", response_model=DeskReportFull, response_model_exclude_unset=True)
def show_report(work: Workplace, report_id: UUID) -> Response:
    """Everything one may read about a report. Its ETag is what a change must send back as `If-Match`.

    Whoever is shown who reported is written down: see its looks.
    """
    with work.desk() as desk:
        report = worklist.one(desk.session, desk.municipality, desk.staff, report_id)
    return _shown(report)


@router.post("/reports/{report_id}/moves", response_model=DeskReportFull)
def move(work: Workplace, report_id: UUID, body: MoveIn, version: IfMatch) -> Response:
    """Take a step in the report's life; the reason is read by the reporter, the internal note is not."""
    return _change(
        work,
        report_id,
        lambda desk: handling.move(
            desk,
            report_id,
            version,
            body.to,
            reason=body.reason,
            internal_note=body.internal_note,
            leave_children=body.leave_children,
            unknown_mentions=body.unknown_mentions,
        ),
    )


@router.post("/reports/{report_id}/updates", response_model=DeskReportFull)
def add_update(work: Workplace, report_id: UUID, body: UpdateIn, version: IfMatch) -> Response:
    """Say something, to the reporter too (`is_public`) or among colleagues only."""
    return _change(
        work,
        report_id,
        lambda desk: handling.add_update(
            desk, report_id, version, body.text, is_public=body.is_public, unknown_mentions=body.unknown_mentions
        ),
    )


@router.put("/reports/{report_id}/category", response_model=DeskReportFull)
def categorise(work: Workplace, report_id: UUID, body: CategoryIn, version: IfMatch) -> Response:
    """Correct the category: routed and dated anew, and kept for training."""
    return _change(
        work, report_id, lambda desk: handling.categorise(desk, report_id, version, body.category, body.note)
    )


@router.put("/reports/{report_id}/department", response_model=DeskReportFull)
def hand_over(work: Workplace, report_id: UUID, body: DepartmentIn, version: IfMatch) -> Response:
    """Correct the department, whatever the rules say."""
    return _change(
        work, report_id, lambda desk: handling.hand_to(desk, report_id, version, body.department, body.reason)
    )


@router.put("/reports/{report_id}/crew", response_model=DeskReportFull)
def give_to_crew(work: Workplace, report_id: UUID, body: CrewIn, version: IfMatch) -> Response:
    """Give the report to a crew of its department, or take it back."""
    return _change(work, report_id, lambda desk: handling.give_to_crew(desk, report_id, version, body.crew))


@router.put("/reports/{report_id}/person", response_model=DeskReportFull)
def assign(work: Workplace, report_id: UUID, body: PersonIn, version: IfMatch) -> Response:
    """Give the report to a colleague of its department, or to nobody."""
    return _change(work, report_id, lambda desk: assignment.assign(desk, report_id, version, body.person))


@router.post("/reports/{report_id}/take", response_model=DeskReportFull)
def take(work: Workplace, report_id: UUID, version: IfMatch) -> Response:
    """Look after the report oneself, if nobody else does."""
    return _change(work, report_id, lambda desk: assignment.take(desk, report_id, version))


@router.put("/reports/{report_id}/promise", response_model=DeskReportFull)
def promise(work: Workplace, report_id: UUID, body: PromiseIn, version: IfMatch) -> Response:
    """Promise a date in public: whoever reported is told, and told again should it pass."""
    return _change(work, report_id, lambda desk: promises.promise(desk, report_id, version, body.day, body.words))


@router.delete("/reports/{report_id}/promise", response_model=DeskReportFull)
def take_promise_back(work: Workplace, report_id: UUID, body: PromiseEnd, version: IfMatch) -> Response:
    """Take a promised date back, with a reason: the deadline is told again."""
    return _change(work, report_id, lambda desk: promises.take_back(desk, report_id, version, body.reason))


@router.put("/reports/{report_id}/watch", status_code=204)
def watch(work: Workplace, report_id: UUID) -> Response:
    """Hear by mail, from now on, of what others do with the report."""
    with work.desk() as desk:
        attention.watch(desk, report_id)
    return Response(status_code=204)


@router.delete("/reports/{report_id}/watch", status_code=204)
def unwatch(work: Workplace, report_id: UUID) -> Response:
    """Hear of it no more."""
    with work.desk() as desk:
        attention.unwatch(desk, report_id)
    return Response(status_code=204)


@router.post("/reports/{report_id}/seen", status_code=204)
def mark_seen(work: Workplace, report_id: UUID) -> Response:
    """Say that one knows all that has happened to it: it leaves the list of those where one was named."""
    with work.desk() as desk:
        attention.mark_seen(desk, report_id)
    return Response(status_code=204)


@router.put("/reports/{report_id}/master", response_model=DeskReportFull)
def merge(work: Workplace, report_id: UUID, body: MasterIn, version: IfMatch) -> Response:
    """Hang the report on another one as its duplicate."""
    return _change(work, report_id, lambda desk: handling.merge(desk, report_id, version, body.master))


@router.post("/reports/{report_id}/split", response_model=DeskReportFull)
def split(work: Workplace, report_id: UUID, body: SplitIn, version: IfMatch) -> Response:
    """Make a duplicate a report of its own again."""
    return _change(work, report_id, lambda desk: handling.split(desk, report_id, version, body.reason))


@router.put("/reports/{report_id}/publication", response_model=DeskReportFull)
def release(work: Workplace, report_id: UUID, body: ReleaseIn, version: IfMatch) -> Response:
    """Choose the words and photos that everyone may see."""
    chosen = None if body.photos is None else frozenset(body.photos)
    return _change(
        work,
        report_id,
        lambda desk: handling.release(desk, report_id, version, description=body.public_description, photo_ids=chosen),
    )


@router.get(
    "/reports/{report_id}/photos/{photo_id}/{size}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
def show_photo(work: Workplace, report_id: UUID, photo_id: UUID, size: Literal["large", "medium", "small"]) -> Response:
    """A photo of a report that one may read."""
    with work.looking() as (session, municipality):
        worklist.holds_photo(session, municipality, work.staff, report_id, photo_id)
    return jpeg(photos.picture(municipality.id, photo_id, size), "private, max-age=3600")


def _change(work: Work, report_id: UUID, change: Callable[[Desk], object]) -> Response:
    with work.desk() as desk:
        change(desk)
        desk.session.flush()
        report = worklist.one(desk.session, desk.municipality, desk.staff, report_id, just_changed=True)
    return _shown(report)


def _shown(report: dict[str, Any]) -> Response:
    headers = {"ETag": etag(report["version"]), "Cache-Control": "no-store"}
    return Response(orjson.dumps(report), headers=headers, media_type="application/json")
