"""One worker process: N threads for the jobs, one for the chores, and an orderly end.

SIGTERM or SIGINT: no new jobs; running ones get `grace_seconds` to finish, what nobody has begun goes back to the
queue at once, and what has not finished by then when the process is gone. Further signals change nothing: a terminal
and a supervisor often both send one.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import structlog
from dramatiq import Worker

from city.database import check_roles
from city.logs import write_logs
from city.reports.journey import WEBHOOKS
from city.settings import settings
from workers.app import broker, worker_settings
from workers.broker import PostgresBroker
from workers.chores import Chore, Housekeeping

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
FAREWELL_SECONDS: Final = 10.0
"""For putting jobs back and hanging up, after the running ones have had their time."""

log = structlog.get_logger("workers.run")


def main(chores: Iterable[Chore] = ()) -> None:
    """Work until told to stop, then leave the process. Raises SettingsError before anything has begun."""
    settings().check()
    check_roles()
    write_logs()
    chosen = worker_settings()
    serve(
        broker(),
        settings().database_url,
        chores=chores,
        threads=chosen.threads,
        apart={WEBHOOKS: chosen.webhook_threads},
        grace_seconds=chosen.grace_seconds,
    )


def serve(
    jobs: PostgresBroker,
    url: str,
    *,
    chores: Iterable[Chore] = (),
    threads: int = 4,
    apart: Mapping[str, int] = MappingProxyType({}),
    grace_seconds: float = 30.0,
) -> None:
    """Do the jobs of `jobs` and the `chores` until SIGTERM or SIGINT, then leave the process with status 0.

    `apart`: queues with so many threads of their own. Belongs to the main thread.
    """
    asked_to_end = _listen()
    # Threads made from here on, and the programs that they start, are left alone by a Ctrl-C that the whole group gets.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    shared = jobs.get_declared_queues() - apart.keys()
    workers = [Worker(jobs, queues=shared, worker_threads=threads)]
    workers += [Worker(jobs, queues={queue}, worker_threads=own) for queue, own in apart.items()]
    # Each of them adds a middleware of its own to the broker, as it must; dramatiq warns of the second.
    logging.getLogger(f"dramatiq.broker.{type(jobs).__name__}").addFilter(
        lambda record: "same type twice" not in str(record.msg)
    )
    housekeeping = Housekeeping(url, chores)
    jobs.emit_after("process_boot")
    for worker in workers:
        worker.start()
    housekeeping.start()
    log.info("worker_started", threads=threads, actors=sorted(jobs.get_declared_actors()))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    received = os.read(asked_to_end, 1)[0]
    log.info("worker_stopping", signal=signal.Signals(received).name, grace_seconds=grace_seconds)
    _leave_after(grace_seconds + FAREWELL_SECONDS)
    endings = [
        threading.Thread(target=worker.stop, kwargs={"timeout": round(grace_seconds * 1000)}) for worker in workers
    ]
    for ending in endings:
        ending.start()
    for ending in endings:
        ending.join()
    housekeeping.end(within_seconds=1.0)
    jobs.close()
    log.info("worker_stopped")
    _leave()


def _listen() -> int:
    """Heed SIGTERM and SIGINT from now on, whichever thread they reach; gives what to read their numbers from.

    Libraries may have made threads already: one of them gets what ours have blocked.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    return reading


def _leave_after(seconds: float) -> None:
    """Leave though something hangs: what it held is set free by the other workers."""
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    """End without waiting for threads whose jobs did not finish in time: they must not outlive their lease."""
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(0)
