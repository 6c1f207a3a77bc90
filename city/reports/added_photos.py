"""Photos that come to a report which is in: from its reporter, or from whoever it was handed over to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select

from city.database import WriteSession
from city.errors import TooLarge
from city.reports import journey
from city.reports.changing import check_open, touch
from city.reports.photos import IncomingPhoto
from city.reports.tables import Photo, Report
from city.reports.timeline import note_down
from geo.place import Place

MOST_ALL: Final = 24
"""Photos that a report may have before its reporter can add no more."""


def add(session: WriteSession, report: Report, photos: Sequence[IncomingPhoto]) -> list[IncomingPhoto]:
    """Add the reporter's photos to the locked report, and give back those it has already: a repeat changes nothing.

    Raises Conflict where the report is over, TooLarge where it has enough.
    """
    here = (Photo.municipality_id == report.municipality_id) & (Photo.report_id == report.id)
    known = list(session.scalars(select(Photo.sha256).where(here)))
    new = [photo for photo in photos if photo.facts.sha256 not in known]
    if new:
        check_open(report)
        if len(known) + len(new) > MOST_ALL:
            raise TooLarge("photos.enough", field="photos", count=len(known), most=MOST_ALL)
        append(session, report, new)
        touch(report)
        added = {"photos": [str(photo.id) for photo in new]}
        note_down(session, report, "photos_added", actor="citizen", is_public=False, details=added)
    return [photo for photo in photos if photo not in new]


def append(session: WriteSession, report: Report, photos: Sequence[IncomingPhoto]) -> None:
    """Add photos to the locked report, behind those it has."""
    if not photos:
        return
    last = session.scalar(
        select(func.max(Photo.position)).where(
            Photo.municipality_id == report.municipality_id, Photo.report_id == report.id
        )
    )
    place = Place(report.lon, report.lat)
    names = ("sha256", "width", "height", "dhash", "taken_at", "metres_away", "is_far")
    for position, photo in enumerate(photos, start=0 if last is None else last + 1):
        session.add(
            Photo(
                municipality_id=report.municipality_id,
                id=photo.id,
                report_id=report.id,
                position=position,
                state="received",
                **dict(zip(names, photo.columns(place), strict=True)),
            )
        )
    journey.after_photos(session, report.municipality_id, report.id)
