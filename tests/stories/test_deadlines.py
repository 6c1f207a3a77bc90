"""By when: office time is counted, waiting stops the clock, and whoever is late stands on the late list."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, ROME, URP, SignIn, reported
from tests.trials import Staffer


def pothole(client: TestClient, **more: Any) -> Any:
    return reported(client, COAST, "Buca profonda in mezzo alla strada", category="pothole", **more)


def last_day(report: dict[str, Any], name: str = "deadline_at") -> date:
    return datetime.fromisoformat(report[name]).astimezone(ROME).date()


def turn_back(database: str, report: dict[str, Any], **days: float) -> None:
    """Move moments of a report so many days into the past."""
    changes = ", ".join(f"{name} = {name} - make_interval(secs => {count * 86_400})" for name, count in days.items())
    with psycopg.connect(database) as admin:
        admin.execute(f"UPDATE report SET {changes} WHERE id = %s", (report["id"],))


def numbers(clerk: Staffer, **chosen: Any) -> set[str]:
    return {report["number"] for report in clerk.get("/reports", **chosen)["reports"]}


def test_waiting_stops_the_clock(client: TestClient, database: str, signed_in: SignIn) -> None:
    report = pothole(client)
    clerk = signed_in(URP)
    waits = clerk.change("POST", report["id"], "moves", {"to": "waiting", "reason": "Manca il materiale."})
    assert last_day(waits) == last_day(report)
    assert waits["paused_at"] is not None
    turn_back(database, report, paused_at=4)
    goes_on = clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    assert goes_on["paused_at"] is None
    assert last_day(goes_on) - last_day(report) == timedelta(days=4)


def test_who_waits_is_not_late_and_who_was_late_before_stays_so(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    waits, was_late, late = pothole(client), pothole(client), pothole(client)
    clerk = signed_in(URP)
    for report in (waits, was_late):
        clerk.change("POST", report["id"], "moves", {"to": "waiting", "reason": "Manca il materiale."})
    turn_back(database, waits, deadline_at=14, paused_at=6)
    turn_back(database, was_late, deadline_at=14, paused_at=2)
    turn_back(database, late, deadline_at=14)
    assert numbers(clerk, is_late=True) == {was_late["number"], late["number"]}
    assert numbers(clerk, is_late=False) == {waits["number"]}
    resumed = clerk.change("POST", waits["id"], "moves", {"to": "assigned"})
    assert not resumed["is_late"]
    assert clerk.change("POST", was_late["id"], "moves", {"to": "assigned"})["is_late"]


def test_time_between_solved_and_reopened_does_not_count(client: TestClient, database: str, signed_in: SignIn) -> None:
    report = pothole(client)
    clerk = signed_in(URP)
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    turn_back(database, report, solved_at=20, deadline_at=14, created_at=24)
    reopened = clerk.change("POST", report["id"], "moves", {"to": "reopened", "reason": "Si è riaperta."})
    assert not reopened["is_late"]
    assert last_day(reopened) - last_day(report) == timedelta(days=6)


def test_another_category_counts_anew_and_keeps_the_pauses(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    report = pothole(client)
    clerk = signed_in(URP)
    clerk.change("POST", report["id"], "moves", {"to": "waiting", "reason": "Manca il materiale."})
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    with psycopg.connect(database) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE timeline_entry SET at = at - interval '2 days' WHERE report_id = %s AND to_state <> 'in_progress'",
            (report["id"],),
        )
    pavement = clerk.change("PUT", report["id"], "category", {"category": "pavement"})
    assert last_day(pavement) - last_day(report) == timedelta(days=20 - 10 + 2)
