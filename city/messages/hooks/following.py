"""From the timeline to what each webhook is to be told: when a report changes nothing is noted, so that costs nothing.

A look reads the entries of transactions that the former look's snapshot did not see, and moves the position on in the
transaction that writes the deliveries down: every entry is told once, none of a transaction that was undone, and none
is lost, however long nobody looked. A long absence is caught up with in pieces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from psycopg.rows import dict_row
from sqlalchemy import select

from city.database import PROVINCE, ReadSession, WriteSession
from city.messages.hooks import categories, noticing
from city.messages.hooks.events import COLUMNS, JOINED, Happening, wants
from city.messages.hooks.noticing import Told
from city.messages.hooks.tables import HookPosition, Webhook
from city.position import Position
from city.registry.municipality import Registry

MOST_ENTRIES: Final = 1_000
"""Read in one look."""

_ENTRY: Final = """
  SELECT * FROM timeline_entry
  WHERE (transaction <> %(own)s OR id > %(told)s)
    AND (%(all)s OR municipality_id = ANY (%(municipalities)s))
"""
_LOOK: Final = f"""
WITH entry AS MATERIALIZED (
  SELECT * FROM (
    {_ENTRY} AND transaction >= %(until)s AND transaction < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    UNION ALL
    {_ENTRY} AND transaction = ANY (%(pending)s)
  ) AS new ORDER BY transaction <> %(own)s, transaction, id LIMIT {MOST_ENTRIES}
)
SELECT pg_current_snapshot()::text AS snapshot, extract(epoch FROM now())::bigint AS now, told.*
FROM (SELECT 1) AS always
LEFT JOIN (SELECT {COLUMNS} FROM entry {JOINED}) AS told ON true
ORDER BY told.transaction <> %(own)s, told.transaction, told.entry_id
"""  # noqa: S608

_WRITE: Final = """
INSERT INTO hook_delivery
  (municipality_id, webhook_id, event, about_id, subject_id, entry_id, happened_at, replay_id)
SELECT municipality_id, webhook_id, event, about_id, subject_id, entry_id, happened_at, %(replay_id)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS row
  (municipality_id integer, webhook_id uuid, event text, about_id integer, subject_id uuid, entry_id bigint,
   happened_at timestamptz)
"""

_DUE: Final = """
SELECT municipality_id, id FROM webhook
WHERE is_active AND rests_until <= now() AND EXISTS (
  SELECT FROM hook_delivery AS delivery
  WHERE delivery.municipality_id = webhook.municipality_id AND delivery.webhook_id = webhook.id
    AND delivery.state = 'waiting' AND delivery.next_at <= now())
"""


def follow(session: WriteSession, registry: Registry) -> bool:
    """Write down what is new for every webhook; whether there is more. Needs `provincial()`."""
    hooks = session.scalars(select(Webhook).where(Webhook.is_active)).all()
    if not hooks:
        return False
    position = session.get_one(HookPosition, 1, with_for_update=True, populate_existing=True)
    hooks = session.scalars(select(Webhook).where(Webhook.is_active).order_by(Webhook.municipality_id)).all()
    before = Position.read(position.seen or "")
    if before is None:
        raise RuntimeError("a webhook was switched on without a place to read from")
    found, after = _look(session, before, {hook.municipality_id for hook in hooks})
    position.seen = str(after)
    write_down(session, registry, hooks, sorted(found, key=lambda one: one.entry_id))
    return len(found) == MOST_ENTRIES


def _look(session: ReadSession, before: Position, owners: Collection[int]) -> tuple[list[Happening], Position]:
    """The next entries, and the position with them told."""
    asked = {
        "own": before.transaction,
        "told": before.entry,
        "until": before.until,
        "pending": sorted(before.pending),
        "all": PROVINCE in owners,
        "municipalities": sorted(owners),
    }
    with session.raw.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_LOOK, asked).fetchall()
    seen = Position.of(rows[0]["snapshot"], rows[0]["now"])
    for row in rows:
        del row["snapshot"], row["now"]
    found = [Happening(**row) for row in rows if row["entry_id"] is not None]
    if seen.until < before.until:  # brought back from a copy: another server counts transactions anew
        return [], seen
    if len(found) < MOST_ENTRIES:
        return found, seen
    return found, before.within(rows[-1]["transaction"], rows[-1]["entry_id"], seen)


def write_down(
    session: WriteSession,
    registry: Registry,
    hooks: Sequence[Webhook],
    found: Iterable[Happening],
    replay_id: UUID | None = None,
) -> int:
    """A delivery for each webhook that wants one, in order; how many."""
    rows = [
        {
            "municipality_id": hook.municipality_id,
            "webhook_id": hook.id,
            "event": what.event,
            "about_id": what.municipality_id,
            "subject_id": what.report_id,
            "entry_id": what.entry_id,
            "happened_at": what.at,
        }
        for what in found
        if (municipality := registry.municipalities.get(what.municipality_id)) is not None
        for hook in hooks
        if wants(hook, what, municipality)
    ]
    return _write(session, rows, replay_id)


def note_notices(
    session: WriteSession,
    registry: Registry,
    hooks: Sequence[Webhook],
    found: Iterable[Told],
    replay_id: UUID | None = None,
) -> int:
    """The same for tellings of notices."""
    rows = [
        {
            "municipality_id": hook.municipality_id,
            "webhook_id": hook.id,
            "event": noticing.event_of(telling),
            "about_id": telling.municipality_id,
            "subject_id": notice.id,
            "entry_id": telling.id,
            "happened_at": telling.created_at,
        }
        for telling, notice in found
        if (municipality := registry.municipalities.get(telling.municipality_id)) is not None
        for hook in hooks
        if noticing.wants(hook, (telling, notice), municipality)
    ]
    return _write(session, rows, replay_id)


def note_notice(session: WriteSession, registry: Registry, municipality_id: int, telling_id: int) -> None:
    """Write down for every webhook that people are told of a notice, once and in order. Needs `provincial()`."""
    hooks = session.scalars(select(Webhook).where(Webhook.is_active)).all()
    note_notices(session, registry, hooks, noticing.take_unnoted(session, municipality_id, telling_id))


def note_category(
    session: WriteSession, registry: Registry, municipality_id: int, category_id: int, change: int
) -> None:
    """Write down for every webhook that the reports of a category are to be read anew. Needs `provincial()`."""
    municipality = registry.municipalities[municipality_id]
    hooks = session.scalars(select(Webhook).where(Webhook.is_active)).all()
    _write(session, categories.rows(hooks, municipality, municipality.category_ids[category_id], change), None)


def _write(session: WriteSession, rows: list[dict[str, Any]], replay_id: UUID | None) -> int:
    if rows:
        session.raw.execute(_WRITE, {"rows": orjson.dumps(rows).decode(), "replay_id": replay_id})
    return len(rows)


def due(session: ReadSession) -> list[tuple[int, UUID]]:
    """Municipality and id of the webhooks that have something to be told now. Needs `provincial()`."""
    return session.raw.execute(_DUE).fetchall()
