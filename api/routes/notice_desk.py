"""The staff's errand with notices: writing, previewing, publishing, changing, taking back; and how far they are."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response

from api.access import IfMatch, Workplace, etag
from api.schemas.notice import (
    DeskNotice,
    DeskNoticePage,
    NoticeChange,
    NoticeIn,
    NoticePreview,
    NoticeProgress,
    NoticeState,
    PauseIn,
    PublishIn,
    WithdrawIn,
)
from city.messages.notices import handling, preview, sending
from city.registry.notice_tables import Notice
from city.reports.changing import Desk

router = APIRouter(prefix="/api/v1/desk/notices", tags=["notices"])


@router.get("", response_model=DeskNoticePage)
def list_notices(
    work: Workplace,
    state: Annotated[NoticeState | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Notices of the municipality, the one written last first."""
    work.staff.needs(handling.WRITE)
    with work.looking() as (session, municipality):
        return _json(preview.listed(session, municipality, state=state, limit=limit, cursor=cursor))


@router.post("", status_code=201, response_model=DeskNotice)
def write_notice(work: Workplace, body: NoticeIn) -> Response:
    """Write a draft; nobody but staff sees it."""
    with work.desk() as desk:
        return _shown(desk, handling.write(desk, body.fields(desk.municipality.time_zone)), status=201)


@router.get("/{notice_id}", response_model=DeskNotice)
def show_notice(work: Workplace, notice_id: UUID) -> Response:
    """A notice as staff write it."""
    work.staff.needs(handling.WRITE)
    with work.looking() as (session, municipality):
        notice = preview.one(session, municipality, notice_id)
        return _json(preview.as_json(session, municipality, notice), notice.version)


@router.put("/{notice_id}", response_model=DeskNotice)
def change_notice(work: Workplace, notice_id: UUID, body: NoticeChange, version: IfMatch) -> Response:
    """Change a notice that is not over; with `tell`, everybody who got it hears once what has changed."""
    with work.desk() as desk:
        fields = body.fields(desk.municipality.time_zone)
        notice = handling.change(
            desk,
            notice_id,
            version,
            fields,
            tell=body.tell,
            words=body.what_changed,
            confirm_urgent=body.confirm_urgent,
        )
        return _shown(desk, notice)


@router.delete("/{notice_id}", status_code=204)
def remove_notice(work: Workplace, notice_id: UUID, version: IfMatch) -> None:
    """Throw a draft away."""
    with work.desk() as desk:
        handling.remove(desk, notice_id, version)


@router.get("/{notice_id}/preview", response_model=NoticePreview)
def preview_notice(work: Workplace, notice_id: UUID) -> Response:
    """How many would be told by which channel, the ground, the letter, and the reports that would take the day."""
    work.staff.needs(handling.WRITE)
    with work.looking() as (session, municipality):
        notice = preview.one(session, municipality, notice_id)
        return _json(preview.preview(session, municipality, notice))


@router.post("/{notice_id}/publication", response_model=DeskNotice)
def publish_notice(work: Workplace, notice_id: UUID, body: PublishIn, version: IfMatch) -> Response:
    """Publish a draft now, or when its `publish_at` comes; whoever asked for notices there is told, once."""
    with work.desk() as desk:
        return _shown(desk, handling.publish(desk, notice_id, version, confirm_urgent=body.confirm_urgent))


@router.post("/{notice_id}/withdrawal", response_model=DeskNotice)
def withdraw_notice(work: Workplace, notice_id: UUID, body: WithdrawIn, version: IfMatch) -> Response:
    """Take a published notice back: whoever was told hears why. A scheduled one becomes a draft again."""
    with work.desk() as desk:
        return _shown(desk, handling.withdraw(desk, notice_id, version, body.reason))


@router.post("/{notice_id}/end", response_model=DeskNotice)
def end_notice(work: Workplace, notice_id: UUID, version: IfMatch) -> Response:
    """Say that what it tells of is over; nobody is written to."""
    with work.desk() as desk:
        return _shown(desk, handling.end(desk, notice_id, version))


@router.get("/{notice_id}/progress", response_model=NoticeProgress)
def show_progress(work: Workplace, notice_id: UUID) -> Response:
    """How far its letters are."""
    work.staff.needs(handling.WRITE)
    with work.looking() as (session, municipality):
        notice = preview.one(session, municipality, notice_id)
        return _json({"tellings": sending.progress(session, notice)})


@router.put("/{notice_id}/sending", response_model=NoticeProgress)
def pause_sending(work: Workplace, notice_id: UUID, body: PauseIn) -> Response:
    """Hold back the letters that are not sent yet, or let them go on."""
    with work.desk() as desk:
        notice = handling.pause(desk, notice_id, is_paused=body.is_paused)
        desk.session.flush()
        return _json({"tellings": sending.progress(desk.session, notice)})


def _shown(desk: Desk, notice: Notice, *, status: Literal[200, 201] = 200) -> Response:
    desk.session.flush()
    desk.session.refresh(notice)
    return _json(preview.as_json(desk.session, desk.municipality, notice), notice.version, status)


def _json(value: Any, version: int | None = None, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"ETag": etag(version)} if version is not None else {})
    return Response(orjson.dumps(value), status, headers, media_type="application/json")
