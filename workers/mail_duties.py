"""The chores of mails."""

from __future__ import annotations

from typing import Final

from city import jobs
from city.database import provincial
from city.reports import journey
from city.settings import settings
from workers.chores import Chore


def look_for_bounces() -> None:
    """See to it that what has come back is read, where the settings say from where; by one job at a time."""
    if not settings().bounces:
        return
    with provincial() as session:
        if not jobs.is_promised(session, "read_bounces"):
            journey.after_coming_back_by_mail(session)


MAIL_CHORES: Final = (Chore("look_for_bounces", 60, look_for_bounces),)
