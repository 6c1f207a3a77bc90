"""Take jobs out of the table, and write down how they went.

One connection per queue and process, straight to the primary (no transaction-mode pooler: an advisory lock lives as
long as its session). It holds the lock `(OWNERS, owner)`; a leased row whose owner holds no such lock belongs to a
worker that is gone, and whoever sees that twice, a second apart, sets it free.

Commits here do not wait for the disk: after a power cut a job may come twice, which it may anyway.
"""

from __future__ import annotations

import contextlib
import json
import select
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Self, cast

import psycopg
import structlog
from dramatiq import Consumer, Message, MessageProxy
from dramatiq.errors import BrokerConnectionError
from psycopg.rows import TupleRow

from city.jobs import CHANNEL, DEAD
from workers.lease import Lease, LeasedJob, Verdict
from workers.statements import ADOPT, AGAIN, BURY, CLAIM, DELETE, FETCH, OUST, OWNERS, REAP, RETURN, VANISHED

REAP_SECONDS: Final = 1.0

SESSION: Final = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "synchronous_commit": "off",
        "enable_seqscan": "off",  # a plan made while the table was empty would read a long queue from end to end
        "jit": "off",
        "statement_timeout": "30s",
        "tcp_keepalives_idle": "20",  # a host that lost its power holds its lock no longer than a minute
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
    }.items()
)

log = structlog.get_logger("workers.consumer")


@contextlib.contextmanager
def broker_errors() -> Iterator[None]:
    """Turn a lost database into dramatiq's BrokerConnectionError, upon which it starts the consumer anew."""
    try:
        yield
    except psycopg.OperationalError as error:
        away = f"the database is away: {type(error).__name__} {error.sqlstate or ''}"
        raise BrokerConnectionError(away) from error  # type: ignore[no-untyped-call]


