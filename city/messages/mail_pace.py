"""How fast mail leaves, counted in PostgreSQL for all workers and API processes together.

Every mail leaves by `send` and is counted there. Single letters (receipts, codes, whatever somebody waits for) leave at
once. Letters to many take turns and what is left: each is granted before it leaves, as soon as the single ones are made
up for, and what a turn has not used of it is given back. So nobody's receipt stands behind a hundred thousand notices,
and the rate that the mail provider allows is kept all the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Final

from sqlalchemy import text as statement

from city.database import PROVINCE, writing
from city.errors import Unavailable
from city.outside.mail import ReadyMail, mailer
from city.settings import settings

BULK_SECONDS: Final = 5.0
"""So much of the rate may letters to many use at once, after a rest."""
DEBT_SECONDS: Final = 60.0
"""So much may single letters be ahead of the rate."""
LONGEST_SLEEP_SECONDS: Final = 1.0
GRANTED_AT_ONCE: Final = 50

_KNOWN: Final = statement("INSERT INTO pace (name, who, full_at) VALUES ('mail', '', now()) ON CONFLICT DO NOTHING")
_AHEAD: Final = statement("""
    SELECT greatest(extract(epoch FROM full_at - clock_timestamp()), 0)::float8 FROM pace
    WHERE name = 'mail' AND who = '' FOR UPDATE
""")
_TAKE: Final = statement("""
    UPDATE pace SET full_at = greatest(full_at, clock_timestamp()) + make_interval(secs => :seconds)
    WHERE name = 'mail' AND who = ''
""")
_GIVE_BACK: Final = statement("""
    UPDATE pace SET full_at = full_at - make_interval(secs => :seconds) WHERE name = 'mail' AND who = ''
""")


class _Granted(threading.local):
    """The mails to many that this thread may still send."""

    count = 0


_granted: Final = _Granted()


def send(message: EmailMessage | ReadyMail, sender: str | None = None) -> str:
    """Let a mail leave; gives its receipt.

    Raises Refused; Unavailable, also where it was not granted and so many single ones have gone ahead of the rate that
    this one has to wait.
    """
    if _granted.count:
        _granted.count -= 1
    elif settings().mail_per_minute and not _taken(1, DEBT_SECONDS):
        raise Unavailable("mail.paced")
    return mailer().send(message, sender)


class Turn:
    """What somebody who sends letters to many asks before each mail, up to the monotonic time `until`."""

    def __init__(self, until: float) -> None:
        self._until = until

    def may_mail(self) -> bool:
        """Whether a mail may leave now."""
        if settings().mail_per_minute and not _granted.count:
            _granted.count = _taken(GRANTED_AT_ONCE, BULK_SECONDS)
            return _granted.count > 0
        return True

    def wait(self) -> bool:
        """Wait until a mail may leave, as long as the turn lasts; whether one may."""
        while not self.may_mail():
            left = self._until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, LONGEST_SLEEP_SECONDS))
        return True


@contextmanager
def turn(until: float = 0.0) -> Iterator[Turn]:
    """Send letters to many for a while."""
    try:
        yield Turn(until)
    finally:
        unused, _granted.count = _granted.count, 0
        if unused:
            with writing(PROVINCE) as session:
                session.execute(_GIVE_BACK, {"seconds": unused * 60 / settings().mail_per_minute})


def _taken(wanted: int, most_seconds: float) -> int:
    """How many of the `wanted` fit in, counted as sent; no more than `most_seconds` of the rate are ahead of it."""
    each = 60 / settings().mail_per_minute
    with writing(PROVINCE) as session:
        session.execute(_KNOWN)
        ahead: float = session.execute(_AHEAD).scalar_one()
        fitting = min(wanted, int((max(most_seconds, each) - ahead) / each + 1e-6))
        if fitting > 0:
            session.execute(_TAKE, {"seconds": fitting * each})
    return max(fitting, 0)
