"""The job that calls webhooks. It works in a queue of its own, so that a slow endpoint holds up no mail."""

from __future__ import annotations

import time
from typing import Final
from uuid import UUID

import dramatiq

from city.database import provincial, writing
from city.messages.hooks import following, sending
from city.registry import view
from city.reports.journey import WEBHOOKS

LONGEST_TURN_SECONDS: Final = 10.0


@dramatiq.actor(queue_name=WEBHOOKS)
def send_webhooks(municipality_id: int, webhook_id: str) -> None:
    """Tell a webhook what is due, for ten seconds; what is left is promised anew, behind the others."""
    started = time.monotonic()
    more = True
    while more and time.monotonic() - started < LONGEST_TURN_SECONDS:
        with writing(municipality_id) as session:
            more = sending.send_some(session, view.fresh(session), municipality_id, UUID(webhook_id))


@dramatiq.actor
def note_notice(municipality_id: int, telling_id: int) -> None:
    """Write down for webhooks that people are told of a notice."""
    with provincial() as session:
        following.note_notice(session, view.fresh(session), municipality_id, telling_id)


@dramatiq.actor
def note_category(municipality_id: int, category_id: int, change: int) -> None:
    """Write down for webhooks that the reports of a category are to be read anew."""
    with provincial() as session:
        following.note_category(session, view.fresh(session), municipality_id, category_id, change)
