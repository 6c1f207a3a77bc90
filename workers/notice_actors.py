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
from city.registry.notice_tables import Notice
from city.reports import journey
from workers.app import worker_settings

LONGEST_TURN_SECONDS: Final = 20.0
_lanes: Final = BoundedSemaphore(max(1, worker_settings().threads // 2))
"""Threads of this process that send to many: the others stay free for whatever somebody waits for."""

log = structlog.get_logger("workers.notices")


@dramatiq.actor
def queue_notice(municipality_id: int, telling_id: int) -> None:
    """Put down the letters of a telling, batch by batch."""
    with writing(municipality_id) as session:
        queue.wait_for_senders(session, view.fresh(session).municipalities[municipality_id])
    is_more = True
    while is_more:
        with writing(municipality_id) as session:
            municipality = view.fresh(session).municipalities[municipality_id]
            is_more = queue.put_down(session, municipality, telling_id)


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
    """Promise the reports inside a notice's area its expected day; or take that back."""
    number = UUID(notice_id)
    with reading(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        notice = session.get_one(Notice, (municipality_id, number))
        is_dating = dates.dates_reports(notice)
    after: UUID | None = UUID(int=0)
    while after is not None and is_dating:
        with reading(municipality_id) as session:
            found, after = dates.inside(session, municipality, notice, after)
        for report in found:
            with writing(municipality_id) as session:
                dates.date_one(session, municipality, number, report.id)
    while after is not None and not is_dating and notice.state == "withdrawn":
        with reading(municipality_id) as session:
            dated = dates.dated(session, notice, after)
        for report_id in dated:
            with writing(municipality_id) as session:
                dates.undate_one(session, municipality, number, report_id)
        after = dated[-1] if dated else None
