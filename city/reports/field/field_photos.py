"""A photo taken offline comes to its report: the operation that tells of it and the upload that brings it meet here.

Either may be first. The upload's row is locked while they are looked at together, so that they do not miss one another.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.jobs import promise
from city.reports import added_photos, photos
from city.reports.changing import locked, touch
from city.reports.field import uploads
from city.reports.field.tables import FieldOperation, PhotoUpload
from city.reports.identity import new_id
from city.reports.photos import IncomingPhoto
from city.reports.tables import Report

SOON_SECONDS: Final = 2.0


def bring(session: WriteSession, report: Report, operation: FieldOperation) -> None:
    """Add the operation's photo to the locked report if its upload has ended; else it waits for that."""
    upload = session.scalar(
        select(PhotoUpload)
        .where(
            PhotoUpload.municipality_id == report.municipality_id,
            PhotoUpload.id == operation.upload_id,
            PhotoUpload.crew_id == operation.crew_id,
        )
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    if upload is None or upload.state == "open":
        operation.outcome = "waiting"
        # The upload may begin and end before this is kept: whoever ends it would not see the operation yet.
        promise(
            session,
            "finish_upload",
            delay_seconds=SOON_SECONDS,
            municipality_id=report.municipality_id,
            upload_id=str(operation.upload_id),
        )
        return
    touch(report)
    if upload.state == "refused":
        operation.outcome = "refused"
        operation.conflict = None
        operation.payload = operation.payload | {"problem": upload.problem}
        return
    photo_id = new_id()
    photos.keep(report.municipality_id, photo_id, photos.store().get(uploads.whole(report.municipality_id, upload.id)))
    added_photos.append(session, report, [IncomingPhoto(photo_id, uploads.facts_of(upload))])
    session.flush()
    operation.outcome = "applied"
    operation.payload = operation.payload | {"photo": str(photo_id)}


def waiting_for(session: ReadSession, municipality_id: int, upload_id: UUID) -> list[tuple[UUID, UUID]]:
    """The operations that wait for an upload, each with its report."""
    rows = session.execute(
        select(FieldOperation.id, FieldOperation.report_id).where(
            FieldOperation.municipality_id == municipality_id,
            FieldOperation.upload_id == upload_id,
            FieldOperation.outcome == "waiting",
        )
    )
    return [(operation_id, report_id) for operation_id, report_id in rows]


def bring_late(session: WriteSession, municipality_id: int, operation_id: UUID, report_id: UUID) -> None:
    """Add the photo of an operation that has waited for its upload; harmless where it is there already."""
    report = locked(session, municipality_id, report_id)
    operation = session.get_one(FieldOperation, (municipality_id, operation_id), populate_existing=True)
    upload = session.scalar(
        select(PhotoUpload.state).where(
            PhotoUpload.municipality_id == municipality_id, PhotoUpload.id == operation.upload_id
        )
    )
    if operation.outcome == "waiting" and upload in {"finished", "refused"}:
        bring(session, report, operation)
