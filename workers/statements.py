"""What the broker says to the job table.

A row waits (visible from `visible_at` on), is leased by a worker (`owner`), or is dead. Done rows are deleted. Every
change of a leased row asks for its owner again, so that a verdict that comes too late changes nothing.
"""
# ruff: noqa: S608 - what is woven in are the numbers of states

from __future__ import annotations

from typing import Final

from city.jobs import DEAD, LEASED, WAITING

OWNERS: Final = 0x4C6F62
"""One half of the key of the workers' advisory locks; the other is the owner's number."""
MOST_LOSSES: Final = 5
"""A job during which that many workers have vanished is likely what kills them: it becomes a dead letter."""

FETCH: Final = f"""
UPDATE job SET state = {LEASED}, owner = %(owner)s
WHERE id = ANY(ARRAY(
  SELECT id FROM job WHERE state = {WAITING} AND queue = %(queue)s AND visible_at <= now()
  ORDER BY priority, visible_at, id LIMIT %(most)s FOR UPDATE SKIP LOCKED))
RETURNING priority, visible_at, id, message_id, actor, arguments, options, created_at
"""

DELETE: Final = "DELETE FROM job WHERE owner = %(owner)s AND id = ANY(%(ids)s)"
RETURN: Final = f"UPDATE job SET state = {WAITING}, owner = NULL WHERE owner = %(owner)s AND id = ANY(%(ids)s)"
AGAIN: Final = f"""
UPDATE job SET state = {WAITING}, owner = NULL, options = %(options)s, error = %(error)s,
  visible_at = now() + make_interval(secs => %(seconds)s)
WHERE owner = %(owner)s AND id = %(id)s
"""
BURY: Final = f"""
UPDATE job SET state = {DEAD}, owner = NULL, options = %(options)s, error = %(error)s, visible_at = now()
WHERE owner = %(owner)s AND id = %(id)s
"""

CLAIM: Final = "SELECT pg_try_advisory_lock(%(owners)s, %(owner)s)"
OUST: Final = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND classid = %(owners)s AND objid = %(owner)s AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
ADOPT: Final = f"SELECT id FROM job WHERE state = {LEASED} AND owner = %(owner)s"
VANISHED: Final = f"""
SELECT DISTINCT owner FROM job
WHERE state = {LEASED} AND owner <> ALL (ARRAY(
  SELECT objid::bigint FROM pg_locks
  WHERE locktype = 'advisory' AND classid = %(owners)s AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())))
"""
REAP: Final = f"""
UPDATE job SET owner = NULL, options = jsonb_set(job.options, '{{lost}}', to_jsonb(losses.number)),
  state = CASE WHEN losses.number < {MOST_LOSSES} THEN {WAITING} ELSE {DEAD} END,
  error = CASE WHEN losses.number < {MOST_LOSSES} THEN error ELSE 'WorkerVanished' END,
  visible_at = now() + CASE WHEN losses.number = 1 THEN '0' ELSE random() * 2 ^ losses.number * interval '2s' END
FROM (SELECT id, coalesce((options ->> 'lost')::integer, 0) + 1 AS number FROM job
      WHERE state = {LEASED} AND owner = ANY(%(vanished)s)) AS losses
WHERE job.id = losses.id AND job.state = {LEASED} AND job.owner = ANY(%(vanished)s)
RETURNING job.message_id, job.actor, job.state, losses.number
"""

SEND: Final = """
INSERT INTO job (message_id, queue, actor, arguments, options, visible_at)
VALUES (%s, %s, %s, %s, %s, now() + make_interval(secs => %s))
"""
UNFINISHED: Final = f"SELECT count(*) FROM job WHERE queue = %s AND state IN ({WAITING}, {LEASED})"
FLUSH: Final = f"DELETE FROM job WHERE queue = %s AND state = {WAITING}"
