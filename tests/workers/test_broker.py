"""The job table as a queue, with real workers on a real PostgreSQL: nothing lost, nothing born of an undone change."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dramatiq
import dramatiq.worker
import psycopg
import pytest
from dramatiq import Worker

from city.database import provincial
from city.jobs import DEAD, LEASED, WAITING, promise
from commands.cluster import Cluster
from workers.app import WorkerSettings, make_broker
from workers.broker import PostgresBroker
from workers.dead_letters import dead_jobs, rerun, waiting_counts
from workers.lease import LeasedJob

ROOT = Path(__file__).parents[2]
FAST = WorkerSettings(threads=2, most_retries=2, shortest_wait_seconds=0.05)
EMAIL = "anna.rossi@example.org"

Wait = Callable[..., None]


class Trouble(Exception):
    """What an actor may meet."""


class BackOffice:
    """A worker in this process whose actors note what they are called with."""

    def __init__(self, url: str) -> None:
        self.broker = make_broker(url, FAST)
        self.calls: list[str] = []
        self.failures_left = 0
        self.may_end = threading.Event()
        for actor in (self.note, self.stumble, self.hold, self.dawdle):
            dramatiq.actor(actor, broker=self.broker, actor_name=actor.__name__)
        self.worker = Worker(self.broker, worker_threads=2, worker_timeout=100)
        self.broker.emit_after("process_boot")

    def note(self, name: str) -> None:
        self.calls.append(name)

    def stumble(self, name: str) -> None:
        self.calls.append(name)
        if self.failures_left > 0:
            self.failures_left -= 1
            raise Trouble(f"Key (email)=({EMAIL}) already exists")

    def hold(self, name: str) -> None:
        self.calls.append(name)
        assert self.may_end.wait(30)

    def dawdle(self) -> None:
        while True:
            time.sleep(0.01)

    def work(self) -> None:
        self.worker.start()

    def close(self) -> None:
        self.may_end.set()
        if self.worker.workers:
            self.worker.stop(timeout=5000)
        self.broker.close()


@pytest.fixture
def office(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackOffice]:
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.2)
    back_office = BackOffice(url)
    yield back_office
    back_office.close()


@pytest.fixture
def hire(url: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start worker processes; they do not outlive the test."""
    hired: list[subprocess.Popen[bytes]] = []

    def start(*, threads: int = 2, grace_seconds: float = 30) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, ROOT / "tests/workers/trial_worker.py", url, str(threads), str(grace_seconds)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        hired.append(process)
        return process

    yield start
    for process in hired:
        process.kill()
        process.wait()


def asked(actor: str, *, delay_seconds: float = 0, **arguments: Any) -> None:
    with provincial() as session:
        promise(session, actor, delay_seconds=delay_seconds, **arguments)


def states(look: psycopg.Connection) -> list[int]:
    return [state for (state,) in look.execute("SELECT state FROM job ORDER BY id")]


def happened(look: psycopg.Connection, what: str) -> list[tuple[str, int]]:
    return look.execute("SELECT job, worker FROM happened WHERE what = %s ORDER BY at", [what]).fetchall()


# --- promises --------------------------------------------------------------------------------------------------------


