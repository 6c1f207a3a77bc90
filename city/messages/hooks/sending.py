"""Calling webhooks: one call at a time for each of them, a few at a time for each host.

The transaction is open while the endpoint listens, for one event or for those of a second; it holds no row, only the
turn, which ends with the connection: where a worker dies, another goes on at once, and what was not noted yet is sent
again under the same ids.

What fails is tried again later and later; after three failures in a row the endpoint rests, and is then asked with one
event at a time until it answers. A later event of a report waits for an earlier one that has failed, until that has
been tried for half an hour.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import or_, select, update

from city.database import WriteSession
from city.errors import Unavailable
from city.messages.hooks import categories, events, noticing
from city.messages.hooks.keeping import secrets_of, switch_off
from city.messages.hooks.tables import HookDelivery, Webhook
from city.outside import webhook
from city.outside.strangers import Answer, Door, NotAllowed
from city.registry.channels.allowed_hosts import door
from city.registry.municipality import Registry
from city.reports import journey

MINUTE, HOUR = 60.0, 3600.0
WAITS: Final = (10.0, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR)
"""Seconds before each repeat; after the last one an event is a dead letter."""
HOLDING_TRIES: Final = 4
"""So often it is tried while later events of the same report wait for it."""
PATIENCE: Final = 3
"""Failures in a row after which an endpoint rests."""
LONGEST_REST: Final = HOUR
FAILING_FOR: Final = timedelta(days=3)
"""An endpoint that fails for so long is switched off."""
AT_ONE_HOST: Final = 4
MOST_AT_ONCE: Final = 50
LONGEST_BATCH_SECONDS: Final = 1.0
"""A transaction is so many events or so long, whichever comes first, and at least one event."""
GONE: Final = 410
PUT_OFF: Final = (408, 425, 429)
"""Answers that say "not now", as those from 500 on do; any other one is about the event itself."""
FIRST_BYTES: Final = 500
"""Of an answer, shown to whoever tests."""

_TURN: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 7))"
_SEAT: Final = "SELECT pg_try_advisory_xact_lock(%s, %s)"
_SEATS: Final = 0x486F6F
_NEXT: Final = f"""
SELECT id FROM hook_delivery AS next
WHERE municipality_id = %(municipality_id)s AND webhook_id = %(webhook_id)s AND state = 'waiting' AND next_at <= now()
  AND NOT EXISTS (
    SELECT FROM hook_delivery AS earlier
    WHERE earlier.municipality_id = next.municipality_id AND earlier.webhook_id = next.webhook_id
      AND earlier.state = 'waiting' AND earlier.is_replay = next.is_replay AND earlier.id < next.id
      AND earlier.subject_id = next.subject_id AND earlier.next_at > now() AND earlier.attempts < {HOLDING_TRIES})
ORDER BY is_replay, id LIMIT {MOST_AT_ONCE}
"""  # noqa: S608


class Outcome(NamedTuple):
    """How a call went."""

    answer: Answer | None
    problem: str | None
    """A code; None where it was taken."""
    milliseconds: int


def send_some(session: WriteSession, registry: Registry, municipality_id: int, hook_id: UUID) -> bool:
    """Send what is due to a webhook, if it is nobody else's turn: some of it; whether there may be more."""
    if not _is_given(session, _TURN, [str(hook_id)]):
        return False
    hook = session.get(Webhook, (municipality_id, hook_id))
    if hook is None or not hook.is_active or hook.rests_until > datetime.now(UTC) or not _seated(session, hook):
        return False
    due = _due(session, hook)
    told = _told(session, registry, hook, due)
    to, signed_with = door(session, hook.address), secrets_of(hook, datetime.now(UTC))
    started = time.monotonic()
    for delivery in due:
        if delivery.id not in told:
            delivery.state = "dropped"
            continue
        outcome = call(to, signed_with, events.message_id(delivery), told[delivery.id])
        _settle(session, hook, delivery, outcome)
        if outcome.problem is not None or time.monotonic() - started > LONGEST_BATCH_SECONDS:
            break
    # After a power cut something may be sent again, as it may anyway.
    session.raw.execute("SET LOCAL synchronous_commit = off")
    return bool(due)


def call(to: Door, signed_with: list[str], message_id: str, payload: Mapping[str, Any]) -> Outcome:
    """Post it, and see."""
    started = time.monotonic()
    answer, problem = None, None
    try:
        answer = webhook.post(to, signed_with, message_id, dict(payload))
        problem = None if answer.is_good else f"http_{answer.status}"
    except NotAllowed:
        problem = "not_allowed"
    except Unavailable as error:
        problem = str(error.values.get("problem", error.key.rpartition(".")[2]))
    return Outcome(answer, problem, round((time.monotonic() - started) * 1000))


def _is_given(session: WriteSession, query: str, values: list[Any]) -> bool:
    row = session.raw.execute(query, values).fetchone()
    return bool(row and row[0])


def _seated(session: WriteSession, hook: Webhook) -> bool:
    """Whether few enough calls to its host are at work; until the end of the transaction this is one of them."""
    host = host_number(hook.address)
    return any(_is_given(session, _SEAT, [_SEATS, host + seat]) for seat in range(AT_ONE_HOST))


def host_number(address: str) -> int:
    """The first of the numbers of its host's seats: 31 bits."""
    return (zlib.crc32(urlsplit(address).netloc.lower().encode()) & 0x1FFF_FFFF) * AT_ONE_HOST


