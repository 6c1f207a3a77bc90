"""Stories of a reporter: without a name, three times at once, and with a change of mind."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from tests.stories.telling import (
    COAST,
    FANO,
    URP,
    SignIn,
    as_holder,
    counted,
    hand_in,
    numbers_on_the_map,
    photo_taken_at,
    plain,
    receipt,
    reported,
    wait_for_receipt,
    wait_for_rest,
)
from tests.trials import Postbox, eventually


def test_an_anonymous_report_is_taken_where_the_municipality_allows_it(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    report = reported(client, COAST, "lampione spento davanti al civico 12")
    assert counted(database, "reporter") == counted(database, "job") == 0, "nobody to be told"
    clerk = signed_in(URP)
    assert clerk.get(f"/reports/{report['id']}")["reporter"] is None
    assert as_holder(client, report)["state"] == "assigned", "the receipt works without a name"
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Lampada sostituita."})
    assert as_holder(client, report)["state"] == "resolved"


def test_an_anonymous_report_is_refused_where_it_does_not_and_says_what_helps(
    client: TestClient, database: str
) -> None:
    for contact in ({}, {"name": "Anna"}, {"email": "  "}):
        answer = hand_in(client, FANO, "lampione spento davanti al civico 12", contact=contact)
        assert answer.status_code == 422, answer.text
        problem = answer.json()
        assert problem["field"] == "contact.email"
        assert problem["detail"] == (
            "Fano takes no anonymous reports: give at least an e-mail address or a telephone number."
        )
    assert counted(database, "report") == 0
    for contact in ({"email": "anna@example.org"}, {"phone": "+39 0721 123456"}):
        assert hand_in(client, FANO, "lampione spento", contact=contact).status_code == 201


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("photo", [None, photo_taken_at(COAST)], ids=["words", "photo"])
def test_the_same_submission_sent_three_times_at_once_is_one_report(
    client: TestClient, database: str, postbox: Postbox, photo: bytes | None
) -> None:
    reference = str(uuid4())
    together = threading.Barrier(3)

    def send() -> Response:
        together.wait()
        return hand_in(
            client,
            COAST,
            "buca profonda in viale Trieste",
            photo=photo,
            email="anna@example.org",
            client_reference=reference,
        )

    with ThreadPoolExecutor(3) as phones:
        answers = [phone.result() for phone in [phones.submit(send) for _ in range(3)]]
    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert answers[0].json() == answers[1].json() == answers[2].json(), "receipt token included"
    wait_for_rest(database)
    assert counted(database, "report") == counted(database, "client_request") == counted(database, "reporter") == 1
    assert counted(database, "photo") == (1 if photo else 0)
    assert len(postbox.to("anna@example.org")) == 1


@pytest.mark.usefixtures("worker")
def test_a_repeat_after_the_report_has_moved_on_gets_the_first_answer(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    said: dict[str, Any] = {"email": "anna@example.org", "client_reference": str(uuid4())}
    first = hand_in(client, COAST, "buca in viale Trieste", **said)
    signed_in(URP).change("POST", first.json()["id"], "moves", {"to": "in_progress"})
    again = hand_in(client, COAST, "buca in viale Trieste", **said)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    wait_for_rest(database)
    assert counted(database, "report") == 1
    assert not [m for m in postbox.to("anna@example.org")[1:] if "ricevuta" in m["Subject"]]


def test_a_reference_used_for_something_else_is_refused(client: TestClient, database: str) -> None:
    reference = str(uuid4())
    reported(client, COAST, "buca in viale Trieste", client_reference=reference)
    for words, more in (
        ("un'altra buca", {}),
        ("buca in viale Trieste", {"category": "pavement"}),
        ("buca in viale Trieste", {"photo": photo_taken_at(COAST)}),
    ):
        answer = hand_in(client, COAST, words, client_reference=reference, **more)
        assert answer.status_code == 409
        assert answer.json()["field"] == "client_reference"
    assert counted(database, "report") == 1
    assert counted(database, "photo") == counted(database, "job") == 0


@pytest.mark.usefixtures("worker")
def test_the_reporter_withdraws(client: TestClient, postbox: Postbox, signed_in: SignIn) -> None:
    report = reported(client, COAST, "lampione spento davanti al civico 12", email="anna@example.org")
    wait_for_receipt(postbox, report, "anna@example.org")
    url = f"/api/v1/reports/{report['number']}/receipt/moves"
    for headers in ({}, {"Receipt-Token": "sbagliato"}, receipt(report | {"receipt_token": report["id"]})):
        assert client.post(url, json={"to": "withdrawn"}, headers=headers).status_code == 404
    assert as_holder(client, report)["moves"] == ["withdrawn"]
    reason = "Si è riacceso, abito in via Rossi 3."
    withdrawn = client.post(url, json={"to": "withdrawn", "reason": reason}, headers=receipt(report))
    assert withdrawn.status_code == 200, withdrawn.text
    assert (withdrawn.json()["state"], withdrawn.json()["moves"]) == ("withdrawn", [])
    eventually(lambda: [m for m in postbox.to("anna@example.org") if "ritirata" in m["Subject"]])
    assert numbers_on_the_map(client, COAST) == set()
    public = client.get(f"/api/v1/reports/{report['number']}")
    assert public.json()["timeline"][-1]["to_state"] == "withdrawn"
    assert "via Rossi" not in public.text, "what the reporter wrote stays in the house"
    assert signed_in(URP).get(f"/reports/{report['id']}")["timeline"][-1]["note"] == reason
    again = client.post(url, json={"to": "reopened", "reason": "mah"}, headers=receipt(report))
    assert again.status_code == 409


@pytest.mark.usefixtures("worker")
def test_the_reporter_reopens_what_was_called_solved(client: TestClient, postbox: Postbox, signed_in: SignIn) -> None:
    report = reported(client, COAST, "lampione spento davanti al civico 12", email="anna@example.org")
    wait_for_receipt(postbox, report, "anna@example.org")
    url = f"/api/v1/reports/{report['number']}/receipt/moves"
    early = client.post(url, json={"to": "reopened", "reason": "ma"}, headers=receipt(report))
    assert early.status_code == 409
    clerk = signed_in(URP)
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Lampada sostituita."})
    assert as_holder(client, report)["moves"] == ["reopened"]
    silent = client.post(url, json={"to": "reopened"}, headers=receipt(report))
    assert (silent.status_code, silent.json()["field"]) == (422, "reason")
    reopened = client.post(url, json={"to": "reopened", "reason": "È ancora spento."}, headers=receipt(report))
    assert reopened.json()["state"] == "reopened"
    assert numbers_on_the_map(client, COAST) == {report["number"]}
    row = next(row for row in clerk.get("/reports", state="reopened")["reports"] if row["id"] == report["id"])
    assert row["is_open"] is True
    told = eventually(lambda: [m for m in postbox.to("anna@example.org") if "riaperta" in m["Subject"]])[0]
    assert "riprenderà in mano" in plain(told)
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Cambiato anche il portalampada."})
    page = client.post(
        f"/r/{report['number']}",
        data={"token": report["receipt_token"], "to": "reopened", "reason": "Ancora!"},
        follow_redirects=False,
    )
    assert page.status_code == 303, "the same by the page of the mail's link"
    assert as_holder(client, report)["state"] == "reopened"
