"""Photos that come piece by piece over a bad connection, and go on where they were cut off.

uploads/<municipality>/<upload>/<piece>   as they came, in a folder as in a bucket; gone once they are put together
uploads/<municipality>/<upload>/whole     the photo, looked at and found whole; gone with the upload

An upload belongs to a crew and to no report: operations refer to it by its id, before or after it is there. What is no
photo we can take is refused as everywhere, and nothing of it is kept.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from city.database import ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound, TooLarge, TooManyRequests, UnsupportedPhoto
from city.jobs import promise
from city.registry.municipality import CrewView, MunicipalityView
from city.reports import photos
from city.reports.changing import Desk
from city.reports.field.tables import PhotoUpload
from city.reports.imaging import PhotoFacts, PhotoLimits, inspect
from geo.place import Place

LIFE: Final = timedelta(days=7)
"""From the first word of it; whoever has not sent it all by then begins anew."""
LARGEST: Final = PhotoLimits().most_bytes
MOST_PIECES: Final = 500
MOST_OPEN: Final = 500
"""Uploads of a crew that have begun and not ended."""
ORPHAN_AGE: Final = timedelta(days=1)
NOTHING: Final = "uploads.nothing"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload has come."""

    municipality_id: int
    id: UUID
    length: int
    received: int
    pieces: int
    expires_at: datetime


def begin(desk: Desk, crew: CrewView, upload_id: UUID, length: int) -> Progress:
    """An upload of so many bytes under an id made by the tablet; the same one again where it has begun already.

    Raises InvalidInput, TooLarge; Conflict where the id stands for another one; TooManyRequests.
    """
    if length < 1:
        raise InvalidInput("photos.empty", field="Upload-Length")
    if length > LARGEST:
        megabyte = 1_000_000
        raise TooLarge(
            "photos.too_many_bytes",
            field="Upload-Length",
            megabytes=round(length / megabyte, 1),
            most=LARGEST // megabyte,
        )
    session, municipality_id = desk.session, desk.municipality.id
    begun = session.scalar(
        select(func.count()).where(
            PhotoUpload.municipality_id == municipality_id,
            PhotoUpload.crew_id == crew.id,
            PhotoUpload.state == "open",
        )
    )
    if (begun or 0) >= MOST_OPEN:
        raise TooManyRequests("uploads.too_many_open", most=MOST_OPEN)
    session.execute(
        insert(PhotoUpload)
        .values(
            municipality_id=municipality_id,
            id=upload_id,
            crew_id=crew.id,
            person_id=desk.staff.person_id,
            length=length,
            expires_at=datetime.now(UTC) + LIFE,
        )
        .on_conflict_do_nothing()
    )
    upload = _found(session, municipality_id, crew, upload_id)
    if upload is None or upload.length != length:
        raise Conflict("uploads.id_reused", field="Upload-Metadata")
    return _progress(upload)


def progress(session: ReadSession, municipality_id: int, crew: CrewView, upload_id: UUID) -> Progress:
    """How far it has come. Raises NotFound; UnsupportedPhoto where what came was no photo."""
    upload = _found(session, municipality_id, crew, upload_id)
    if upload is None:
        raise NotFound(NOTHING, value=str(upload_id))
    if upload.state == "refused":
        raise _refusal(upload)
    return _progress(upload)


def add(session: WriteSession, crew: CrewView, known: Progress, key: str, size: int) -> Progress:
    """Note that the piece kept under `key` goes on where `known` ends. Of two who add there, one is refused.

    Raises NotFound, Conflict (field `Upload-Offset`), TooLarge.
    """
    municipality_id, upload_id, offset = known.municipality_id, known.id, known.received
    upload = session.scalar(
        update(PhotoUpload)
        .where(
            PhotoUpload.municipality_id == municipality_id,
            PhotoUpload.id == upload_id,
            PhotoUpload.crew_id == crew.id,
            PhotoUpload.state == "open",
            PhotoUpload.received == offset,
            PhotoUpload.length >= offset + size,
            func.jsonb_array_length(PhotoUpload.pieces) < MOST_PIECES,
        )
        .values(received=PhotoUpload.received + size, pieces=PhotoUpload.pieces + func.jsonb_build_array(key))
        .returning(PhotoUpload)
    )
    if upload is None:
        check(progress(session, municipality_id, crew, upload_id), offset, size)
        raise Conflict("uploads.offset", field="Upload-Offset", offset=offset)
    if upload.received == upload.length:
        # Also where whoever sent the last piece hears no answer, or we are killed before we look at it.
        promise(session, "finish_upload", municipality_id=municipality_id, upload_id=str(upload_id))
    return _progress(upload)


def check(known: Progress, offset: int, size: int = 0) -> Progress:
    """`known`, if so much may be added to it at `offset`. Raises Conflict, TooLarge."""
    if known.received != offset:
        raise Conflict("uploads.offset", field="Upload-Offset", offset=known.received)
    if offset + size > known.length:
        raise TooLarge("uploads.too_long", field="body", length=known.length)
    if known.pieces >= MOST_PIECES:
        raise TooLarge("uploads.too_many_pieces", field="body", most=MOST_PIECES)
    return known


