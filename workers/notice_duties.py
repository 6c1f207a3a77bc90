"""The chores of notices: they appear, end, and their letters leave when they are due."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from city.database import provincial, writing
from city.messages.notices import handling, queue, sending
from city.reports import journey
from workers.chores import Chore

LONGEST_TURN_SECONDS: Final = 2.0
MOST_AT_ONCE: Final = 100


def keep_notices_time() -> None:
    """Let notices appear and end when their moment has come, each in a transaction of its own."""
    started = time.monotonic()
    now = datetime.now(UTC)
    with provincial() as session:
        due = handling.due(session, now, MOST_AT_ONCE)
    for municipality_id, notice_id in due:
        with writing(municipality_id) as session:
            handling.keep_time(session, municipality_id, notice_id, now)
        if time.monotonic() - started > LONGEST_TURN_SECONDS:
            return


def send_due_notices() -> None:
    """Have letters sent that have become due: after quiet hours, after a failure, after a worker has died."""
    with provincial() as session:
        for municipality_id, jobs in sending.due(session):
            journey.after_queuing(session, municipality_id, times=max(0, queue.LANES - jobs))
        sending.close(session)


NOTICE_CHORES: Final = (
    Chore("keep_notices_time", 5, keep_notices_time),
    Chore("send_due_notices", 5, send_due_notices),
)
