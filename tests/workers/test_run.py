"""The worker process as the operator starts it: from the settings, with the city's own actors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from city.errors import SettingsError
from city.jobs import DEAD
from commands.cluster import Cluster
from workers.app import worker_settings

ROOT = Path(__file__).parents[2]

TOLD_AT_ONCE = """
import os, signal, threading, time
from dramatiq import Middleware
from workers import run

class Told(Middleware):
    def after_process_boot(self, broker):
        os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=time.sleep, args=(60,), daemon=True).start()  # as libraries do
run.broker().add_middleware(Told())
run.main()
"""

Wait = Callable[..., None]


@pytest.fixture
def begin(url: str, job_cluster: Cluster) -> Callable[[str], subprocess.Popen[str]]:
    """Start a program with the settings of a worker."""
    environment = {
        "LAMPIONE_DATABASE_URL": url,
        "LAMPIONE_READER_URL": job_cluster.url("lampione_reader", "jobs"),
        "LAMPIONE_SECRET": "a secret of at least 32 characters",
        "LAMPIONE_WORKER_THREADS": "2",
    }

    def started(program: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, env=os.environ | environment, stderr=subprocess.PIPE, text=True
        )

    return started


def test_a_worker_starts_from_the_settings_and_ends_with_nothing_amiss(
    begin: Callable[[str], subprocess.Popen[str]], look: psycopg.Connection, wait_until: Wait
) -> None:
    worker = begin("from workers.run import main; main()")
    look.execute("INSERT INTO job (actor, arguments) VALUES ('nobody', '{}')")
    wait_until(lambda: look.execute("SELECT state FROM job").fetchall() == [(DEAD,)])
    worker.terminate()
    _, written = worker.communicate(timeout=20)
    assert worker.returncode == 0
    events = [json.loads(line) for line in written.splitlines()]
    started = next(event for event in events if event["event"] == "worker_started")
    assert started["threads"] == 2
    assert {"derive_photos", "tell_reporter", "republish_category"} <= set(started["actors"])
    assert [event for event in events if event["level"] == "critical"] == []
    assert [event["actor"] for event in events if event["event"] == "job_dead"] == ["nobody"]


def test_a_worker_told_to_end_while_it_starts_ends_in_order(begin: Callable[[str], subprocess.Popen[str]]) -> None:
    worker = begin(TOLD_AT_ONCE)
    _, written = worker.communicate(timeout=20)
    assert worker.returncode == 0
    assert json.loads(written.splitlines()[-1])["event"] == "worker_stopped"


def test_a_setting_that_cannot_be_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPIONE_WORKER_THREADS", "0")
    worker_settings.cache_clear()
    try:
        with pytest.raises(SettingsError, match="LAMPIONE_WORKER_THREADS"):
            worker_settings()
    finally:
        worker_settings.cache_clear()
