"""Promise a job in this transaction: one table is outbox and queue at once.

A job promised in a transaction that is undone never existed; one promised in a transaction that is kept is never
lost. It carries ids only, is reloaded under lock and may come twice without harm. `workers` reads the table.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Index, Integer, SmallInteger, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base, ReadSession, WriteSession, app_engine

CHANNEL: Final = "lampione_job"
WAITING: Final = 0
LEASED: Final = 1
DEAD: Final = 2
ORDINARY: Final = 10
URGENT: Final = 0
"""Somebody waits in front of the screen."""

_PROMISE_ONCE: Final = f"""
INSERT INTO job (message_id, queue, actor, arguments) VALUES (%s, %s, %s, %s)
ON CONFLICT (message_id) DO UPDATE SET state = {WAITING}, visible_at = now(), options = '{{}}'
WHERE job.state = {DEAD} AND job.visible_at < now() - interval '5 minutes'
"""  # noqa: S608


class Job(Base):
    """One thing to do: an actor's name and its arguments."""

    __tablename__ = "job"
    __table_args__ = (
        Index(
            "job_next_index",
            "queue",
            "priority",
            "visible_at",
            "id",
            postgresql_where=text(f"state = {WAITING}"),
        ),
        Index("job_leased_index", "owner", postgresql_where=text(f"state = {LEASED}")),
        Index("job_message_index", "message_id", unique=True),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    message_id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
    queue: Mapped[str] = mapped_column(server_default="default")
    actor: Mapped[str]
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB)
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=str(ORDINARY))
    state: Mapped[int] = mapped_column(SmallInteger, server_default=str(WAITING))
    owner: Mapped[int | None] = mapped_column(Integer)
    """The advisory lock that the leasing worker holds; the lock gone, the job is free again."""
    error: Mapped[str | None]
    visible_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


def promise(
    session: WriteSession, actor: str, *, delay_seconds: float = 0, priority: int = ORDINARY, **arguments: Any
) -> None:
    """Promise that `actor` will be called with `arguments` (JSON values, ids only) once this transaction is kept."""
    session.raw.execute(
        "INSERT INTO job (actor, arguments, visible_at, priority)"
        " VALUES (%s, %s, now() + make_interval(secs => %s), %s)",
        (actor, json.dumps(arguments, default=str), delay_seconds, priority),
    )
    session.promised.append((actor, arguments))
    session.after_commit(bell.ring)


def is_promised(session: ReadSession, actor: str) -> bool:
    """Whether a job of this actor is still to be done, or being done."""
    return (
        session.scalar(select(Job.id).where(Job.actor == actor, Job.state.in_((WAITING, LEASED))).limit(1)) is not None
    )


def promise_once(session: WriteSession, actor: str, once: UUID, queue: str, **arguments: Any) -> None:
    """The same for a job of which there is never more than one under the id `once`, waiting or at work.

    One that is a dead letter is tried again after five minutes.
    """
    session.raw.execute(_PROMISE_ONCE, (once, queue, actor, json.dumps(arguments, default=str)))
    session.promised.append((actor, arguments))
    session.after_commit(bell.ring)


class Bell:
    """Wakes sleeping workers soon after a commit, outside of it.

    `NOTIFY` inside a transaction takes a lock that lets only one such commit through at a time. So a thread rings for
    the whole process, at most twenty times a second; where it fails, the workers' own look once a second catches up.
    """

    pause_seconds = 0.05

    def __init__(self) -> None:
        self._pulled = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def ring(self) -> None:
        """Ask for a ring after the next moment."""
        self._pulled.set()
        if self._thread is None or not self._thread.is_alive():
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._serve, name="job-bell", daemon=True)
                    self._thread.start()

    def _serve(self) -> None:
        while self._pulled.wait(timeout=60):
            self._pulled.clear()
            # Where it fails, the workers look by themselves every second.
            with contextlib.suppress(SQLAlchemyError, OSError):
                _notify()
            time.sleep(self.pause_seconds)


def _notify() -> None:
    engine = app_engine()
    pool = engine.pool
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
    if engine.pool is not pool:
        # The engines were forgotten while we rang: our connection went back to a pool that nobody closes any more.
        pool.dispose()


bell = Bell()
