"""Reopening by whoever reported: with a reason, and within the municipality's days after it was called solved.

Who hangs on a master as a duplicate reopens the master. Their words stay with their own report and with the office; the
others of the group hear that it is open again, and no more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select

from city.database import ReadSession, WriteSession
from city.errors import Conflict
from city.registry.municipality import MunicipalityView
from city.registry.working_time import CALENDAR_DAYS, Span
from city.reports import journey
from city.reports.changing import enter, locked, tell, touch
from city.reports.checks import cleaned
from city.reports.deadlines import deadline
from city.reports.groups import lock_group
from city.reports.lifecycle import Mover, State, check_move
from city.reports.tables import Report, TimelineEntry
from city.reports.terms import terms
from city.reports.timeline import note_down

ENDED_WELL: Final = frozenset({State.RESOLVED, State.CLOSED})


def head_of(session: ReadSession, report: Report) -> Report:
    """The report on which the work is done: its master, or itself."""
    if report.master_id is None:
        return report
    return session.get_one(Report, (report.municipality_id, report.master_id))


def until(session: ReadSession, municipality: MunicipalityView, report: Report) -> datetime | None:
    """Until when whoever reported it may reopen it; None where it is not called solved."""
    head = head_of(session, report)
    if State(head.state) not in ENDED_WELL:
        return None
    ended_at = session.scalar(
        select(func.max(TimelineEntry.at)).where(
            TimelineEntry.municipality_id == municipality.id,
            TimelineEntry.report_id == head.id,
            TimelineEntry.to_state.in_([state.value for state in ENDED_WELL]),
        )
    )
    days = Span(terms(session, municipality.id).reopening_days, CALENDAR_DAYS)
    return deadline(ended_at or head.updated_at, days, municipality.working_time)


def reopen(session: WriteSession, municipality: MunicipalityView, report_id: UUID, reason: str | None) -> Report:
    """Reopen the report, or the master that it hangs on; its department is written to.

    Raises Conflict where it is not called solved or that is too long ago, InvalidInput where the reason is missing.
    """
    lock_group(session, municipality.id, report_id)
    report = locked(session, municipality.id, report_id)
    head = head_of(session, report)
    said = cleaned(reason, field="reason")
    here = State(head.state)
    check_move(here, State.REOPENED, Mover.CITIZEN, said)
    last = until(session, municipality, report)
    if last is not None and datetime.now(UTC) > last:
        days = terms(session, municipality.id).reopening_days
        raise Conflict("reopening.too_late", number=report.number, days=days)
    report.confirmed_at = None
    enter(municipality, head, State.REOPENED)
    if head is not report:
        touch(report)
        tell(session, report, "reopening_asked", actor="citizen", note=said)
        about = {"duplicate": report.number}
        words = note_down(session, head, "reopening_asked", actor="citizen", is_public=False, note=said, details=about)
        tell(session, head, "moved", actor="citizen", here=here, to=State.REOPENED)
    else:
        words = tell(session, head, "moved", actor="citizen", here=here, to=State.REOPENED, note=said)
    journey.letters(session, municipality.id, "reopened", report_id=str(head.id), entry=words.id)
    return report
