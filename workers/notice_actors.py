"""The jobs of notices. Open, call the station, done."""

from __future__ import annotations

import time
from threading import BoundedSemaphore
from typing import Final
from uuid import UUID

import dramatiq
import structlog

from city.database import reading, writing
from city.messages.notices import dates, queue, sending
from city.registry import view
from city.reports import journey
from workers.app import worker_settings

LONGEST_TURN_SECONDS: Final = 20.0
_lanes: Final = BoundedSemaphore(max(1, worker_settings().threads // 2))
"""Threads of this process that send to many: the others stay free for whatever somebody waits for."""

log = structlog.get_logger("workers.notices")


@dramatiq.actor
def queue_notice(municipality_id: int, telling_id: int) -> None:
    """Put down the letters of a telling."""
    queue.put_all_down(municipality_id, telling_id)


@dramatiq.actor
def send_notices(municipality_id: int) -> None:
    """Send letters of notices for a while; where enough threads are at it already, leave it to them.

    Where the mail server is away the job ends: a chore promises the next one.
    """
    if not _lanes.acquire(blocking=False):
        return
    try:
        is_more, problem = sending.send(municipality_id, time.monotonic() + LONGEST_TURN_SECONDS)
    finally:
        _lanes.release()
    if problem:
        log.warning("notices_held_up", municipality_id=municipality_id)
    elif is_more:
        with writing(municipality_id) as session:
            journey.after_queuing(session, municipality_id)


@dramatiq.actor
def date_reports(municipality_id: int, notice_id: str) -> None:
    """Promise the reports that a notice is about its expected day, and take it back from those it is about no more."""
    after: UUID | None = dates.FIRST
    while after is not None:
        with reading(municipality_id) as session:
            municipality = view.fresh(session).municipalities[municipality_id]
            found, after = dates.changing(session, municipality, UUID(notice_id), after)
        for report in found:
            with writing(municipality_id) as session:
                dates.settle(session, municipality, UUID(notice_id), report.id)
