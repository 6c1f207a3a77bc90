"""The chores of webhooks: see what is new, promise what is due, forget what is old."""

from __future__ import annotations

import time
from typing import Final

from city.database import provincial
from city.messages.hooks import following, log, replays
from city.registry import view
from city.reports import journey
from workers.chores import Chore

LONGEST_TURN_SECONDS: Final = 1.0


def follow_timeline() -> None:
    """Write down what has happened for the webhooks that want it, go on with replays, and have sent what is due."""
    started = time.monotonic()
    more = True
    while more and time.monotonic() - started < LONGEST_TURN_SECONDS:
        with provincial() as session:
            registry = view.fresh(session)
            more = following.follow(session, registry)
            more = replays.advance(session, registry) or more
            for municipality_id, hook_id in following.due(session):
                journey.after_following(session, municipality_id, hook_id)


def forget_hook_deliveries() -> None:
    """Forget what webhooks were told more than a month ago, some of it each time."""
    with provincial() as session:
        log.forget(session)


HOOK_CHORES: Final = (
    Chore("follow_timeline", 1, follow_timeline, rung_seconds=0.1),
    Chore("forget_hook_deliveries", 60, forget_hook_deliveries),
)