def test_a_promise_that_is_kept_is_done_and_its_row_is_gone(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.work()
    asked("note", name="kept")
    wait_until(lambda: office.calls == ["kept"])
    wait_until(lambda: states(look) == [])


def test_a_promise_that_is_undone_never_was(office: BackOffice, look: psycopg.Connection) -> None:
    office.work()

    def change_and_fail() -> None:
        with provincial() as session:
            promise(session, "note", name="undone")
            raise Trouble

    with pytest.raises(Trouble):
        change_and_fail()
    time.sleep(0.4)
    assert office.calls == []
    assert states(look) == []


def test_a_promise_starts_after_its_commit(office: BackOffice, wait_until: Wait) -> None:
    office.work()
    time.sleep(0.3)
    asked("note", name="soon")
    wait_until(lambda: office.calls)


def test_a_delayed_promise_waits(office: BackOffice, wait_until: Wait) -> None:
    office.work()
    began = time.monotonic()
    asked("note", name="later", delay_seconds=0.8)
    asked("note", name="now")
    wait_until(lambda: office.calls == ["now", "later"])
    assert time.monotonic() - began > 0.75


def test_the_urgent_come_first_and_then_the_oldest(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    for name, priority in (("a", 10), ("b", 10), ("urgent", 1), ("c", 20)):
        look.execute(
            "INSERT INTO job (actor, arguments, priority) VALUES ('note', jsonb_build_object('name', %s::text), %s)",
            [name, priority],
        )
    office.worker.worker_threads = 1
    office.work()
    wait_until(lambda: len(office.calls) == 4)
    assert office.calls == ["urgent", "a", "b", "c"]


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_job_that_fails_is_tried_again_in_its_own_row(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.failures_left = 2
    office.work()
    asked("stumble", name="x")
    wait_until(lambda: office.calls == ["x", "x", "x"])
    wait_until(lambda: states(look) == [])


def test_a_job_that_keeps_failing_becomes_a_dead_letter_and_can_be_rerun(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.failures_left = 3
    office.work()
    asked("stumble", name="x")
    wait_until(lambda: states(look) == [DEAD])

    with provincial() as session:
        (dead,) = dead_jobs(session)
        (count,) = waiting_counts(session)
    assert (dead.actor, dead.arguments, dead.tries) == ("stumble", {"name": "x"}, 3)
    assert dead.error.startswith("Trouble at ")
    assert "tests/workers/test_broker.py" in dead.error
    assert (count.actor, count.waiting, count.later, count.running, count.dead) == ("stumble", 0, 0, 0, 1)

    with provincial() as session:
        assert rerun(session, [dead.id + 1]) == 0
        assert rerun(session, [dead.id]) == 1
    wait_until(lambda: office.calls == ["x"] * 4)
    wait_until(lambda: states(look) == [])


def test_all_dead_letters_can_be_rerun_with_all_their_tries(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.failures_left = 6 + 4
    for name in ("x", "y"):
        asked("stumble", name=name)
    office.work()
    wait_until(lambda: states(look) == [DEAD, DEAD])
    with provincial() as session:
        assert rerun(session) == 2
    wait_until(lambda: states(look) == [])
    assert len(office.calls) == 6 + 6


def test_no_word_of_a_citizen_is_kept_with_a_failure(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.failures_left = 3
    office.work()
    asked("stumble", name="x")
    wait_until(lambda: states(look) == [DEAD])
    row = look.execute("SELECT job::text FROM job").fetchone()
    assert row is not None
    assert "Trouble" in row[0]
    assert EMAIL not in row[0]


def test_an_actor_nobody_knows_is_a_dead_letter_at_once(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    office.work()
    asked("nobody", name="x")
    wait_until(lambda: states(look) == [DEAD])
    asked("note", name="and the next is done")
    wait_until(lambda: office.calls)
    with provincial() as session:
        (dead,) = dead_jobs(session)
    assert dead.error.startswith("ActorNotFound")
    assert "nobody" in caplog.text


def test_arguments_without_names_are_a_dead_letter_at_once(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.work()
    look.execute("INSERT INTO job (actor, arguments) VALUES ('note', '[1]')")
    wait_until(lambda: states(look) == [DEAD])


def test_a_job_that_takes_too_long_is_interrupted(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.work()
    options = '{"max_retries": 0, "time_limit": 500}'
    look.execute("INSERT INTO job (actor, arguments, options) VALUES ('dawdle', '{}', %s)", [options])
    wait_until(lambda: states(look) == [DEAD])
    with provincial() as session:
        assert dead_jobs(session)[0].error.startswith("TimeLimitExceeded")


# --- workers that end ------------------------------------------------------------------------------------------------


def test_the_job_of_a_killed_worker_is_done_by_another(
    hire: Callable[..., subprocess.Popen[bytes]], look: psycopg.Connection, wait_until: Wait
) -> None:
    first = hire()
    asked("linger", job="x", seconds=2)
    wait_until(lambda: happened(look, "begun"))
    second = hire()
    wait_until(lambda: len(workers_connected(look)) == 2)
    first.kill()
    wait_until(lambda: len(happened(look, "begun")) == 2)
    wait_until(lambda: happened(look, "done") == [("x", second.pid)])
    wait_until(lambda: states(look) == [])


def test_sigterm_lets_the_running_job_finish_and_gives_back_the_others(
    hire: Callable[..., subprocess.Popen[bytes]], look: psycopg.Connection, wait_until: Wait
) -> None:
    worker = hire(threads=1)
    asked("linger", job="running", seconds=1.5)
    wait_until(lambda: happened(look, "begun"))
    asked("linger", job="waiting", seconds=0)
    worker.terminate()
    assert worker.wait(10) == 0
    assert happened(look, "done") == [("running", worker.pid)]
    assert states(look) == [WAITING]
    assert look.execute("SELECT owner, options FROM job").fetchall() == [(None, {})]


def test_ctrl_c_in_a_terminal_lets_the_programs_of_running_jobs_finish_too(
    hire: Callable[..., subprocess.Popen[bytes]], look: psycopg.Connection, wait_until: Wait
) -> None:
    worker = hire(threads=1)
    asked("linger_outside", job="running", seconds=1)
    wait_until(lambda: happened(look, "begun"))
    os.killpg(worker.pid, signal.SIGINT)
    assert worker.wait(10) == 0
    assert happened(look, "done") == [("running", worker.pid)]
    assert states(look) == []


def test_what_is_not_finished_in_time_goes_back_when_the_process_is_gone(
    hire: Callable[..., subprocess.Popen[bytes]], look: psycopg.Connection, wait_until: Wait
) -> None:
    first = hire(threads=1, grace_seconds=1)
    asked("linger", job="x", seconds=6)
    wait_until(lambda: happened(look, "begun"))
    second = hire(threads=1)
    first.send_signal(signal.SIGINT)
    assert first.wait(10) == 0
    assert happened(look, "begun") == [("x", first.pid)]
    wait_until(lambda: happened(look, "begun") == [("x", first.pid), ("x", second.pid)])


def test_a_job_during_which_workers_keep_vanishing_becomes_a_dead_letter(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    look.execute(
        "INSERT INTO job (actor, arguments, state, owner, options) VALUES ('note', %s, %s, 1, %s)",
        ['{"name": "x"}', LEASED, '{"lost": 4}'],
    )
    office.work()
    wait_until(lambda: states(look) == [DEAD])
    with provincial() as session:
        assert dead_jobs(session)[0].error == "WorkerVanished"
    assert office.calls == []


def test_two_workers_never_do_the_same_job(
    hire: Callable[..., subprocess.Popen[bytes]], look: psycopg.Connection, wait_until: Wait
) -> None:
    look.execute(
        "INSERT INTO job (actor, arguments)"
        " SELECT 'linger', jsonb_build_object('job', number::text, 'seconds', 0.01) FROM generate_series(1, 200) number"
    )
    hire(threads=4)
    hire(threads=4)
    wait_until(lambda: states(look) == [], seconds=40)
    begun = happened(look, "begun")
    assert sorted(int(job) for job, _ in begun) == list(range(1, 201))
    assert len({worker for _, worker in begun}) == 2


# --- a database that goes away ---------------------------------------------------------------------------------------


def workers_connected(look: psycopg.Connection) -> list[int]:
    rows = look.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'lampione worker'").fetchall()
    return [pid for (pid,) in rows]


def test_a_job_finished_after_the_connection_was_lost_is_not_done_twice(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.work()
    asked("hold", name="x")
    wait_until(lambda: office.calls == ["x"])
    (pid,) = workers_connected(look)
    look.execute("SELECT pg_terminate_backend(%s)", [pid])
    wait_until(lambda: workers_connected(look) not in ([], [pid]))
    assert states(look) == [LEASED]
    office.may_end.set()
    wait_until(lambda: states(look) == [])
    assert office.calls == ["x"]


def test_a_job_whose_fetch_was_never_answered_is_done_all_the_same(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.work()
    wait_until(lambda: workers_connected(look))
    owner = office.broker._leases["default"].owner
    look.execute(
        "INSERT INTO job (actor, arguments, state, owner) VALUES ('note', %s, %s, %s)", ['{"name": "x"}', LEASED, owner]
    )
    look.execute("SELECT pg_terminate_backend(%s)", workers_connected(look))
    wait_until(lambda: office.calls == ["x"])


def test_a_job_taken_away_meanwhile_is_not_begun(
    office: BackOffice, look: psycopg.Connection, wait_until: Wait
) -> None:
    office.work()
    for name in ("one", "two"):
        asked("hold", name=name)
    wait_until(lambda: len(office.calls) == 2)
    asked("note", name="prefetched")
    wait_until(lambda: states(look) == [LEASED] * 3)
    look.execute("UPDATE job SET state = %s, owner = NULL WHERE actor = 'note'", [DEAD])  # as if another had it
    look.execute("SELECT pg_terminate_backend(%s)", workers_connected(look))
    wait_until(lambda: len(office.broker._leases["default"].held) == 2)
    office.may_end.set()
    wait_until(lambda: states(look) == [DEAD])
    assert "prefetched" not in office.calls


def test_a_restart_of_the_database_is_survived(
    office: BackOffice, job_cluster: Cluster, url: str, wait_until: Wait
) -> None:
    office.work()
    with psycopg.connect(url) as connection:
        connection.execute("""INSERT INTO job (actor, arguments) VALUES ('hold', '{"name": "before"}')""")
    wait_until(lambda: office.calls == ["before"])
    job_cluster.stop()
    office.may_end.set()
    time.sleep(0.5)
    job_cluster.start()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("""INSERT INTO job (actor, arguments) VALUES ('note', '{"name": "after"}')""")
        wait_until(lambda: states(connection) == [])
    assert office.calls == ["before", "after"]


# --- dramatiq's own way ----------------------------------------------------------------------------------------------


def test_actors_can_be_sent_messages(office: BackOffice, look: psycopg.Connection, wait_until: Wait) -> None:
    actor = office.broker.get_actor("note")
    actor.send_with_options(kwargs={"name": "later"}, delay=400)
    actor.send(name="now")
    office.work()
    wait_until(lambda: office.calls == ["now", "later"])
    office.broker.join("default", timeout=5000)
    assert states(look) == []


def test_arguments_without_names_are_not_sent(office: BackOffice) -> None:
    with pytest.raises(TypeError, match="note"):
        office.broker.get_actor("note").send("x")


def test_flushing_leaves_the_dead(office: BackOffice, look: psycopg.Connection) -> None:
    asked("note", name="x")
    look.execute("INSERT INTO job (actor, arguments, state) VALUES ('note', '{}', %s)", [DEAD])
    office.broker.flush_all()
    assert states(look) == [DEAD]


def test_making_a_broker_asks_no_database() -> None:
    broker = PostgresBroker("postgresql:///nowhere?host=/nonexistent")
    assert broker.get_declared_queues() == {"default"}


def test_a_verdict_on_a_delivery_that_came_again_is_ignored(office: BackOffice) -> None:
    lease = office.broker._leases["default"]
    message = dramatiq.Message[Any]("default", "note", (), {}, {})
    stale, fresh = LeasedJob(message, 7), LeasedJob(message, 7)
    lease.held[7] = fresh
    assert not lease.holds(stale)
    assert lease.holds(fresh)
