"""When the clock looks at a report again: whatever has to be noticed at a moment, without anybody doing anything.

The moment stands on the report, so that looking for what is due reads nothing else, however many reports there are.
Moments are those of the rungs of the municipality's ladder, and the promised date.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from city.database import ReadSession
from city.registry import view
from city.registry.ladder import Ladder, Rung
from city.registry.municipality import MunicipalityView
from city.registry.working_time import WORKING_DAYS, Span, WorkingTime
from city.reports.deadlines import deadline, with_left
from city.reports.tables import Report

LOOK: Final = 500
"""So many reports are looked at to find whose turn it is."""


class Outlook(NamedTuple):
    """How many rungs are reached, and when the next one will be (None: there is no other)."""

    reached: int
    next_at: datetime | None


def outlook(municipality: MunicipalityView, span: Span, due_at: datetime, now: datetime) -> Outlook:
    """Where on the ladder a report stands that is due at `due_at` and had the time `span`."""
    for reached, rung in enumerate(municipality.ladder):
        moment = _moment(rung, span, due_at, municipality.working_time)
        if moment > now:
            return Outlook(reached, moment)
    return Outlook(len(municipality.ladder), None)


def wind(municipality: MunicipalityView, report: Report, now: datetime) -> None:
    """Set when the clock looks at the report next; never, while it waits or is over.

    Where the time has become longer, the report climbs down again to where it then stands.
    """
    moments = _moments_of(municipality, report)
    report.escalation = min(report.escalation, bisect_right(moments, now))
    runs = report.is_open and report.paused_at is None
    next_at = moments[report.escalation : report.escalation + 1]
    promised_at = [report.promised_at] if report.promised_at is not None and report.slipped_at is None else []
    report.clock_at = min([*next_at, *promised_at], default=None) if runs else None


def reached(municipality: MunicipalityView, report: Report, now: datetime) -> int:
    """How many rungs the report has reached by `now`."""
    return bisect_right(_moments_of(municipality, report), now)


def due(session: ReadSession, now: datetime) -> list[int]:
    """The municipalities that have reports to be looked at; those that wait longest first."""
    rows = session.raw.execute(
        "SELECT municipality_id FROM ("
        " SELECT municipality_id, clock_at FROM report WHERE is_open AND clock_at <= %s AND municipality_id = ANY(%s)"
        " ORDER BY clock_at LIMIT %s) AS waiting GROUP BY municipality_id ORDER BY min(clock_at)",
        (now, list(view.fresh(session).municipalities), LOOK),
    )
    return [row[0] for row in rows]


def _moments_of(municipality: MunicipalityView, report: Report) -> tuple[datetime, ...]:
    """A promise puts the ladder off, where it is later than the deadline: the office has told everybody so."""
    span = municipality.category_ids[report.category_id].deadline
    due_at = max(report.deadline_at, report.promised_at or report.deadline_at)
    return _moments(municipality.ladder, span, due_at, municipality.working_time)


def _moments(ladder: Ladder, span: Span, due_at: datetime, working_time: WorkingTime) -> tuple[datetime, ...]:
    """When each rung is reached; a higher one is never reached before a lower one."""
    return tuple(_moment(rung, span, due_at, working_time) for rung in ladder)


@lru_cache(maxsize=4096)  # reports of one day and category share it
def _moment(rung: Rung, span: Span, due_at: datetime, working_time: WorkingTime) -> datetime:
    if rung.percent is None:
        return deadline(due_at, Span(rung.working_days or 0, WORKING_DAYS), working_time)
    return with_left(due_at, span, 1 - rung.percent / 100, working_time)