def _due(session: WriteSession, hook: Webhook) -> Sequence[HookDelivery]:
    """The next few to send, in order. One that fails ends the batch: what follows may have to wait for it."""
    rows = session.raw.execute(_NEXT, {"municipality_id": hook.municipality_id, "webhook_id": hook.id}).fetchall()
    return session.scalars(
        select(HookDelivery)
        .where(HookDelivery.municipality_id == hook.municipality_id, HookDelivery.id.in_([row[0] for row in rows]))
        .order_by(HookDelivery.is_replay, HookDelivery.id)
    ).all()


def _told(
    session: WriteSession, registry: Registry, hook: Webhook, due: Sequence[HookDelivery]
) -> dict[int, dict[str, Any]]:
    """By the delivery's id what is said of each now; missing is what it may not hear of, and what is gone."""
    told: dict[int, dict[str, Any]] = {}
    for about_id in {delivery.about_id for delivery in due} & registry.municipalities.keys():
        municipality = registry.municipalities[about_id]
        here = [delivery for delivery in due if delivery.about_id == about_id]
        reports = [delivery.entry_id for delivery in here if events.kind_of(delivery) == "report"]
        notices = [delivery.entry_id for delivery in here if events.kind_of(delivery) == "notice"]
        session.enter(about_id)
        happened = {what.entry_id: what for what in events.happenings(session, about_id, reports)}
        tellings = {one[0].id: one for one in noticing.told(session, about_id, notices)} if notices else {}
        for delivery in here:
            if events.kind_of(delivery) == "category":
                if said := categories.payload(delivery, municipality):
                    told[delivery.id] = said
            elif events.kind_of(delivery) == "notice":
                if one := tellings.get(delivery.entry_id):
                    told[delivery.id] = noticing.payload(one, municipality, is_replay=delivery.is_replay)
            elif (what := happened.get(delivery.entry_id)) and events.may_hear(hook, what):
                told[delivery.id] = events.payload(hook, what, municipality, is_replay=delivery.is_replay)
    session.enter(hook.municipality_id)
    return told


def _settle(session: WriteSession, hook: Webhook, delivery: HookDelivery, outcome: Outcome) -> None:
    """Note how it went, and when what is tried again."""
    now = datetime.now(UTC)
    delivery.attempts += 1
    delivery.status = outcome.answer.status if outcome.answer else None
    delivery.problem, delivery.milliseconds = outcome.problem, outcome.milliseconds
    if outcome.problem is None:
        delivery.state, delivery.sent_at = "sent", now
        _recover(session, hook, now)
        return
    wanted = _wanted_wait(outcome.answer, now)
    if delivery.attempts > len(WAITS):
        delivery.state = "dead"
    else:
        delivery.next_at = now + timedelta(seconds=max(_by_chance(WAITS[delivery.attempts - 1]), wanted))
    hook.failures += 1
    hook.failing_since = hook.failing_since or now
    if outcome.answer is not None and outcome.answer.status == GONE:
        _give_up(session, hook, delivery, "gone")
    elif now - hook.failing_since > FAILING_FOR:
        _give_up(session, hook, delivery, "failing")
    elif wanted or hook.failures >= PATIENCE:
        rest = WAITS[min(max(hook.failures - PATIENCE, 0), len(WAITS) - 1)]
        hook.rests_until = now + timedelta(seconds=wanted or _by_chance(min(rest, LONGEST_REST)))


def _recover(session: WriteSession, hook: Webhook, now: datetime) -> None:
    """It answers again: after a rest, what was put off for its silence is due at once, so that it comes in order."""
    if not hook.failures:
        return
    if hook.failures >= PATIENCE:
        session.flush()
        session.execute(
            update(HookDelivery)
            .where(
                HookDelivery.municipality_id == hook.municipality_id,
                HookDelivery.webhook_id == hook.id,
                HookDelivery.state == "waiting",
                HookDelivery.next_at > now,
                or_(HookDelivery.status.is_(None), HookDelivery.status.in_(PUT_OFF), HookDelivery.status >= 500),  # noqa: PLR2004
            )
            .values(next_at=now)
        )
    hook.failures, hook.failing_since = 0, None


def _give_up(session: WriteSession, hook: Webhook, delivery: HookDelivery, why: str) -> None:
    """Switch it off, and let its administrators know."""
    session.flush()
    switch_off(session, hook, why)
    journey.letters(
        session,
        delivery.about_id,
        "webhook_off",
        owner_id=hook.municipality_id,
        webhook_id=str(hook.id),
        why=why,
        delivery_id=delivery.id,
    )


def _wanted_wait(answer: Answer | None, now: datetime) -> float:
    """Seconds that the endpoint asks for with Retry-After, a day at most; 0 where it does not."""
    said = answer.retry_after.strip() if answer else ""
    if said.isascii() and said.isdigit():
        seconds = float(said[:9])
    else:
        try:
            seconds = (parsedate_to_datetime(said) - now).total_seconds() if said else 0.0
        except (ValueError, TypeError):
            seconds = 0.0
    return min(max(seconds, 0.0), WAITS[-1])


def _by_chance(seconds: float) -> float:
    """So long, give or take a fifth: those who failed together do not come back together."""
    return seconds * (0.8 + 0.4 * secrets.randbelow(1_000_000) / 1_000_000)
