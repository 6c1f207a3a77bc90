"""A date that staff promise in public, taking it back, and what is said when it passes.

A promise is told instead of the deadline. It moves the deadline not at all: whoever misses that is late all the same.
Only the ladder waits for the later of the two, since the office has told everybody so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.errors import Conflict, InvalidInput
from city.registry.municipality import MunicipalityView
from city.registry.staff.people import Right
from city.reports.changing import Desk, check_open, locked, tell, touch
from city.reports.checks import cleaned
from city.reports.clock import wind
from city.reports.deadlines import end_of
from city.reports.tables import Report

FARTHEST: Final = timedelta(days=730)


class Mentioned(NamedTuple):
    """A notice that promises for reports in its area, and what it says in their history."""

    number: str
    words: str


def promise(desk: Desk, report_id: UUID, version: int | None, day: date, words: str | None) -> Report:
    """Promise that the report will be solved by the end of `day`, by the municipality's clock; everybody may read it.

    Raises InvalidInput for a day that is over, or too far ahead to be believed; Conflict where the report is over.
    """
    report = desk.open(report_id, version, Right.DESK)
    check_open(report)
    today = desk.municipality.local(datetime.now(UTC)).date()
    if day < today:
        raise InvalidInput("promises.past", field="day", value=day.isoformat(), today=today.isoformat())
    if day > today + FARTHEST:
        raise InvalidInput("promises.far", field="day", value=day.isoformat(), last=(today + FARTHEST).isoformat())
    note = cleaned(words, field="words")
    if report.promised_at != end_of(day, desk.municipality.time_zone) or note is not None:
        _promise(desk.municipality, report, day)
        tell(desk.session, report, "promised", staff=desk.staff, note=note, details={"until": day.isoformat()})
    return report


def promise_by_notice(
    session: WriteSession, municipality: MunicipalityView, report: Report, day: date, notice: Mentioned
) -> None:
    """The same for a locked report that is open, by a notice."""
    _promise(municipality, report, day)
    details = {"until": day.isoformat(), "notice": notice.number}
    tell(session, report, "promised", actor="staff", note=notice.words, details=details)


def take_back_by_notice(
    session: WriteSession, municipality: MunicipalityView, report: Report, notice: Mentioned
) -> None:
    """Take back what the notice promised of a locked report that is open."""
    until = municipality.local(report.promised_at).date().isoformat() if report.promised_at else ""
    report.promised_at = report.slipped_at = None
    wind(municipality, report, datetime.now(UTC))
    touch(report)
    details = {"until": until, "notice": notice.number}
    tell(session, report, "promise_taken_back", actor="staff", note=notice.words, details=details)


def _promise(municipality: MunicipalityView, report: Report, day: date) -> None:
    report.promised_at, report.slipped_at = end_of(day, municipality.time_zone), None
    wind(municipality, report, datetime.now(UTC))
    touch(report)


def take_back(desk: Desk, report_id: UUID, version: int | None, reason: str) -> Report:
    """Take the promised date back: the deadline is told again. The reason is read by everybody.

    Raises Conflict where none was promised, InvalidInput where there is no reason.
    """
    report = desk.open(report_id, version, Right.DESK)
    if report.promised_at is None:
        raise Conflict("promises.none", number=report.number)
    note = cleaned(reason, field="reason")
    if note is None:
        raise InvalidInput("promises.reason_needed", field="reason")
    until = desk.municipality.local(report.promised_at).date().isoformat()
    report.promised_at = report.slipped_at = None
    wind(desk.municipality, report, datetime.now(UTC))
    touch(report)
    tell(desk.session, report, "promise_taken_back", staff=desk.staff, note=note, details={"until": until})
    return report


def slipping(session: ReadSession, municipality: MunicipalityView, now: datetime, limit: int) -> Sequence[UUID]:
    """The reports whose promised date has passed without anybody having said so."""
    return session.scalars(
        select(Report.id)
        .where(
            Report.municipality_id == municipality.id,
            Report.is_open,
            Report.clock_at <= now,
            Report.promised_at <= now,
            Report.slipped_at.is_(None),
        )
        .order_by(Report.clock_at, Report.id)
        .limit(limit)
    ).all()


def slip(session: WriteSession, municipality: MunicipalityView, report_id: UUID, now: datetime) -> bool:
    """Say, once for each promise, that its date has passed; whether there was something to say."""
    report = locked(session, municipality.id, report_id)
    if report.promised_at is None or report.promised_at > now or report.slipped_at is not None:
        return False
    if not report.is_open or report.paused_at is not None:
        return False
    report.slipped_at = now
    wind(municipality, report, now)
    touch(report)
    until = municipality.local(report.promised_at).date().isoformat()
    tell(session, report, "slipped", actor="system", details={"until": until})
    return True
