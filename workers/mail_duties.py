"""The chores of mails."""

from __future__ import annotations

import time
from typing import Final

from city import jobs
from city.database import provincial
from city.messages.fates import forgetting
from city.reports import journey
from city.settings import settings
from workers.chores import Chore

LONGEST_TURN_SECONDS: Final = 2.0


def look_for_bounces() -> None:
    """See to it that what has come back is read, where the settings say from where; by one job at a time."""
    if not settings().bounces:
        return
    with provincial() as session:
        if not jobs.is_promised(session, "read_bounces"):
            journey.after_coming_back_by_mail(session)


def forget_messages() -> None:
    """Forget what became of messages long ago, for two seconds."""
    started = time.monotonic()
    while time.monotonic() - started < LONGEST_TURN_SECONDS:
        with provincial() as session:
            if not forgetting.forget(session):
                return


MAIL_CHORES: Final = (
    Chore("look_for_bounces", 60, look_for_bounces),
    Chore("forget_messages", 600, forget_messages),
)
