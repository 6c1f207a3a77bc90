"""What the reporter sees of the own report: by the receipt token, without any account, or signed in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.errors import NotFound
from city.records import handed, own_reports
from city.registry.municipality import MunicipalityView, Registry
from city.registry.sign_in.citizen_tables import Citizen
from city.reports import added_photos, groups, handling, hearing
from city.reports.changing import locked
from city.reports.dialogue import feedback, questions, reopening
from city.reports.dialogue.feedback import Said
from city.reports.dialogue.reopening import ENDED_WELL
from city.reports.hearing import Manner
from city.reports.identity import public_number
from city.reports.lifecycle import MOVES, Mover, State
from city.reports.photos import IncomingPhoto
from city.reports.receipts import opens
from city.reports.tables import Photo, Report
from city.reports.timeline import NoteOf, history

Key = str | Citizen
"""What opens a report to its reporter: the receipt token, or a citizen who is signed in and whose it is."""


def home_of(registry: Registry, number: str) -> MunicipalityView:
    """The municipality whose prefix a public number has. Raises NotFound."""
    prefix = number.split("-", 1)[0].upper()
    for municipality in registry.municipalities.values():
        if municipality.prefix == prefix:
            return municipality
    raise NotFound("reports.not_found", value=number)


def opened(session: ReadSession, municipality: MunicipalityView, number: str, key: Key) -> Report:
    """The report that number and key open together. Raises NotFound, whichever of the two is wrong."""
    report = session.scalar(
        select(Report).where(Report.municipality_id == municipality.id, Report.number == public_number(number))
    )
    if report is None or not _fits(session, report, key):
        raise NotFound("reports.not_found", value=number)
    return report


def _fits(session: ReadSession, report: Report, key: Key) -> bool:
    return opens(key, report.id) if isinstance(key, str) else own_reports.is_own(session, report, key.id)


def move(
    session: WriteSession, municipality: MunicipalityView, number: str, key: Key, to: State, *, reason: str | None
) -> Report:
    """Withdraw the report, or reopen what was called solved. Raises NotFound, Conflict, InvalidInput."""
    report_id = opened(session, municipality, number, key).id
    if to is State.REOPENED:
        return reopening.reopen(session, municipality, report_id, reason)
    return handling.move_by_reporter(session, municipality, locked(session, municipality.id, report_id), to, reason)


def rate(session: WriteSession, municipality: MunicipalityView, number: str, key: Key, said: Said) -> Report:
    """Say how it was dealt with. Raises NotFound, Conflict, InvalidInput."""
    report_id = opened(session, municipality, number, key).id
    groups.lock_group(session, municipality.id, report_id)
    report = locked(session, municipality.id, report_id)
    feedback.give(session, municipality, report, said)
    return report


def answer(
    session: WriteSession,
    municipality: MunicipalityView,
    number: str,
    key: Key,
    *,
    question_id: int | None,
    words: str,
) -> Report:
    """Answer a question of the desk. Raises NotFound, Conflict, InvalidInput."""
    report = locked(session, municipality.id, opened(session, municipality, number, key).id)
    questions.answer(session, municipality, report, question_id, words)
    return report


def add_photos(
    session: WriteSession, municipality: MunicipalityView, number: str, key: Key, photos: Sequence[IncomingPhoto]
) -> tuple[Report, list[IncomingPhoto]]:
    """Add photos; with the report, those that it had already. Raises NotFound, Conflict, TooLarge."""
    report = locked(session, municipality.id, opened(session, municipality, number, key).id)
    return report, added_photos.add(session, report, photos)


def hear(session: WriteSession, municipality: MunicipalityView, number: str, key: Key, manner: Manner) -> Report:
    """Be told in this manner from now on. Raises NotFound, Conflict, InvalidInput."""
    report = opened(session, municipality, number, key)
    hearing.change(session, report, manner)
    return report


def mute(session: WriteSession, municipality: MunicipalityView, number: str, key: Key, *, is_muted: bool) -> Report:
    """Hear no more of it, or again. Raises NotFound, Conflict."""
    report = opened(session, municipality, number, key)
    hearing.mute(session, report, is_muted=is_muted)
    return report


def to_mute(session: ReadSession, municipality: MunicipalityView, number: str, mute_token: str) -> tuple[Report, str]:
    """The report that the link at a letter's foot names, and its reporter's language. Raises NotFound."""
    report = session.scalar(
        select(Report).where(Report.municipality_id == municipality.id, Report.number == public_number(number))
    )
    manner = hearing.manner_of(session, report) if report is not None else None
    if report is None or manner is None:
        raise NotFound("reports.not_found", value=number)
    hearing.check_mute_token(mute_token, report)
    return report, manner["language"]


def as_seen(
    session: ReadSession, municipality: MunicipalityView, report: Report, note_of: NoteOf = attrgetter("note")
) -> dict[str, Any]:
    """The report as its reporter sees it, JSON values; `note_of` as for `history`."""
    category = municipality.category_ids[report.category_id]
    department = municipality.by_id[report.department_id]
    photos = session.scalars(
        select(Photo.id)
        .where(Photo.municipality_id == municipality.id, Photo.report_id == report.id, Photo.state == "ready")
        .order_by(Photo.position)
    )
    master = _master(session, report)
    return {
        "id": report.id,
        "number": report.number,
        "state": report.state,
        "master": master and {"number": master.number, "state": master.state},
        "people": master.people if master else report.people,
        "is_open": report.is_open,
        "place": {"lon": report.lon, "lat": report.lat},
        "municipality": {"slug": municipality.slug, "name": municipality.name},
        "category": category.slug,
        "category_name": {"it": category.name.it, "en": category.name.en},
        "department": department.slug,
        "department_name": {"it": department.name.it, "en": department.name.en},
        "handed_to": handed.now_with(session, report),
        "description": report.description,
        "address": report.address,
        "address_source": report.address_source,
        "photos": list(photos),
        "created_at": report.created_at,
        "updated_at": report.updated_at,
        "deadline_at": report.deadline_at,
        "promised_at": report.promised_at,
        "timeline": history(session, municipality.id, report.id, internal=False, note_of=note_of),
        "moves": _moves(session, municipality, report),
        "reopen_until": _iso(reopening.until(session, municipality, report)),
        "feedback": feedback.given(session, report),
        "may_rate": State((master or report).state) in ENDED_WELL,
        "questions": questions.to_holder(session, report),
        "messages": hearing.manner_of(session, report),
    }


def _master(session: ReadSession, report: Report) -> Report | None:
    """The report that this one hangs on."""
    return session.get(Report, (report.municipality_id, report.master_id)) if report.master_id else None


def _moves(session: ReadSession, municipality: MunicipalityView, report: Report) -> list[str]:
    """What the reporter may do: withdraw, if no other waits with them, or reopen, while there is time for it."""
    moves = [
        there
        for (here, there), allowed in MOVES.items()
        if here is State(report.state) and Mover.CITIZEN in allowed.movers
    ]
    if State.WITHDRAWN in moves and groups.hangs_on(session, report):
        moves.remove(State.WITHDRAWN)
    until = reopening.until(session, municipality, report)
    may_reopen = until is not None and datetime.now(UTC) <= until
    return [move.value for move in moves if move is not State.REOPENED] + ["reopened"] * may_reopen


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def holds_photo(session: ReadSession, report: Report, photo_id: object) -> None:
    """Raises NotFound where the photo is not of this report."""
    found = session.scalar(
        select(Photo.id).where(
            Photo.municipality_id == report.municipality_id, Photo.report_id == report.id, Photo.id == photo_id
        )
    )
    if found is None:
        raise NotFound("reports.photo_not_found", value=str(photo_id))
