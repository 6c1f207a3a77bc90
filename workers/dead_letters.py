"""What has failed for good: list it, count it, run it again once its cause is gone.

Any session that may see the job table will do (`provincial()` at the command line).
"""
# ruff: noqa: S608 - what is woven in are the numbers of states

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg.rows import class_row

from city.database import ReadSession, WriteSession
from city.jobs import DEAD, LEASED, WAITING, bell

LIST: Final = f"""
SELECT id, actor, arguments, coalesce(error, '') AS error, coalesce((options ->> 'retries')::integer, 0) AS tries,
  created_at, visible_at AS died_at
FROM job WHERE state = {DEAD} ORDER BY visible_at DESC, id DESC LIMIT %s
"""
RERUN: Final = f"""
UPDATE job SET state = {WAITING}, owner = NULL, error = NULL, visible_at = now(),
  options = options - '{{retries,requeue_timestamp,lost}}'::text[]
WHERE state = {DEAD} AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s::bigint[]))
"""
COUNT: Final = f"""
SELECT actor, count(*) FILTER (WHERE state = {WAITING} AND visible_at <= now()) AS waiting,
  count(*) FILTER (WHERE state = {WAITING} AND visible_at > now()) AS later,
  count(*) FILTER (WHERE state = {LEASED}) AS running,
  count(*) FILTER (WHERE state = {DEAD}) AS dead,
  min(created_at) FILTER (WHERE state <> {DEAD}) AS oldest_at
FROM job GROUP BY actor ORDER BY actor
"""


class DeadJob(NamedTuple):
    """A job that has failed for good."""

    id: int
    actor: str
    arguments: dict[str, Any]
    error: str
    """Classes, codes and places; no values."""
    tries: int
    created_at: datetime
    died_at: datetime


class Waiting(NamedTuple):
    """How many jobs of one actor there are."""

    actor: str
    waiting: int
    """Could be done now."""
    later: int
    """Delayed, or waiting to be tried again."""
    running: int
    """In the hands of a worker."""
    dead: int
    oldest_at: datetime | None
    """When the oldest that is not dead was promised."""


def dead_jobs(session: ReadSession, *, most: int = 100) -> list[DeadJob]:
    """The dead letters, the latest first."""
    with session.raw.cursor(row_factory=class_row(DeadJob)) as cursor:
        return cursor.execute(LIST, [most]).fetchall()


def rerun(session: WriteSession, ids: Iterable[int] | None = None) -> int:
    """Put dead letters back into the queue with all their tries: those with these `ids`, or all. Gives how many."""
    chosen = None if ids is None else list(ids)
    revived = session.raw.execute(RERUN, {"ids": chosen}).rowcount
    if revived:
        session.after_commit(bell.ring)
    return revived


def waiting_counts(session: ReadSession) -> list[Waiting]:
    """The jobs there are, by actor; actors without jobs are left out."""
    with session.raw.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(COUNT).fetchall()
