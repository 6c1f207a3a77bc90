"""A worker process with actors for trials: `python trial_worker.py URL THREADS GRACE_SECONDS`."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import dramatiq
import psycopg

from city.logs import write_logs
from workers.app import WorkerSettings, make_broker
from workers.run import serve

URL, THREADS, GRACE_SECONDS = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])


def note(what: str, job: str) -> None:
    with psycopg.connect(URL) as connection:
        connection.execute("INSERT INTO happened VALUES (%s, %s, %s)", [what, job, os.getpid()])


def linger(job: str, seconds: float) -> None:
    note("begun", job)
    time.sleep(seconds)
    note("done", job)


def linger_outside(job: str, seconds: float) -> None:
    with subprocess.Popen(["sleep", str(seconds)]) as program:
        note("begun", job)
        assert program.wait() == 0
    note("done", job)


if __name__ == "__main__":
    write_logs()
    broker = make_broker(URL, WorkerSettings())
    dramatiq.actor(linger, broker=broker)
    dramatiq.actor(linger_outside, broker=broker)
    serve(broker, URL, threads=THREADS, grace_seconds=GRACE_SECONDS)
