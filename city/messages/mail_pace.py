"""How fast mail leaves, counted in PostgreSQL for all workers and API processes together.

Single letters (receipts, codes, whatever somebody waits for) leave at once, and are counted. Letters to many take what
is left: they wait until the single ones are made up for. So nobody's receipt stands behind a hundred thousand notices,
and the rate that the mail provider allows is kept all the same.
"""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy import text as statement

from city.database import PROVINCE, writing
from city.errors import Unavailable
from city.settings import settings

BULK: Final = frozenset({"notice", "tidings"})
"""The kinds of letters to many: whoever sends them asks with `for_many` before."""
BULK_SECONDS: Final = 5.0
"""So much of the rate may letters to many use at once, after a rest."""
DEBT_SECONDS: Final = 60.0
"""So much may single letters be ahead of the rate."""
LONGEST_SLEEP_SECONDS: Final = 1.0

_KNOWN: Final = statement("INSERT INTO pace (name, who, full_at) VALUES ('mail', '', now()) ON CONFLICT DO NOTHING")
_AHEAD: Final = statement("""
    SELECT greatest(extract(epoch FROM full_at - clock_timestamp()), 0)::float8 FROM pace
    WHERE name = 'mail' AND who = '' FOR UPDATE
""")
_TAKE: Final = statement("""
    UPDATE pace SET full_at = greatest(full_at, clock_timestamp()) + make_interval(secs => :seconds)
    WHERE name = 'mail' AND who = ''
""")


def for_one() -> None:
    """Count a single mail. Raises Unavailable where so many have gone ahead of the rate that this one has to wait."""
    if settings().mail_per_minute and not _taken(1, DEBT_SECONDS):
        raise Unavailable("mail.paced")


def for_many(wanted: int, until: float) -> int:
    """How many of the `wanted` mails may leave now; waits for the first one, up to the monotonic time `until`."""
    if not settings().mail_per_minute:
        return wanted
    while not (granted := _taken(wanted, BULK_SECONDS)):
        left = until - time.monotonic()
        if left <= 0:
            return 0
        time.sleep(min(left, LONGEST_SLEEP_SECONDS))
    return granted


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