def keep_piece(municipality_id: int, upload_id: UUID, offset: int, data: bytes) -> str:
    """Put a piece where `add` will find it; the key."""
    key = f"{_folder(municipality_id, upload_id)}/{offset:09d}-{secrets.token_hex(4)}"
    photos.store().put(key, data)
    return key


def drop_piece(key: str) -> None:
    """Throw away a piece that `add` did not take."""
    photos.store().delete(key)


def finish(session: WriteSession, municipality: MunicipalityView, upload_id: UUID) -> None:
    """Put the pieces of an upload together, if all are there, and look whether they are a photo; harmless twice."""
    upload = session.scalar(
        select(PhotoUpload)
        .where(PhotoUpload.municipality_id == municipality.id, PhotoUpload.id == upload_id)
        .with_for_update()
    )
    if upload is None or upload.state != "open" or upload.received < upload.length:
        return
    store, pieces = photos.store(), list(upload.pieces)
    data = b"".join(store.get(key) for key in pieces)
    try:
        upload.facts = _as_json(inspect(data, clock=municipality.time_zone))
        store.put(whole(municipality.id, upload_id), data)
        upload.state = "finished"
    except (UnsupportedPhoto, TooLarge) as error:
        upload.state, upload.problem = "refused", {"key": error.key, "values": error.values}
    session.after_commit(lambda: _delete(pieces))


def end(session: WriteSession, municipality_id: int, crew: CrewView, upload_id: UUID) -> None:
    """Give an upload up; photos already taken over from it stay. Raises NotFound."""
    upload = session.scalar(
        delete(PhotoUpload)
        .where(
            PhotoUpload.municipality_id == municipality_id, PhotoUpload.id == upload_id, PhotoUpload.crew_id == crew.id
        )
        .returning(PhotoUpload)
    )
    if upload is None:
        raise NotFound(NOTHING, value=str(upload_id))
    keys = [*upload.pieces, whole(municipality_id, upload_id)]
    session.after_commit(lambda: _delete(keys))


def sweep(session: WriteSession, *, min_age: timedelta = ORPHAN_AGE) -> int:
    """Forget uploads whose time is over, and pieces that belong to none. How many objects went."""
    session.execute(delete(PhotoUpload).where(PhotoUpload.expires_at < func.now()))
    kept = {
        (row.municipality_id, row.id): row.state
        for row in session.execute(select(PhotoUpload.municipality_id, PhotoUpload.id, PhotoUpload.state))
    }
    oldest = datetime.now(UTC) - min_age
    gone = []
    for stored in photos.store().list("uploads"):
        _, municipality_id, upload_id, name = stored.key.split("/")
        state = kept.get((int(municipality_id), UUID(upload_id)))
        is_needed = state == "open" or (state == "finished" and name == "whole")
        if stored.stored_at < oldest and not is_needed:
            gone.append(stored.key)
    session.after_commit(lambda: _delete(gone))
    return len(gone)


def whole(municipality_id: int, upload_id: UUID) -> str:
    """Where the whole photo lies."""
    return f"{_folder(municipality_id, upload_id)}/whole"


def facts_of(upload: PhotoUpload) -> PhotoFacts:
    """What a finished upload's photo says of itself."""
    facts = dict(upload.facts or {})
    place, taken_at = facts.pop("place"), facts.pop("taken_at")
    return PhotoFacts(
        **facts | {"sha256": bytes.fromhex(facts["sha256"])},
        place=Place(*place) if place else None,
        taken_at=datetime.fromisoformat(taken_at) if taken_at else None,
    )


def _as_json(facts: PhotoFacts) -> dict[str, Any]:
    return {
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "place": [*facts.place] if facts.place else None,
        "taken_at": facts.taken_at.isoformat() if facts.taken_at else None,
        "dhash": facts.dhash,
        "sha256": facts.sha256.hex(),
    }


def _refusal(upload: PhotoUpload) -> UnsupportedPhoto:
    problem = upload.problem or {}
    return UnsupportedPhoto(problem["key"], field="photo", **problem["values"])


def _found(session: ReadSession, municipality_id: int, crew: CrewView, upload_id: UUID) -> PhotoUpload | None:
    return session.scalar(
        select(PhotoUpload).where(
            PhotoUpload.municipality_id == municipality_id,
            PhotoUpload.id == upload_id,
            PhotoUpload.crew_id == crew.id,
            PhotoUpload.expires_at > func.now(),
        )
    )


def _progress(upload: PhotoUpload) -> Progress:
    return Progress(
        upload.municipality_id, upload.id, upload.length, upload.received, len(upload.pieces), upload.expires_at
    )


def _folder(municipality_id: int, upload_id: UUID) -> str:
    return f"uploads/{municipality_id}/{upload_id}"


def _delete(keys: list[str]) -> None:
    for key in keys:
        photos.store().delete(key)
