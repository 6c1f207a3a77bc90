"""The photos of reports: kept aside as they came, turned into clean copies by a job, then thrown away.

intake/<municipality>/<photo>              as it came, never served, gone once the copies are made
photos/<municipality>/<photo>/<size>.jpg   the copies: what staff see, and the public once released
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.errors import NotFound, TooLarge, UnsupportedPhoto
from city.outside.photo_store import PhotoStore, open_photo_store
from city.reports.identity import new_id
from city.reports.imaging import DERIVATIVES, PhotoFacts, derive, inspect
from city.reports.tables import Photo
from city.settings import settings
from geo.place import Place

MOST_PHOTOS: Final = 6
FAR_METRES: Final = 500.0
ORPHAN_AGE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class IncomingPhoto:
    """A photo that has been looked at and kept aside."""

    id: UUID
    facts: PhotoFacts

    def metres_away(self, place: Place) -> float | None:
        """How far from `place` the photo says it was taken; None where it does not say."""
        return self.facts.place.distance_metres(place) if self.facts.place else None

    def is_far(self, place: Place) -> bool:
        """Whether the photo was taken somewhere else, by its own word."""
        metres = self.metres_away(place)
        return metres is not None and metres > FAR_METRES

    def columns(self, place: Place) -> tuple[Any, ...]:
        """SHA-256, width, height, dhash, taken_at, metres_away, is_far."""
        facts = self.facts
        return (
            facts.sha256,
            facts.width,
            facts.height,
            facts.dhash,
            facts.taken_at,
            self.metres_away(place),
            self.is_far(place),
        )


@cache
def store() -> PhotoStore:
    """The photo store of this process."""
    return open_photo_store(settings().photos, slow_seconds=settings().slow_outside_seconds)


def take(files: list[bytes], municipality_id: int, clock: ZoneInfo) -> list[IncomingPhoto]:
    """Look at every file, then keep them aside; none is kept where one is refused.

    Raises UnsupportedPhoto and TooLarge.
    """
    if len(files) > MOST_PHOTOS:
        raise TooLarge("intake.too_many_photos", field="photos", count=len(files), most=MOST_PHOTOS)
    photos = [IncomingPhoto(new_id(), inspect(data, clock=clock)) for data in files]
    for photo, data in zip(photos, files, strict=True):
        store().put(_original(municipality_id, photo.id), data)
    return photos


def keep(municipality_id: int, photo_id: UUID, data: bytes) -> None:
    """Keep aside a photo that has been looked at before."""
    store().put(_original(municipality_id, photo_id), data)


def drop(photos: list[IncomingPhoto], municipality_id: int) -> None:
    """Throw away what was kept aside for a report that did not come to be."""
    for photo in photos:
        store().delete(_original(municipality_id, photo.id))


def develop(session: WriteSession, municipality_id: int, report_id: UUID) -> int:
    """Make the clean copies of a report's photos; harmless when done already. How many were made."""
    waiting = session.scalars(
        select(Photo)
        .where(Photo.municipality_id == municipality_id, Photo.report_id == report_id, Photo.state == "received")
        .order_by(Photo.position)
        .with_for_update()
    ).all()
    for photo in waiting:
        original = _original(municipality_id, photo.id)
        try:
            for size, copy in derive(store().get(original)).items():
                store().put(_copy(municipality_id, photo.id, size), copy.data)
            photo.state = "ready"
        except (UnsupportedPhoto, TooLarge, NotFound):
            photo.state = "failed"
        session.after_commit(lambda key=original: store().delete(key))  # type: ignore[misc]
    return len(waiting)


def lend(from_id: int, photo_id: UUID, to_id: int, lent_id: UUID) -> None:
    """Copy the clean copies of a photo to another municipality, under another id; harmless when done already.

    Raises NotFound.
    """
    for size in DERIVATIVES:
        store().put(_copy(to_id, lent_id, size), store().get(_copy(from_id, photo_id, size)))


def picture(municipality_id: int, photo_id: UUID, size: str) -> bytes:
    """The JPEG bytes of a clean copy. Raises NotFound."""
    if size not in DERIVATIVES:
        raise NotFound("reports.photo_not_found", value=f"{photo_id}/{size}")
    return store().get(_copy(municipality_id, photo_id, size))


def sweep(session: ReadSession) -> int:
    """Throw away originals that no report has been waiting for since yesterday. How many there were."""
    oldest = datetime.now(UTC) - ORPHAN_AGE
    swept = 0
    for stored in store().list("intake"):
        photo_id = UUID(stored.key.rsplit("/", 1)[1])
        if stored.stored_at < oldest and not session.scalar(
            select(Photo.id).where(Photo.id == photo_id, Photo.state == "received")
        ):
            store().delete(stored.key)
            swept += 1
    return swept


def _original(municipality_id: int, photo_id: UUID) -> str:
    return f"intake/{municipality_id}/{photo_id}"


def _copy(municipality_id: int, photo_id: UUID, size: str) -> str:
    return f"photos/{municipality_id}/{photo_id}/{size}.jpg"
