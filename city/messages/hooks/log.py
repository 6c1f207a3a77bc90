"""What became of the events of a webhook: its log, its numbers, and sending dead letters again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import func, select, update

from city.database import ReadSession, WriteSession
from city.errors import NotFound
from city.messages.hooks import keeping
from city.messages.hooks.tables import HookDelivery, Webhook

KEPT_DAYS: Final = 30
MOST_COUNTED: Final = 10_000
MOST_FORGOTTEN: Final = 5_000

_COUNT: Final = f"""
SELECT
  (SELECT count(*) FROM (SELECT FROM hook_delivery WHERE {{hook}} AND state = 'waiting' LIMIT {MOST_COUNTED}) AS found),
  (SELECT count(*) FROM (
    SELECT FROM hook_delivery WHERE {{hook}} AND state = 'waiting' AND attempts > 0 LIMIT {MOST_COUNTED}) AS found),
  (SELECT count(*) FROM (SELECT FROM hook_delivery WHERE {{hook}} AND state = 'dead' LIMIT {MOST_COUNTED}) AS found)
""".format(hook="municipality_id = %(municipality_id)s AND webhook_id = %(webhook_id)s")  # noqa: S608
_FORGET: Final = f"""
DELETE FROM hook_delivery WHERE (municipality_id, id) IN (
  SELECT municipality_id, id FROM hook_delivery
  WHERE created_at < now() - interval '{KEPT_DAYS} days' AND state <> 'waiting'
  ORDER BY created_at LIMIT {MOST_FORGOTTEN})
"""  # noqa: S608
_FORGET_REPLAYS: Final = f"DELETE FROM hook_replay WHERE ended_at < now() - interval '{KEPT_DAYS} days'"  # noqa: S608


class Counts(NamedTuple):
    """How many events of a webhook there are; ten thousand stands for as many or more."""

    waiting: int
    failed: int
    """Of those waiting, how many have been tried."""
    dead: int


def counts(session: ReadSession, hook: Webhook) -> Counts:
    """Its numbers."""
    row = session.raw.execute(_COUNT, {"municipality_id": hook.municipality_id, "webhook_id": hook.id}).fetchone()
    assert row is not None
    return Counts(*row)


def page(
    session: ReadSession, hook: Webhook, *, state: str | None, before: int | None, limit: int
) -> Sequence[HookDelivery]:
    """The log, the newest first, from `before` (a delivery's id) backwards."""
    wanted = select(HookDelivery).where(
        HookDelivery.municipality_id == hook.municipality_id, HookDelivery.webhook_id == hook.id
    )
    if state is not None:
        wanted = wanted.where(HookDelivery.state == state)
    if before is not None:
        wanted = wanted.where(HookDelivery.id < before)
    return session.scalars(wanted.order_by(HookDelivery.id.desc()).limit(limit)).all()


def resend(session: WriteSession, hook: Webhook, delivery_id: int) -> None:
    """Send one event again, whatever became of it. Raises NotFound, Conflict."""
    keeping.needs_active(hook)
    delivery = session.get(HookDelivery, (hook.municipality_id, delivery_id), with_for_update=True)
    if delivery is None or delivery.webhook_id != hook.id:
        raise NotFound("hooks.no_delivery", value=delivery_id)
    delivery.state, delivery.attempts, delivery.next_at = "waiting", 0, func.now()


def resend_dead(session: WriteSession, hook: Webhook, since: datetime) -> int:
    """Send all dead letters again of what has happened since then; how many. Raises Conflict."""
    keeping.needs_active(hook)
    revived = session.execute(
        update(HookDelivery)
        .where(
            HookDelivery.municipality_id == hook.municipality_id,
            HookDelivery.webhook_id == hook.id,
            HookDelivery.state == "dead",
            HookDelivery.happened_at >= since,
        )
        .values(state="waiting", attempts=0, next_at=func.now())
        .execution_options(synchronize_session=False)
    )
    return int(revived.rowcount)  # type: ignore[attr-defined]


def forget(session: WriteSession) -> int:
    """Delete some of what is over and older than thirty days; how many events. Needs `provincial()`."""
    session.raw.execute(_FORGET_REPLAYS)
    return session.raw.execute(_FORGET).rowcount
