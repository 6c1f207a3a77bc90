"""Chores: by one worker of many, and none stops another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
import pytest
import structlog
from structlog.testing import CapturingLogger

from city.jobs import CHANNEL
from workers import chores
from workers.chores import Chore, Housekeeping

Wait = Callable[..., None]


def test_of_two_workers_one_does_the_chore_and_the_other_takes_over(url: str, wait_until: Wait) -> None:
    done: list[str] = []
    first = Housekeeping(url, [Chore("sweep", 0.05, lambda: done.append("first"))])
    first.start()
    wait_until(lambda: len(done) >= 2)
    second = Housekeeping(url, [Chore("sweep", 0.05, lambda: done.append("second"))])
    second.start()
    time.sleep(0.4)
    assert set(done) == {"first"}
    first.end(within_seconds=5)
    wait_until(lambda: "second" in done)
    second.end(within_seconds=5)


def test_a_chore_that_fails_stops_no_other_and_is_tried_again(
    url: str, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    said = CapturingLogger()
    monkeypatch.setattr(chores, "log", structlog.wrap_logger(said, processors=[]))

    def break_down() -> None:
        tries.append("bad")
        raise LookupError("anna.rossi@example.org")

    house = Housekeeping(url, [Chore("bad", 0.05, break_down), Chore("good", 0.05, lambda: tries.append("good"))])
    house.start()
    wait_until(lambda: tries.count("bad") >= 2 and tries.count("good") >= 2)
    house.end(within_seconds=5)
    assert "chore_failed" in str(said.calls)
    assert "LookupError" in str(said.calls)
    assert "anna.rossi" not in str(said.calls)


def test_chores_keep_to_their_pace(url: str) -> None:
    done: list[float] = []
    house = Housekeeping(url, [Chore("slow", 60, lambda: done.append(time.monotonic()))])
    house.start()
    time.sleep(0.4)
    house.end(within_seconds=5)
    assert len(done) == 1


def test_a_chore_that_listens_is_done_when_the_bell_rings_and_no_other_is(
    url: str, look: psycopg.Connection, wait_until: Wait
) -> None:
    done: list[str] = []
    listening = Chore("listening", 60, lambda: done.append("listening"), rung_seconds=0.01)
    house = Housekeeping(url, [listening, Chore("deaf", 60, lambda: done.append("deaf"))])
    house.start()
    for times in range(1, 4):
        wait_until(lambda times=times: done.count("listening") == times)
        look.execute(f"NOTIFY {CHANNEL}")
    house.end(within_seconds=5)
    assert done.count("deaf") == 1


def test_chores_survive_the_loss_of_their_connection(url: str, look: psycopg.Connection, wait_until: Wait) -> None:
    done: list[int] = []
    house = Housekeeping(url, [Chore("sweep", 0.05, lambda: done.append(1))])
    house.start()
    wait_until(lambda: done)
    look.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lampione housekeeping'"
    )
    before = len(done)
    wait_until(lambda: len(done) > before + 1)
    house.end(within_seconds=5)


def test_an_end_waits_for_the_chore_at_hand(url: str) -> None:
    begun, ended = threading.Event(), threading.Event()

    def linger() -> None:
        begun.set()
        time.sleep(0.5)
        ended.set()

    house = Housekeeping(url, [Chore("long", 60, linger)])
    house.start()
    assert begun.wait(5)
    house.end(within_seconds=5)
    assert ended.is_set()