class PostgresConsumer(Consumer):
    """The jobs of one queue for one worker process, at most `prefetch` in hand.

    All methods but `ack`, `nack` and `requeue` belong to the queue's consumer thread.
    """

    def __init__(self, url: str, queue: str, lease: Lease, *, prefetch: int, timeout_seconds: float) -> None:
        self._queue = queue
        self._lease = lease
        self._prefetch = prefetch
        self._timeout_seconds = timeout_seconds
        self._rung = False
        self._suspects: set[int] = set()
        self._reap_at = time.monotonic() + REAP_SECONDS
        with broker_errors():
            self._connection = psycopg.connect(
                url,
                autocommit=True,
                application_name="lampione worker",
                connect_timeout=10,
                options=SESSION,
                keepalives_idle=20,
                keepalives_interval=10,
                keepalives_count=3,
            )
            try:
                self._connection.add_notify_handler(self._ring)
                self._claim()
                self._adopt()
                self._connection.execute(f"LISTEN {CHANNEL}")
            except BaseException:
                self._connection.close()
                raise

    # --- what dramatiq calls -------------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> MessageProxy | None:
        """The next job, or None when `timeout_seconds` have passed without one. Raises BrokerConnectionError."""
        deadline = time.monotonic() + self._timeout_seconds
        with broker_errors():
            while not self._lease.ready:
                self._rung = False
                self._settle()
                self._reap()
                self._fetch()
                left = deadline - time.monotonic()
                if self._lease.ready:
                    break
                if left <= 0:
                    return None
                self._wait(left)
        return self._lease.ready.popleft()

    def ack(self, message: MessageProxy) -> None:
        """The actor came back: the job is done, or is to be tried again."""
        job = cast("LeasedJob", message)
        self._lease.conclude(job, Verdict.DONE if job.again_after_seconds is None else Verdict.AGAIN)

    def nack(self, message: MessageProxy) -> None:
        """The job has failed for good."""
        job = cast("LeasedJob", message)
        log.error("job_dead", actor=job.actor_name, message_id=job.message_id, error=job.error)
        self._lease.conclude(job, Verdict.DEAD)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give back what nobody has begun."""
        for message in messages:
            self._lease.conclude(cast("LeasedJob", message), Verdict.UNTOUCHED)

    def close(self) -> None:
        """Give back and write down what can be, and let go of the connection.

        When the worker ends with jobs still running, the connection stays until the process is gone: with its lock
        given up earlier, another worker would start what is still being done here.
        """
        self.requeue(self._lease.ready)
        self._lease.ready.clear()
        with contextlib.suppress(psycopg.Error):
            self._settle()
        if self._lease.taking or not self._lease.held:
            self._connection.close()

    # --- the connection ------------------------------------------------------------------------------------------

    def _claim(self) -> None:
        """Hold the lock that says we live. A session of ours that the server takes for living is ended first."""
        key = {"owners": OWNERS, "owner": self._lease.owner}
        deadline = time.monotonic() + self._timeout_seconds
        while not self._value(CLAIM, key):
            if time.monotonic() > deadline:
                raise psycopg.OperationalError("our former session still holds our lock")
            self._connection.execute(OUST, key)
            time.sleep(0.05)

    def _adopt(self) -> None:
        """Agree with the table on what we hold, after the connection was lost."""
        rows = self._connection.execute(ADOPT, {"owner": self._lease.owner}).fetchall()
        ours = {row_id for (row_id,) in rows}
        if lost := self._lease.keep_only(ours):
            log.warning("jobs_taken_away", jobs=len(lost))
        # Leased by a fetch whose answer never came.
        if unknown := [row_id for row_id in ours if row_id not in self._lease.held]:
            self._connection.execute(RETURN, {"owner": self._lease.owner, "ids": unknown})

    def _value(self, statement: str, parameters: Mapping[str, Any]) -> Any:
        row = self._connection.execute(statement, parameters).fetchone()
        return row[0] if row else None

    def _ring(self, _notification: psycopg.Notify) -> None:
        self._rung = True

    def _wait(self, seconds: float) -> None:
        """Sleep until a promise is kept, a job ends, or `seconds` have passed."""
        if not self._rung:
            select.select([self._connection.fileno(), self._lease.wake], [], [], min(seconds, REAP_SECONDS))
        self._lease.quieten()

    # --- the table -----------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        free = self._prefetch - len(self._lease.held)
        if free <= 0 or not self._lease.taking:
            return
        parameters = {"owner": self._lease.owner, "queue": self._queue, "most": free}
        for row in sorted(self._connection.execute(FETCH, parameters), key=lambda row: row[:3]):
            job = self._job(row)
            self._lease.held[job.row_id] = job
            self._lease.ready.append(job)

    def _job(self, row: TupleRow) -> LeasedJob:
        _, _, row_id, message_id, actor, arguments, options, created_at = row
        usable = isinstance(arguments, dict) and isinstance(options, dict)
        message = Message[Any](
            queue_name=self._queue,
            actor_name=actor,
            args=(),
            kwargs=arguments if usable else {},
            options=options if usable else {},
            message_id=str(message_id),
            message_timestamp=int(created_at.timestamp() * 1000),
        )
        job = LeasedJob(message, row_id)
        if not usable:
            job.fail()
            job.stuff_exception(TypeError("arguments and options must be JSON objects"))
        return job

    def _settle(self) -> None:
        """Write down all outcomes there are; safe to repeat when the database goes away in between."""
        outcomes = list(self._lease.outcomes)
        if not outcomes:
            return
        by_verdict: defaultdict[Verdict, list[LeasedJob]] = defaultdict(list)
        for outcome in outcomes:
            by_verdict[outcome.verdict].append(outcome.job)
        self._change_all(DELETE, by_verdict[Verdict.DONE])
        self._change_all(RETURN, by_verdict[Verdict.UNTOUCHED])
        self._change_each(AGAIN, by_verdict[Verdict.AGAIN])
        self._change_each(BURY, by_verdict[Verdict.DEAD])
        self._lease.settled(outcomes)

    def _change_all(self, statement: str, jobs: Sequence[LeasedJob]) -> None:
        if jobs:
            parameters = {"owner": self._lease.owner, "ids": [job.row_id for job in jobs]}
            self._connection.execute(statement, parameters)

    def _change_each(self, statement: str, jobs: Sequence[LeasedJob]) -> None:
        for job in jobs:
            # dramatiq's traceback holds the exception's own words, which may be a citizen's.
            options = {key: value for key, value in job.options.items() if key != "traceback"}
            parameters = {
                "owner": self._lease.owner,
                "id": job.row_id,
                "options": json.dumps(options, default=str),
                "error": job.error,
                "seconds": job.again_after_seconds or 0,
            }
            self._connection.execute(statement, parameters)

    def _reap(self) -> None:
        """Once a second, set free what workers held that were gone a second ago and still are."""
        if time.monotonic() < self._reap_at:
            return
        self._reap_at = time.monotonic() + REAP_SECONDS
        gone = {owner for (owner,) in self._connection.execute(VANISHED, {"owners": OWNERS})}
        vanished, self._suspects = gone & self._suspects, gone
        if vanished:
            for message_id, actor, state, losses in self._connection.execute(REAP, {"vanished": list(vanished)}):
                event = "job_dead" if state == DEAD else "job_of_a_vanished_worker"
                log.warning(event, actor=actor, message_id=str(message_id), losses=losses)
