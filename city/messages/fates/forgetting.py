"""What is kept of messages, and how long.

Whom a message went to is forgotten after some months. That the reporter was told an entry of a report stays as long as
the report: nobody hears twice. That somebody was told of a notice stays for a year: it may be changed or withdrawn.
All else is then forgotten altogether, as is what subscribers were told.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import text as statement

from city.database import WriteSession

ADDRESSES_FOR: Final = timedelta(days=90)
TIDINGS_FOR: Final = timedelta(days=30)
NOTICES_FOR: Final = timedelta(days=365)
PAUSES_FOR: Final = timedelta(days=365)
"""Somebody may have another mailbox of that name by then."""
BATCH: Final = 2_000

_OLD: Final = """
  SELECT municipality_id, id, kind = 'report' OR telling_id IS NOT NULL AS stays FROM delivery
  WHERE address <> '' AND created_at < now() - :age AND state <> 'queued'
  ORDER BY created_at LIMIT :batch FOR UPDATE SKIP LOCKED
"""
_FORGET: Final = statement(f"""
  WITH old AS ({_OLD}), gone AS (
    DELETE FROM delivery USING old
    WHERE delivery.municipality_id = old.municipality_id AND delivery.id = old.id AND NOT old.stays
  ), blank AS (
    UPDATE delivery SET address = '', receipt = NULL FROM old
    WHERE delivery.municipality_id = old.municipality_id AND delivery.id = old.id AND old.stays
  )
  SELECT count(*) FROM old
""")  # noqa: S608
_TOLD: Final = statement("""
  WITH old AS (
    SELECT municipality_id, id FROM tiding
    WHERE delivery_id IS NOT NULL AND due_at < now() - :age
      AND NOT EXISTS (
        SELECT FROM delivery WHERE delivery.municipality_id = tiding.municipality_id
          AND delivery.id = tiding.delivery_id AND delivery.state = 'queued'
      )
    ORDER BY due_at LIMIT :batch
  ), gone AS (
    DELETE FROM tiding USING old WHERE tiding.municipality_id = old.municipality_id AND tiding.id = old.id
  )
  SELECT count(*) FROM old
""")
_NOTICES: Final = statement("""
  WITH old AS (
    SELECT delivery.municipality_id, delivery.id FROM notice_telling AS telling
    JOIN delivery ON delivery.municipality_id = telling.municipality_id AND delivery.telling_id = telling.id
    WHERE telling.created_at < now() - :age AND delivery.state <> 'queued' LIMIT :batch
  ), gone AS (
    DELETE FROM delivery USING old WHERE delivery.municipality_id = old.municipality_id AND delivery.id = old.id
  )
  SELECT count(*) FROM old
""")
_PAUSES: Final = statement("DELETE FROM paused_address WHERE paused_at < now() - :age")


def forget(session: WriteSession) -> bool:
    """Forget some of what is old enough, in all municipalities; whether there may be more."""
    session.execute(_PAUSES, {"age": PAUSES_FOR})
    deliveries = session.scalar(_FORGET, {"age": ADDRESSES_FOR, "batch": BATCH})
    tidings = session.scalar(_TOLD, {"age": TIDINGS_FOR, "batch": BATCH})
    notices = session.scalar(_NOTICES, {"age": NOTICES_FOR, "batch": BATCH})
    return BATCH in {deliveries, tidings, notices}
