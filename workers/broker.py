"""dramatiq's door to the job table.

Actors and middleware are plain dramatiq, so that another broker can take this one's place. What differs: a delay is a
column and not a second queue, a retried message goes back into its own row, and arguments are named.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Final, cast

import psycopg
from dramatiq import Broker, Consumer, Message, MessageProxy, Middleware, Worker
from dramatiq.errors import QueueJoinTimeout, QueueNotFound
from dramatiq.middleware import SkipMessage

from city.jobs import CHANNEL
from workers.consumer import PostgresConsumer, broker_errors
from workers.lease import Lease, LeasedJob
from workers.statements import FLUSH, SEND, UNFINISHED

DEFAULT_QUEUE: Final = "default"
JOIN_POLL_SECONDS: Final = 0.02


class PostgresBroker(Broker):
    """Jobs from and to the table `job` of the database at `url`, which must be the primary and no pooler.

    Making one touches no database.
    """

    def __init__(self, url: str, middleware: list[Middleware] | None = None) -> None:
        self._url = url
        self._leases: dict[str, Lease] = {}
        self._sender: psycopg.Connection[Any] | None = None
        self._sending = threading.Lock()
        super().__init__(middleware=middleware)
        self.add_middleware(_Holding(self._leases))
        self.declare_queue(DEFAULT_QUEUE)

    def declare_queue(self, queue_name: str) -> None:
        """Make the queue known; safe to repeat."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self._leases[queue_name] = Lease()
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        """The jobs of a queue. Raises QueueNotFound, or BrokerConnectionError where the database does not answer."""
        if queue_name not in self._leases:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        lease = self._leases[queue_name]
        return PostgresConsumer(self._url, queue_name, lease, prefetch=prefetch, timeout_seconds=timeout / 1000)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Send `message`, to be seen after `delay` milliseconds.

        A job that a worker has in hand goes back into its own row. A new one is sent outside of any transaction: what
        belongs to a change in the city is promised with `city.jobs.promise` instead.

        Raises TypeError for positional arguments, BrokerConnectionError where the database does not answer.
        """
        self.emit_before("enqueue", message, delay)
        if isinstance(cast("object", message), LeasedJob):
            cast("LeasedJob", message).again_after_seconds = (delay or 0) / 1000
        else:
            self._send(message, (delay or 0) / 1000)
        self.emit_after("enqueue", message, delay)
        return message

    def flush(self, queue_name: str) -> None:
        """Drop the jobs of a queue that nobody has begun."""
        self._execute(FLUSH, queue_name)

    def flush_all(self) -> None:
        """Drop the jobs of all queues that nobody has begun."""
        for queue_name in self.get_declared_queues():
            self.flush(queue_name)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until the queue is empty, for tests. Raises QueueJoinTimeout after `timeout` milliseconds."""
        deadline = time.monotonic() + (timeout / 1000 if timeout is not None else float("inf"))
        while self._execute(UNFINISHED, queue_name):
            if time.monotonic() > deadline:
                raise QueueJoinTimeout(queue_name)  # type: ignore[no-untyped-call]
            time.sleep(JOIN_POLL_SECONDS)

    def close(self) -> None:
        """Let go of the connection for sending."""
        with self._sending:
            self._hang_up()

    def _send(self, message: Message[Any], delay_seconds: float) -> None:
        if message.args:
            raise TypeError(f"the arguments of {message.actor_name} must be named")
        options = {key: value for key, value in message.options.items() if key != "eta"}
        arguments, options_text = json.dumps(message.kwargs), json.dumps(options)
        self._execute(
            SEND,
            message.message_id,
            message.queue_name,
            message.actor_name,
            arguments,
            options_text,
            delay_seconds,
            ring=True,
        )

    def _execute(self, statement: str, *parameters: object, ring: bool = False) -> Any:
        """Run one statement on the connection for sending, opened at need; gives the first value of its answer."""
        with self._sending, broker_errors():
            if self._sender is None:
                self._sender = psycopg.connect(
                    self._url, autocommit=True, application_name="lampione sender", connect_timeout=10
                )
            try:
                cursor = self._sender.execute(statement, parameters)
                if ring:
                    self._sender.execute(f"NOTIFY {CHANNEL}")
            except psycopg.OperationalError:
                self._hang_up()
                raise
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def _hang_up(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None


class _Holding(Middleware):
    """Begins only what is still ours, and takes no more when the worker ends."""

    def __init__(self, leases: dict[str, Lease]) -> None:
        self._leases = leases

    def before_worker_boot(self, _broker: Broker, _worker: Worker) -> None:
        for lease in self._leases.values():
            lease.taking = True

    def before_worker_shutdown(self, _broker: Broker, _worker: Worker) -> None:
        for lease in self._leases.values():
            lease.taking = False

    def before_process_message(self, _broker: Broker, message: MessageProxy) -> None:
        if isinstance(message, LeasedJob) and not self._leases[message.queue_name].holds(message):
            raise SkipMessage("taken away while the database was out of reach")
