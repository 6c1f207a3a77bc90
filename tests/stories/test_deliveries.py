"""Stories of the log of messages: what became of them, mending an address, sending again, and nobody twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, URP, SignIn, counted, reported, wait_for_rest
from tests.stories.test_bounces import read_mail
from tests.stories.test_notices import Desk, settled
from tests.stories.test_subscriptions import BRUNO, subscribed
from tests.trials import Postbox, Staffer, eventually

WRONG: Final = "ana@example.org"
ANNA: Final = "anna@example.org"
LAMP: Final = "lampione spento davanti al civico 12"
ROADS: Final = "operatore.lavoripubblici@pesaro.example.org"
COUNCIL: Final = "consiglio@pesaro.example.org"
YESTERDAY: Final = (datetime.now(UTC) - timedelta(days=1)).isoformat()

pytestmark = pytest.mark.usefixtures("worker")


def log(staff: Staffer, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = staff.get("/deliveries", **asked)["deliveries"]
    return found


def post(staff: Staffer, path: str, **body: Any) -> Any:
    return staff.client.post(f"/api/v1/desk{path}", headers=staff.headers, json=body)


def lost(client: TestClient, database: str, postbox: Postbox, email: str = WRONG, words: str = LAMP) -> Any:
    """A report whose first mail has come back."""
    postbox.bouncing[email] = "postfix-unknown"
    report = reported(client, COAST, words, email=email)
    wait_for_rest(database)
    read_mail(database)
    return report


def test_a_clerk_mends_the_address_and_what_was_lost_arrives(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = lost(client, database, postbox)
    clerk = signed_in(URP)
    seen = clerk.get(f"/reports/{report['id']}")
    assert (seen["unreachable"]["bounce"], seen["unreachable"]["status"]) == ("hard", "5.1.1")
    [first] = seen["deliveries"]
    assert (first["state"], first["bounce"], first["status"]) == ("bounced", "hard", "5.1.1")
    [listed] = log(clerk, bounce="hard")
    assert (listed["address"], listed["is_paused"], listed["report"]["number"]) == (
        "a…@example.org",
        True,
        report["number"],
    )
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    wait_for_rest(database)
    [dropped, _] = log(clerk)
    assert (dropped["state"], dropped["dropped_for"]) == ("dropped", "paused")

    refused = post(clerk, f"/deliveries/{first['id']}/resend")
    assert (refused.status_code, "correct the address" in refused.json()["detail"]) == (409, True)
    seen = clerk.change("PUT", report["id"], "reporter/email", {"email": ANNA})
    assert seen["unreachable"] is None
    assert seen["reporter"]["email"] == ANNA
    [entry] = [one for one in seen["timeline"] if one["what"] == "contact_corrected"]
    assert (entry["is_public"], entry["actor"]) == (False, "staff")
    assert "example.org" not in str(seen["timeline"]), "history says that, and not which"
    assert post(clerk, f"/deliveries/{first['id']}/resend").status_code == 201
    [mail] = eventually(lambda: postbox.to(ANNA))
    assert mail["Subject"] == f"Segnalazione {report['number']} ricevuta"
    assert mail["Message-ID"] != postbox.to(WRONG)[0]["Message-ID"], "no mailbox takes it for the same"
    assert post(clerk, f"/deliveries/{first['id']}/resend").status_code == 409, "once only"

    preview = post(clerk, "/deliveries/resend", since=YESTERDAY, preview=True).json()
    assert preview == {"letters": {"report": 1}, "unreachable": 0, "next": None}
    assert post(clerk, "/deliveries/resend", since=YESTERDAY).json() == preview
    assert post(clerk, "/deliveries/resend", since=YESTERDAY).json()["letters"] == {}
    wait_for_rest(database)
    assert [str(m["Subject"]).split(": ")[-1] for m in postbox.to(ANNA)] == [mail["Subject"], "in lavorazione"]
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    wait_for_rest(database)
    assert len(postbox.to(ANNA)) == 3, "and nothing is told twice"
    states = [(one["state"], one["resends"] is not None, one["resent_as"] is not None) for one in log(clerk)]
    assert sorted(states) == [
        ("bounced", False, True),
        ("dropped", False, True),
        ("sent", False, False),
        ("sent", True, False),
        ("sent", True, False),
    ]


def test_what_a_subscriber_missed_can_be_sent_when_the_mailbox_is_back(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    subscribed(client, postbox, lon=COAST.lon, lat=COAST.lat, metres=300)
    postbox.bouncing[BRUNO] = "qmail-unknown"
    report = reported(client, COAST, LAMP, category="lamp-out")
    eventually(lambda: postbox.to(BRUNO))
    wait_for_rest(database)
    read_mail(database)
    postbox.bouncing.clear()
    clerk = signed_in(URP)
    [pause] = clerk.get("/paused-addresses")["addresses"]
    assert pause["address"] == "b…@example.org"
    assert post(clerk, "/deliveries/resend", since=YESTERDAY).json()["unreachable"] == 1
    assert client.delete(f"/api/v1/desk/paused-addresses/{pause['id']}", headers=clerk.headers).status_code == 204
    assert post(clerk, "/deliveries/resend", since=YESTERDAY).json()["letters"] == {"tidings": 1}
    [again] = eventually(lambda: postbox.to(BRUNO)[1:])
    assert report["number"] in str(again["Subject"])
    assert again["List-Unsubscribe"] is not None


def test_the_log_is_seen_in_pages_and_by_whom_it_concerns(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    subscribed(client, postbox)
    lamps = [reported(client, COAST, f"{LAMP} {number}", category="lamp-out", email=ANNA) for number in range(3)]
    hole = reported(client, COAST, "buca in strada", category="pothole", email=ANNA)
    wait_for_rest(database)
    eventually(lambda: counted(database, "tiding WHERE delivery_id IS NULL") == 0)
    wait_for_rest(database)
    clerk = signed_in(URP)
    whole = clerk.get("/deliveries", counts=True)
    assert sum(one["count"] for one in whole["counts"]) == len(whole["deliveries"])
    pages, cursor = [], None
    while True:
        page = clerk.get("/deliveries", limit=2, **({"cursor": cursor} if cursor else {}))
        pages += page["deliveries"]
        cursor = page["next"]
        if cursor is None:
            break
    assert pages == whole["deliveries"]
    assert {one["kind"] for one in pages} >= {"report", "tidings", "subscription"}
    assert [one["report"]["number"] for one in log(clerk, report=hole["number"])] == [hole["number"]]
    assert {one["kind"] for one in log(clerk, kind="report", address="Anna@example.org")} == {"report"}
    assert counted(database, "contact_look WHERE why = 'list'") == 4, "to ask for an address is to look who reported"
    assert log(clerk, address="nessuno@example.org") == []
    assert log(clerk, since=(datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []

    head = signed_in(ROADS)
    numbers = {one["report"]["number"] for one in log(head)}
    assert hole["number"] in numbers
    assert not numbers & {lamp["number"] for lamp in lamps}, "another department's"
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET state = 'refused' WHERE kind IN ('report', 'tidings')")
    lost = post(head, "/deliveries/resend", since=YESTERDAY, kind="report", preview=True).json()["letters"]
    assert lost == {"report": 1}, "its own alone"
    assert post(head, "/deliveries/resend", since=YESTERDAY, kind="tidings").json()["letters"] == {}, "about none"
    other = log(clerk, report=lamps[0]["number"])[0]["id"]
    assert post(head, f"/deliveries/{other}/resend").status_code == 403
    council = client.get("/api/v1/desk/deliveries", headers=signed_in(COUNCIL).headers)
    assert council.status_code == 403


def test_what_arrived_or_never_was_is_not_sent_again(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = reported(client, COAST, LAMP, email=ANNA)
    nameless = reported(client, COAST, "buca", category="pothole")
    wait_for_rest(database)
    clerk = signed_in(URP)
    [sent] = log(clerk, report=report["number"])
    assert post(clerk, f"/deliveries/{sent['id']}/resend").status_code == 409
    assert post(clerk, f"/deliveries/{nameless['id']}/resend").status_code == 404
    seen = client.get(f"/api/v1/desk/reports/{nameless['id']}", headers=clerk.headers)
    answer = client.put(
        f"/api/v1/desk/reports/{nameless['id']}/reporter/email",
        headers=clerk.headers | {"If-Match": seen.headers["etag"]},
        json={"email": ANNA},
    )
    assert answer.status_code == 409, "nobody is written to who did not ask for it"
    assert len(postbox.messages) == 1


def test_many_lost_ones_are_sent_again_in_portions(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("city.messages.fates.resending.MOST_AT_ONCE", 2)
    for number in range(5):
        reported(client, COAST, f"{LAMP} {number}", email=f"anna{number}@example.org")
    wait_for_rest(database)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET state = 'refused', created_at = now()")
        admin.execute(
            "INSERT INTO paused_address (municipality_id, address, bounce, status)"
            " SELECT municipality_id, address, 'hard', '5.1.1' FROM delivery ORDER BY id LIMIT 2"
        )
    clerk = signed_in(URP)
    done = [post(clerk, "/deliveries/resend", since=YESTERDAY).json()]
    while done[-1]["next"] is not None:
        done.append(post(clerk, "/deliveries/resend", since=YESTERDAY, cursor=done[-1]["next"]).json())
    assert [one["unreachable"] for one in done] == [2, 0, 0], "who cannot be reached holds up nobody"
    assert [one["letters"].get("report", 0) for one in done] == [0, 2, 1]
    wait_for_rest(database)
    assert sorted(len(postbox.to(f"anna{number}@example.org")) for number in range(5)) == [1, 1, 2, 2, 2]


def test_a_notice_that_came_back_is_sent_again_once(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    subscribed(client, postbox, lon=COAST.lon, lat=COAST.lat, metres=300)
    postbox.bouncing[BRUNO] = "expired"
    desk = Desk(signed_in(URP))
    notice = desk.published()
    settled(desk, notice)
    wait_for_rest(database)
    read_mail(database)
    clerk = signed_in(URP)
    [lost_one] = log(clerk, kind="notice")
    assert (lost_one["state"], lost_one["bounce"], lost_one["is_paused"]) == ("bounced", "soft", False)
    assert post(clerk, f"/deliveries/{lost_one['id']}/resend").status_code == 201
    eventually(lambda: len(postbox.to(BRUNO)) == 2)
    settled(desk, notice)
    assert desk.progress(notice)[0]["letters"] | {"bounced": 1, "sent": 1} == desk.progress(notice)[0]["letters"]
    assert post(clerk, "/deliveries/resend", since=YESTERDAY).json()["letters"] == {}
