"""Whose a job is while it is being done.

A worker's hold on its jobs outlives its connection: when the database has been away, the worker comes back under the
same number, keeps the jobs it was at, and settles what it has finished meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from dramatiq import Message, MessageProxy

from city.failures import told


class LeasedJob(MessageProxy):
    """A job in this process's hands: dramatiq's message, the row it came from and how it went."""

    def __init__(self, message: Message[Any], row_id: int) -> None:
        super().__init__(message)
        self.row_id = row_id
        self.error: str | None = None
        """The last failure, told without values."""
        self.again_after_seconds: float | None = None
        """Set when it is to be tried again."""

    def stuff_exception(self, exception: BaseException) -> None:
        """Remember a failure."""
        super().stuff_exception(exception)
        self.error = told(exception)


class Verdict(Enum):
    """What becomes of a leased job's row."""

    DONE = "deleted"
    AGAIN = "waits, then is tried again"
    DEAD = "stays as a dead letter"
    UNTOUCHED = "back to the queue as it was"


class Outcome(NamedTuple):
    """How it went with one job."""

    job: LeasedJob
    verdict: Verdict


@dataclass
class Lease:
    """The jobs of one queue in the hands of this process, under a number that stands in `job.owner`."""

    owner: int = field(default_factory=lambda: secrets.randbelow(2**31 - 1) + 1)
    taking: bool = True
    """False while the worker is ending: no new jobs."""
    held: dict[int, LeasedJob] = field(default_factory=dict)
    """Row id → job, from the fetch until the verdict is in the database."""
    ready: deque[LeasedJob] = field(default_factory=deque)
    """Fetched, and not yet given to dramatiq."""
    outcomes: deque[Outcome] = field(default_factory=deque)
    """Not yet in the database. Worker threads add on the right, the consumer takes from the left."""
    wake: int = field(default_factory=lambda: os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
    """A file descriptor that becomes readable when there are outcomes."""

    def holds(self, job: LeasedJob) -> bool:
        """Whether this very delivery is still ours, and not one that was taken away and came again."""
        return self.held.get(job.row_id) is job

    def conclude(self, job: LeasedJob, verdict: Verdict) -> None:
        """Say how it went; the consumer writes it down at once. From any thread."""
        if self.holds(job):
            self.outcomes.append(Outcome(job, verdict))
            os.eventfd_write(self.wake, 1)

    def settled(self, outcomes: list[Outcome]) -> None:
        """Forget the first `outcomes`: they are in the database."""
        for outcome in outcomes:
            self.outcomes.popleft()
            self.held.pop(outcome.job.row_id, None)

    def keep_only(self, row_ids: set[int]) -> list[int]:
        """Let go of everything but `row_ids`; gives the row ids let go of."""
        lost = [row_id for row_id in self.held if row_id not in row_ids]
        for row_id in lost:
            del self.held[row_id]
        self.ready = deque(job for job in self.ready if self.holds(job))
        return lost

    def quieten(self) -> None:
        """Make `wake` unreadable again."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.wake)

    def close(self) -> None:
        """Give the file descriptor back."""
        if self.wake >= 0:
            os.close(self.wake)
            self.wake = -1
