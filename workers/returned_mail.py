"""Mails that come back, one after the other: heard, noted, and only then put away."""

from __future__ import annotations

from collections import Counter

import structlog

from city.database import writing
from city.errors import Unavailable
from city.messages.fates import returned_mail
from city.outside import bounce_box

MOST_READ = 200

log = structlog.get_logger("workers.returned_mail")


def take(raw: bytes) -> str:
    """Note what a mail says: gives what it was, `other` where it is none of ours."""
    heard = returned_mail.hear(raw)
    if not heard.is_ours or heard.about is None:
        return "other"
    with writing(heard.about.municipality_id) as session:
        returned_mail.settle(session, heard)
    return heard.bounce or heard.kind


def read_box() -> bool:
    """Read some of what lies in the mailbox; whether there may be more. A mailbox that is away is tried next time.

    A reader that is killed between noting and putting away leaves the mail there: to note it again does nothing.
    """
    counted: Counter[str] = Counter()
    try:
        with bounce_box.opened() as box:
            if box is None:
                return False
            for mail in box.unread(MOST_READ):
                what = take(mail.content)
                box.put_away(mail.name, keep=what == "other")
                counted[what] += 1
    except Unavailable as error:
        log.warning("bounces_unread", problem=error.values.get("problem"))
        return False
    if counted:
        log.info("bounces_read", **counted)
    return counted.total() >= MOST_READ
