"""Stories of the end: rated and confirmed from the mail, reopened with a reason, and closed by itself."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.reports import closing
from tests.stories.telling import COAST, URP, SignIn, as_holder, html, plain, receipt, reported, wait_for_rest
from tests.trials import Postbox, Staffer
from workers import duties

ANNA, BRUNO = "anna@example.org", "bruno@example.org"
LAMP = "lampione spento davanti al civico 12"
DONE = {"to": "resolved", "reason": "Lampada sostituita."}
OFFICE = "illuminazione@pesaro.example.org"
IN_CHARGE = "operatore.illuminazione@pesaro.example.org"

pytestmark = pytest.mark.usefixtures("worker")


def solved(client: TestClient, database: str, clerk: Staffer, *addresses: str) -> list[dict[str, Any]]:
    """Reports of one lamp, the first their master, called solved."""
    reports = [reported(client, COAST, LAMP, email=address) for address in addresses]
    wait_for_rest(database)
    for report in reports[1:]:
        clerk.change("PUT", report["id"], "master", {"master": reports[0]["id"]})
    clerk.change("POST", reports[0]["id"], "moves", DONE)
    wait_for_rest(database)
    return reports


def days_ago(database: str, days: int) -> None:
    """As if everything had happened so many days earlier."""
    with psycopg.connect(database) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE timeline_entry SET at = at - make_interval(days => %s)", (days,))
        admin.execute("UPDATE report SET solved_at = solved_at - make_interval(days => %s)", (days,))


def rate(client: TestClient, report: dict[str, Any], **said: Any) -> Any:
    return client.put(f"/api/v1/reports/{report['number']}/feedback", json=said, headers=receipt(report))


def reopen(client: TestClient, report: dict[str, Any], reason: str) -> Any:
    url = f"/api/v1/reports/{report['number']}/receipt/moves"
    return client.post(url, json={"to": "reopened", "reason": reason}, headers=receipt(report))


_LETTER_TO_STAFF = (
    "INSERT INTO delivery (municipality_id, report_id, kind, once, address, language, subject, state)"
    " SELECT municipality_id, id, 'assigned', 'once', 'desk@example.org', 'it', '', 'sent' FROM report WHERE id = %s"
)
"""What was written to staff has not been told to anybody."""


def test_a_click_on_a_rating_only_opens_the_form_and_the_form_says_it(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    [report] = solved(client, database, clerk, ANNA)
    mail = postbox.to(ANNA)[-1]
    links = re.findall(r"http\S+rating=[1-5]#feedback", plain(mail))
    assert [link[-len("5#feedback")] for link in links] == list("12345")
    assert html(mail).count("rating=") == 5
    first = next(m for m in postbox.to(ANNA) if "ricevuta" in m["Subject"])
    assert "rating=" not in plain(first)
    for link in links:
        page = client.get(link.removeprefix("http://lampione.test"))
        assert page.status_code == 200
    assert 'value="5" required checked' in page.text
    assert as_holder(client, report)["feedback"] is None, "whoever only looks at mails says nothing"
    form = {"token": report["receipt_token"], "rating": "4", "is_solved": "no", "text": "Bravi, ma lampeggia."}
    sent = client.post(f"/r/{report['number']}/feedback", data=form, follow_redirects=False)
    assert sent.status_code == 303
    seen = as_holder(client, report)
    assert (seen["feedback"]["rating"], seen["feedback"]["is_solved"], seen["state"]) == (4, False, "resolved")
    assert client.post(f"/r/{report['number']}/feedback", data=form | {"token": "x"}).status_code == 404
    assert client.post(f"/r/{report['number']}/feedback", data=form | {"rating": "6"}).status_code == 422
    [listed] = clerk.get("/feedback")["feedback"]
    assert (listed["number"], listed["rating"], listed["text"]) == (report["number"], 4, "Bravi, ma lampeggia.")
    assert clerk.get("/feedback", most=3)["feedback"] == []
    green = signed_in("operatore.verde@pesaro.example.org")
    assert green.get("/feedback")["feedback"] == []
    assert "lampeggia" not in client.get(f"/api/v1/reports/{report['number']}").text
    assert clerk.get(f"/reports/{report['id']}")["rating"] == 4


def test_who_confirms_closes_the_report_at_once_unless_others_hang_on_it(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    [alone] = solved(client, database, clerk, "sola@example.org")
    early = reported(client, COAST, "buca profonda in viale Trieste", email=ANNA)
    assert rate(client, early, rating=5).status_code == 409
    confirmed = rate(client, alone, rating=5, is_solved=True).json()
    assert confirmed["state"] == "closed"
    wait_for_rest(database)
    last = postbox.to("sola@example.org")[-1]
    assert "Ha confermato" in plain(last)
    assert "rating=" not in plain(last), "said already"
    master, duplicate = solved(client, database, clerk, ANNA, BRUNO)
    assert rate(client, master, rating=5, is_solved=True).json()["state"] == "resolved"
    assert rate(client, duplicate, rating=2, is_solved=False).json()["feedback"]["rating"] == 2
    assert as_holder(client, master)["feedback"]["rating"] == 5
    changed = rate(client, master, rating=1, is_solved=False).json()
    assert (changed["feedback"]["rating"], changed["state"]) == (1, "resolved"), "the last word counts"
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT confirmed_at FROM report WHERE number = %s", (master["number"],)).fetchone()
    assert row == (None,)


def test_reopening_reaches_the_department_and_who_is_in_charge_with_the_reason(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    [report] = solved(client, database, clerk, ANNA)
    rate(client, report, rating=5, is_solved=True)
    signed = signed_in(IN_CHARGE)
    reopened = reopen(client, report, "È di nuovo spento da ieri sera.")
    assert (reopened.status_code, reopened.json()["state"]) == (200, "reopened"), reopened.text
    wait_for_rest(database)
    [letter] = [m for m in postbox.messages if "riaperta da chi ha segnalato" in m["Subject"]]
    assert (letter["To"], "di nuovo spento" in plain(letter)) == (OFFICE, True)
    assert report["receipt_token"] not in plain(letter)
    signed.change("POST", report["id"], "take", {})
    signed.change("POST", report["id"], "moves", DONE)
    wait_for_rest(database)
    postbox.messages.clear()
    assert reopen(client, report, "Ancora!").status_code == 200
    wait_for_rest(database)
    letters = [str(m["To"]) for m in postbox.messages if "riaperta da chi ha segnalato" in m["Subject"]]
    assert sorted(letters) == sorted([OFFICE, IN_CHARGE])
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT confirmed_at, reopened_at IS NOT NULL FROM report").fetchone()
    assert row == (None, True)


def test_after_its_days_a_report_is_reopened_no_more(client: TestClient, database: str, signed_in: SignIn) -> None:
    clerk = signed_in(URP)
    [report] = solved(client, database, clerk, ANNA)
    days_ago(database, 13)
    assert as_holder(client, report)["moves"] == ["reopened"]
    days_ago(database, 2)
    assert as_holder(client, report)["moves"] == []
    late = reopen(client, report, "È di nuovo spento.")
    assert (late.status_code, "14 days" in late.json()["detail"]) == (409, True)
    page = client.get(f"/r/{report['number']}", params={"token": report["receipt_token"]})
    assert 'value="reopened"' not in page.text


def test_who_hangs_on_a_master_reopens_it_and_the_others_do_not_read_why(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    master, duplicate, other = solved(client, database, clerk, ANNA, BRUNO, "carla@example.org")
    words = "Da casa mia in via Rossi 3 lo vedo ancora spento."
    done = reopen(client, duplicate, words)
    assert (done.json()["state"], done.json()["master"]["state"]) == ("duplicate", "reopened")
    assert reopen(client, other, "Anche da me.").status_code == 409, "it is open again"
    wait_for_rest(database)
    assert clerk.get(f"/reports/{master['id']}")["state"] == "reopened"
    for address in (ANNA, "carla@example.org"):
        assert "riaperta" in postbox.to(address)[-1]["Subject"]
        assert not [m for m in postbox.to(address) if "via Rossi" in plain(m)]
    assert [m for m in postbox.to(BRUNO) if "via Rossi" in plain(m)], "one's own words"
    for report in (master, other):
        assert "via Rossi" not in str(as_holder(client, report))
        assert "via Rossi" not in client.get(f"/api/v1/reports/{report['number']}").text
    assert "via Rossi" not in client.get(f"/api/v1/reports/{duplicate['number']}").text
    [letter] = [m for m in postbox.messages if "riaperta da chi ha segnalato" in m["Subject"]]
    assert (letter["To"], "via Rossi" in plain(letter), duplicate["number"] in plain(letter)) == (OFFICE, True, True)


def test_what_was_solved_long_enough_is_closed_and_only_those_are_told_who_were_told_before(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    clerk = signed_in(URP)
    [report] = solved(client, database, clerk, ANNA)
    duties.close_solved()
    assert clerk.get(f"/reports/{report['id']}")["state"] == "resolved"
    old = reported(client, COAST, "buca profonda in viale Trieste", email=BRUNO)
    wait_for_rest(database)
    clerk.change("POST", old["id"], "moves", DONE)
    wait_for_rest(database)
    with psycopg.connect(database) as admin:
        admin.execute("DELETE FROM delivery WHERE report_id = %s", (old["id"],))
    older = reported(client, COAST, "buca enorme in viale Trieste", email="carla@example.org")
    wait_for_rest(database)
    clerk.change("POST", older["id"], "moves", DONE)
    wait_for_rest(database)
    with psycopg.connect(database) as admin:
        admin.execute("DELETE FROM delivery WHERE report_id = %s", (older["id"],))
        admin.execute(_LETTER_TO_STAFF, (older["id"],))
    days_ago(database, 15)
    postbox.messages.clear()
    monkeypatch.setattr(closing, "MOST_SILENT", 1)
    for _ in range(2):
        duties.close_solved()
        wait_for_rest(database)
    closed = clerk.get(f"/reports/{report['id']}")
    assert closed["state"] == "closed"
    assert [entry["to_state"] for entry in closed["timeline"]].count("closed") == 1
    assert [clerk.get(f"/reports/{one['id']}")["state"] for one in (old, older)] == ["closed", "closed"]
    assert [str(m["To"]) for m in postbox.messages] == [ANNA], "nobody hears of history"
    assert "chiusa" in postbox.messages[0]["Subject"]
    assert "rating=" in plain(postbox.messages[0])
    assert as_holder(client, report)["moves"] == ["reopened"], "counted from the closing"
