"""By when: office time is counted, waiting stops the clock, and whoever is late stands on the late list."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from fastapi.testclient import TestClient

from tests.stories.telling import (
    COAST,
    ROME,
    URP,
    SignIn,
    as_holder,
    plain,
    reported,
    wait_for_receipt,
    wait_for_rest,
)
from tests.trials import Postbox, Staffer, eventually
from workers import duties


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


# --- promises


def in_days(days: int) -> str:
    return (datetime.now(ROME).date() + timedelta(days=days)).isoformat()


def spoken(day: str) -> str:
    return date.fromisoformat(day).strftime("%d/%m/%Y")


def test_a_promised_date_is_public_and_in_the_mail(
    client: TestClient, worker: object, postbox: Postbox, signed_in: SignIn
) -> None:
    report = pothole(client, email="anna@example.org")
    wait_for_receipt(postbox, report, "anna@example.org")
    clerk, until = signed_in(URP), in_days(20)
    promised = clerk.change("PUT", report["id"], "promise", {"day": until, "words": "L'asfalto arriva a fine mese."})
    assert (last_day(promised, "promised_at").isoformat(), promised["deadline_at"]) == (until, report["deadline_at"])
    assert promised["timeline"][-1]["what"] == "promised"
    public = client.get(f"/api/v1/reports/{report['number']}").json()
    assert (public["promised_at"], public["timeline"][-1]["what"]) == (promised["promised_at"], "promised")
    assert public["timeline"][-1]["note"] == "L'asfalto arriva a fine mese."
    assert last_day(as_holder(client, report), "promised_at").isoformat() == until
    eventually(lambda: len(postbox.to("anna@example.org")) == 2)
    mail = plain(postbox.to("anna@example.org")[-1])
    assert f"promette di risolvere entro il {spoken(until)}" in mail
    assert "«L'asfalto arriva a fine mese.»" in mail
    assert f"Data promessa: {spoken(until)}" in mail
    assert mail.count(spoken(until)) == 2, "what comes next does not say it once more"
    assert str(postbox.to("anna@example.org")[-1]["Subject"]).endswith(f"data promessa {spoken(until)}")
    page = client.get(f"/r/{report['number']}", params={"token": report["receipt_token"]}).text
    assert spoken(until) in page

    clerk.change("DELETE", report["id"], "promise", {"reason": "La ditta non è disponibile."})
    assert client.get(f"/api/v1/reports/{report['number']}").json()["promised_at"] is None
    eventually(lambda: len(postbox.to("anna@example.org")) == 3)
    mail = plain(postbox.to("anna@example.org")[-1])
    assert f"({spoken(until)}) non vale più" in mail
    assert "Data promessa:" not in mail


def test_whoever_promises_says_a_day_that_can_be_believed(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    clerk, crew = signed_in(URP), signed_in("squadra.roads-coast@pesaro.example.org")
    clerk.change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    url = f"/api/v1/desk/reports/{report['id']}/promise"
    headers = {"If-Match": '"v2"'}
    for day in (in_days(-1), in_days(731), "9999-12-31", "0001-01-01"):
        answer = client.put(url, json={"day": day}, headers=clerk.headers | headers)
        assert (answer.status_code, answer.json()["field"]) == (422, "day"), answer.text
    assert client.put(url, json={"day": in_days(3)}, headers=crew.headers | headers).status_code == 403
    assert client.put(url, json={"day": in_days(3)}, headers=clerk.headers).status_code == 428
    nothing = client.request("DELETE", url, json={"reason": "Sbaglio."}, headers=clerk.headers | headers)
    assert nothing.status_code == 409
    done = clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    headers = clerk.headers | {"If-Match": f'"v{done["version"]}"'}
    assert client.put(url, json={"day": in_days(3)}, headers=headers).status_code == 409


def test_when_a_promise_slips_the_citizen_is_told_once(
    client: TestClient, database: str, worker: object, postbox: Postbox, signed_in: SignIn
) -> None:
    report = pothole(client, email="anna@example.org")
    neighbour = pothole(client, email="bruno@example.org")
    clerk = signed_in(URP)
    clerk.change("PUT", neighbour["id"], "master", {"master": report["id"]})
    until = in_days(3)
    clerk.change("PUT", report["id"], "promise", {"day": until})
    wait_for_rest(database)
    told = {who: len(postbox.to(f"{who}@example.org")) for who in ("anna", "bruno")}
    turn_back(database, report, promised_at=4, clock_at=4)
    for who, before in told.items():
        eventually(lambda who=who, before=before: len(postbox.to(f"{who}@example.org")) > before, 30)
        mail = plain(postbox.to(f"{who}@example.org")[-1])
        assert "ce ne scusiamo" in mail
        assert f"entro il {spoken(until)}" not in mail, "the date that was in force, not that of the words before"
    slipped = clerk.get(f"/reports/{report['id']}")
    assert [entry["what"] for entry in slipped["timeline"]].count("slipped") == 1
    assert slipped["slipped_at"] is not None
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: duties.watch_clocks(), range(4)))
    wait_for_rest(database)
    assert {who: len(postbox.to(f"{who}@example.org")) for who in told} == {who: told[who] + 1 for who in told}

    anew = clerk.change("PUT", report["id"], "promise", {"day": in_days(5)})
    assert anew["slipped_at"] is None
    turn_back(database, report, promised_at=6, clock_at=6)
    eventually(lambda: len(postbox.to("anna@example.org")) == told["anna"] + 3, 30)
    whats = [entry["what"] for entry in clerk.get(f"/reports/{report['id']}")["timeline"]]
    assert whats.count("slipped") == 2, "a new promise makes a new slip possible"


def test_of_many_at_once_one_notices_a_slip(client: TestClient, database: str, signed_in: SignIn) -> None:
    clerk = signed_in(URP)
    reports = [pothole(client) for _ in range(5)]
    for report in reports:
        clerk.change("PUT", report["id"], "promise", {"day": in_days(1)})
        turn_back(database, report, promised_at=3, clock_at=3)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: duties.watch_clocks(), range(6)))
    for report in reports:
        whats = [entry["what"] for entry in clerk.get(f"/reports/{report['id']}")["timeline"]]
        assert whats.count("slipped") == 1


def test_a_promise_does_not_slip_while_the_report_waits_or_once_it_is_over(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    waits, over = pothole(client), pothole(client)
    for report in (waits, over):
        clerk.change("PUT", report["id"], "promise", {"day": in_days(1)})
    clerk.change("POST", waits["id"], "moves", {"to": "waiting", "reason": "Manca il materiale."})
    clerk.change("POST", over["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    for report in (waits, over):
        turn_back(database, report, promised_at=3, clock_at=3)
    duties.watch_clocks()
    for report in (waits, over):
        assert "slipped" not in [entry["what"] for entry in clerk.get(f"/reports/{report['id']}")["timeline"]]
    clerk.change("POST", waits["id"], "moves", {"to": "in_progress"})
    duties.watch_clocks()
    assert "slipped" in [entry["what"] for entry in clerk.get(f"/reports/{waits['id']}")["timeline"]]
    reopened = clerk.change("POST", over["id"], "moves", {"to": "reopened", "reason": "Si è riaperta."})
    assert reopened["promised_at"] is None
