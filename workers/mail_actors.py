"""The jobs of mails that went wrong. Open, call the station, done."""

from __future__ import annotations

import dramatiq

from city.database import provincial
from city.reports import journey
from workers import returned_mail


@dramatiq.actor
def read_bounces() -> None:
    """Read what has come back; the next job goes on after a while."""
    if returned_mail.read_box():
        with provincial() as session:
            journey.after_coming_back_by_mail(session)
