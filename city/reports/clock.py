"""When the clock looks at a report again: whatever has to be noticed at a moment, without anybody doing anything.

The moment stands on the report, so that looking for what is due reads nothing else, however many reports there are.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from city.database import ReadSession
from city.registry import view
from city.reports.tables import Report

LOOK: Final = 500
"""So many reports are looked at to find whose turn it is."""


def wind(report: Report) -> None:
    """Set when the clock looks at the report next; never, while it waits or is over."""
    runs = report.is_open and report.paused_at is None
    promised_at = report.promised_at if report.slipped_at is None else None
    report.clock_at = promised_at if runs else None


def due(session: ReadSession, now: datetime) -> list[int]:
    """The municipalities that have reports to be looked at; those that wait longest first."""
    rows = session.raw.execute(
        "SELECT municipality_id FROM ("
        " SELECT municipality_id, clock_at FROM report WHERE is_open AND clock_at <= %s AND municipality_id = ANY(%s)"
        " ORDER BY clock_at LIMIT %s) AS waiting GROUP BY municipality_id ORDER BY min(clock_at)",
        (now, list(view.fresh(session).municipalities), LOOK),
    )
    return [row[0] for row in rows]
