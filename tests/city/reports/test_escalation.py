"""Climbing the ladder: each step once, however many do it at once; and letters composed when they are sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import writing
from city.messages import posting
from city.messages.kinds import KINDS
from city.registry import view
from city.reports import escalation
from tests.stories.telling import URP, SignIn
from tests.stories.test_ladder import CLERK, HEAD, OFFICE, climbed, pothole, turn_back
from tests.trials import Postbox
from workers import duties


def test_many_processes_at_once_climb_each_step_once(client: TestClient, database: str, signed_in: SignIn) -> None:
    reports = [pothole(client) for _ in range(8)]
    turn_back(database, reports, 20)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: duties.watch_clocks(), range(6)))
    clerk = signed_in(CLERK)
    for report in reports:
        assert climbed(clerk, report) == [["person", "office", "head"]], "three steps at once are one climb"
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT count(*) FROM job WHERE arguments->>'kind' = 'escalated'").fetchone()
        assert row is not None
        assert row[0] <= 6


def test_a_letter_says_nothing_of_what_was_solved_meanwhile(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report, other = pothole(client), pothole(client)
    turn_back(database, [report], 18)
    duties.watch_clocks()
    signed_in(URP).change("POST", report["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    pesaro = view.held().municipality("pesaro")

    def newest_turn() -> dict[str, int]:
        with psycopg.connect(database) as admin:
            row = admin.execute("SELECT max(id) FROM timeline_entry WHERE what = 'escalated'").fetchone()
        assert row is not None
        return {"first": row[0], "last": row[0]}

    about = newest_turn()
    kind = KINDS["escalated"]
    with writing(pesaro.id) as session:
        assert list(kind.recipients(session, pesaro, about)) == []
    turn_back(database, [other], 18)
    duties.watch_clocks()
    about = newest_turn()
    for _ in range(2):
        with writing(pesaro.id) as session:
            posting.queue(session, pesaro, "escalated", kind, about)
    signed_in(URP).change("POST", other["id"], "moves", {"to": "waiting", "reason": "Manca il materiale."})
    with writing(pesaro.id) as session:
        assert posting.deliver(session, pesaro, "escalated", kind, about) is None
    assert postbox.messages == []
    with psycopg.connect(database) as admin:
        states = admin.execute("SELECT address, state FROM delivery WHERE kind = 'escalated' ORDER BY 1").fetchall()
    assert states == [(OFFICE, "dropped"), (HEAD, "dropped")]


def test_a_turn_cut_short_leaves_nothing_and_is_made_up_for(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    reports = [pothole(client) for _ in range(3)]
    turn_back(database, reports, 20)
    pesaro = view.held().municipality("pesaro")
    now = datetime.now(UTC)

    def cut_short() -> None:
        with writing(pesaro.id) as session:
            assert escalation.climb(session, pesaro, now) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()
    clerk = signed_in(CLERK)
    assert [climbed(clerk, report) for report in reports] == [[]] * 3
    duties.watch_clocks()
    assert [len(climbed(clerk, report)) for report in reports] == [1] * 3


def test_whoever_is_changing_a_report_holds_up_no_other(client: TestClient, database: str, signed_in: SignIn) -> None:
    held, free = pothole(client), pothole(client)
    turn_back(database, [held, free], 20)
    clerk = signed_in(CLERK)
    with psycopg.connect(database) as other:
        other.execute("SELECT FROM report WHERE id = %s FOR UPDATE", (held["id"],))
        duties.watch_clocks()
        assert (climbed(clerk, held), len(climbed(clerk, free))) == ([], 1)
    duties.watch_clocks()
    assert len(climbed(clerk, held)) == 1
