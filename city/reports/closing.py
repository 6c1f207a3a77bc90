"""Closing what has been solved for some time and was not reopened.

Who was written to before is told, and asked for feedback. Reports that nobody was ever told of, such as the imported
history of years, are closed silently, many at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, text

from city.database import ReadSession, WriteSession
from city.registry.municipality import MunicipalityView
from city.reports.changing import enter, locked, tell
from city.reports.lifecycle import Mover, State, check_move
from city.reports.tables import Report
from city.reports.terms import terms

MOST_AT_ONCE: Final = 100
MOST_SILENT: Final = 2_000

_NOBODY_TOLD: Final = """
NOT EXISTS (SELECT FROM delivery WHERE delivery.municipality_id = report.municipality_id
  AND delivery.report_id = report.id AND delivery.kind = 'report')
AND NOT EXISTS (SELECT FROM report AS duplicate WHERE duplicate.municipality_id = report.municipality_id
  AND duplicate.master_id = report.id)
"""
_CLOSE_SILENTLY: Final = f"""
WITH due AS (
  SELECT id FROM report
  WHERE municipality_id = %(municipality_id)s AND state = 'resolved' AND solved_at < %(before)s AND {_NOBODY_TOLD}
  ORDER BY solved_at LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED
), noted AS (
  INSERT INTO timeline_entry (municipality_id, report_id, what, actor, is_public, from_state, to_state)
  SELECT %(municipality_id)s, id, 'moved', 'system', true, 'resolved', 'closed' FROM due
)
UPDATE report SET state = 'closed', version = version + 1, updated_at = now()
FROM due WHERE report.municipality_id = %(municipality_id)s AND report.id = due.id
"""  # noqa: S608


def close_silently(session: WriteSession, municipality: MunicipalityView, now: datetime) -> int:
    """Close those that nobody was ever told of, so many at once at most; how many."""
    values = {
        "municipality_id": municipality.id,
        "before": _before(session, municipality, now),
        "most": MOST_SILENT,
    }
    return session.raw.execute(_CLOSE_SILENTLY, values).rowcount


def due(session: ReadSession, municipality: MunicipalityView, now: datetime) -> list[UUID]:
    """The others that are to be closed, longest solved first, so many at once at most."""
    found = session.scalars(
        select(Report.id)
        .where(
            Report.municipality_id == municipality.id,
            Report.state == State.RESOLVED.value,
            Report.solved_at < _before(session, municipality, now),
            text(f"NOT ({_NOBODY_TOLD})"),
        )
        .order_by(Report.solved_at)
        .limit(MOST_AT_ONCE)
    )
    return list(found)


def close(session: WriteSession, municipality: MunicipalityView, report_id: UUID, now: datetime) -> bool:
    """Close the report, if it still is to be closed; those who reported it are told."""
    report = locked(session, municipality.id, report_id)
    if State(report.state) is not State.RESOLVED or report.solved_at is None:
        return False
    if report.solved_at >= _before(session, municipality, now):
        return False
    check_move(State.RESOLVED, State.CLOSED, Mover.SYSTEM, None)
    enter(municipality, report, State.CLOSED)
    tell(session, report, "moved", actor="system", here=State.RESOLVED, to=State.CLOSED)
    return True


def _before(session: ReadSession, municipality: MunicipalityView, now: datetime) -> datetime:
    return now - timedelta(days=terms(session, municipality.id).closing_days)
