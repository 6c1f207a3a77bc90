"""Telling a webhook once more what has happened since a moment, from the timeline, marked as a replay.

The timeline is read in pieces, the next one when most of the last has been sent: a replay of years holds up neither
what is new, which goes before it, nor anybody else, and goes on where it was after any interruption.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.rows import class_row
from sqlalchemy import func, select, update

from city.database import ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.messages.hooks import noticing
from city.messages.hooks.events import COLUMNS, JOINED, Happening
from city.messages.hooks.following import note_notices, write_down
from city.messages.hooks.keeping import needs_active
from city.messages.hooks.tables import HookDelivery, HookReplay, Webhook
from city.registry.municipality import Registry
from city.reports.identity import new_id

PIECE: Final = 500
"""Entries read at once; fewer waiting, and the next piece is read."""
LAST_MUNICIPALITY: Final = 2**31 - 1

_SPAN: Final = """
SELECT coalesce(min((
         SELECT min(id) FROM timeline_entry WHERE municipality_id = municipality.id AND at >= %(since)s)), 0),
       coalesce(max((SELECT max(id) FROM timeline_entry WHERE municipality_id = municipality.id)), 0)
FROM municipality WHERE %(owner)s IN (0, id)
"""
_PIECE: Final = f"""
WITH entry AS MATERIALIZED (
  SELECT * FROM timeline_entry
  WHERE (municipality_id, id) > (%(about_id)s, %(entry_id)s) AND municipality_id <= %(until)s
    AND id BETWEEN %(first)s AND %(last)s AND at >= %(since)s
  ORDER BY municipality_id, id LIMIT {PIECE}
)
SELECT {COLUMNS} FROM entry {JOINED} ORDER BY entry.municipality_id, entry.id
"""  # noqa: S608


class Progress(NamedTuple):
    """A replay, and how far it is."""

    replay: HookReplay
    waiting: int
    """Of those queued."""


def begin(session: WriteSession, registry: Registry, hook: Webhook, since: datetime) -> HookReplay:
    """Tell it again what has happened since then. Needs `provincial()`. Raises InvalidInput, Conflict."""
    if since > datetime.now(UTC):
        raise InvalidInput("hooks.future", field="since", value=since.isoformat())
    needs_active(hook)
    if session.scalar(select(HookReplay.id).where(HookReplay.webhook_id == hook.id, HookReplay.state == "running")):
        raise Conflict("hooks.replaying")
    span = session.raw.execute(_SPAN, {"owner": hook.municipality_id, "since": since}).fetchone()
    assert span is not None
    replay = HookReplay(
        municipality_id=hook.municipality_id,
        id=new_id(),
        webhook_id=hook.id,
        since=since,
        about_id=hook.municipality_id,
        first_entry_id=span[0],
        last_entry_id=span[1],
    )
    session.add(replay)
    session.flush()
    session.refresh(replay)
    notices = noticing.told_since(session, hook.municipality_id, since)
    replay.queued = note_notices(session, registry, [hook], notices, replay.id)
    return replay


def listed(session: ReadSession, hook: Webhook) -> list[Progress]:
    """Its replays, the newest first."""
    found = session.scalars(
        select(HookReplay)
        .where(HookReplay.municipality_id == hook.municipality_id, HookReplay.webhook_id == hook.id)
        .order_by(HookReplay.id.desc())
        .limit(50)
    )
    return [Progress(replay, _waiting(session, replay)) for replay in found]


def stop(session: WriteSession, hook: Webhook, replay_id: UUID) -> None:
    """End it; what is waiting of it is not sent. Harmless where it has ended. Raises NotFound."""
    replay = session.get(HookReplay, (hook.municipality_id, replay_id), with_for_update=True)
    if replay is None or replay.webhook_id != hook.id:
        raise NotFound("hooks.no_replay", value=replay_id)
    if replay.state == "running":
        _end(replay, "stopped")
    session.execute(
        update(HookDelivery)
        .where(
            HookDelivery.municipality_id == hook.municipality_id,
            HookDelivery.webhook_id == hook.id,
            HookDelivery.state == "waiting",
            HookDelivery.replay_id == replay_id,
        )
        .values(state="dropped")
    )


def advance(session: WriteSession, registry: Registry) -> bool:
    """Read the next piece for whoever has little waiting; whether anything was read. Needs `provincial()`."""
    running = session.scalars(
        select(HookReplay)
        .where(HookReplay.state == "running")
        .order_by(HookReplay.id)
        .with_for_update(skip_locked=True)
    ).all()
    return sum(_advance(session, registry, replay) for replay in running) > 0


def _advance(session: WriteSession, registry: Registry, replay: HookReplay) -> bool:
    hook = session.get_one(Webhook, (replay.municipality_id, replay.webhook_id))
    if not hook.is_active:
        _end(replay, "stopped")
        return False
    if _waiting(session, replay) >= PIECE:
        return False
    piece = _piece(session, replay)
    replay.queued += write_down(session, registry, [hook], piece, replay.id)
    replay.examined += len(piece)
    if piece:
        replay.about_id, replay.entry_id = piece[-1].municipality_id, piece[-1].entry_id
    if len(piece) < PIECE:
        _end(replay, "done")
    return True


def _piece(session: ReadSession, replay: HookReplay) -> list[Happening]:
    asked: dict[str, Any] = {
        "about_id": replay.about_id,
        "entry_id": replay.entry_id,
        "until": replay.municipality_id or LAST_MUNICIPALITY,
        "first": replay.first_entry_id,
        "last": replay.last_entry_id,
        "since": replay.since,
    }
    with session.raw.cursor(row_factory=class_row(Happening)) as cursor:
        return cursor.execute(_PIECE, asked).fetchall()


def _waiting(session: ReadSession, replay: HookReplay) -> int:
    return (
        session.scalar(
            select(func.count()).where(
                HookDelivery.municipality_id == replay.municipality_id,
                HookDelivery.webhook_id == replay.webhook_id,
                HookDelivery.state == "waiting",
                HookDelivery.is_replay,
                HookDelivery.replay_id == replay.id,
            )
        )
        or 0
    )


def _end(replay: HookReplay, state: str) -> None:
    replay.state, replay.ended_at = state, datetime.now(UTC)
