"""Stories of questions to the reporter: asked, answered without an account, reminded, and given back to the desk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, URP, SignIn, as_holder, html, plain, receipt, reported, wait_for_rest
from tests.trials import Postbox, Staffer
from workers import duties

ANNA = "anna@example.org"
LAMP = "lampione spento davanti al civico 12"
QUESTION = "Qual è il numero scritto sul palo?"
OFFICE = "illuminazione@pesaro.example.org"

pytestmark = pytest.mark.usefixtures("worker")


def asked(clerk: Staffer, report: dict[str, Any], **more: Any) -> Any:
    return clerk.change("POST", report["id"], "questions", {"text": QUESTION, **more})


def questions(clerk: Staffer, report: dict[str, Any]) -> Any:
    return clerk.get(f"/reports/{report['id']}/questions")["questions"]


def later(database: str, column: str) -> None:
    """As if that moment of every question had come."""
    with psycopg.connect(database) as admin:
        admin.execute(f"UPDATE question SET {column} = now() - interval '1 minute'")


def posted(postbox: Postbox, subject: str) -> list[str]:
    return [str(message["To"]) for message in postbox.messages if subject in message["Subject"]]


def test_a_question_pauses_the_clock_and_its_answer_brings_the_report_back_to_work(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    clerk = signed_in(URP)
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    seen = asked(clerk, report)
    assert (seen["state"], seen["moves"] != []) == ("waiting", True)
    assert seen["paused_at"] is not None
    wait_for_rest(database)
    [mail] = [m for m in postbox.to(ANNA) if "una domanda per Lei" in m["Subject"]]
    assert QUESTION in plain(mail)
    assert f"token={report['receipt_token']}#question" in plain(mail)
    assert "Rispondi" in html(mail)
    public = client.get(f"/api/v1/reports/{report['number']}")
    assert public.json()["timeline"][-1]["what"] == "asked"
    assert "palo" not in public.text, "what is asked stays between the two"

    url = f"/api/v1/reports/{report['number']}/answers"
    assert client.post(url, json={"text": "PL 4471"}).status_code == 404
    empty = client.post(url, json={"text": "  "}, headers=receipt(report))
    assert (empty.status_code, empty.json()["field"]) == (422, "text")
    answered = client.post(url, json={"text": "PL 4471, il terzo dall'incrocio"}, headers=receipt(report))
    assert answered.status_code == 200, answered.text
    assert answered.json()["state"] == "in_progress", "back where it was"
    number = answered.json()["questions"][0]["id"]
    again = client.post(
        url, json={"question": number, "text": "PL 4471, il terzo dall'incrocio"}, headers=receipt(report)
    )
    assert again.status_code == 200, "the same once more does no harm"
    other = client.post(url, json={"question": number, "text": "PL 1"}, headers=receipt(report))
    assert other.status_code == 409
    wait_for_rest(database)
    [letter] = [m for m in postbox.messages if "è arrivata una risposta" in m["Subject"]]
    assert (letter["To"], "PL 4471" in plain(letter), QUESTION in plain(letter)) == (OFFICE, True, True)
    assert report["receipt_token"] not in plain(letter)
    [known] = questions(clerk, report)
    assert (known["state"], known["answered_by"]) == ("answered", "citizen")
    after = clerk.get(f"/reports/{report['id']}")
    assert after["paused_at"] is None
    assert "PL 4471" not in client.get(f"/api/v1/reports/{report['number']}").text


def test_the_answer_can_be_given_on_the_page_of_the_mail_and_reaches_who_is_in_charge(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    clerk = signed_in("operatore.illuminazione@pesaro.example.org")
    clerk.change("POST", report["id"], "take", {})
    asked(clerk, report)
    page = client.get(f"/r/{report['number']}", params={"token": report["receipt_token"]})
    assert QUESTION in page.text
    number = as_holder(client, report)["questions"][0]["id"]
    form = {"token": report["receipt_token"], "question": number, "text": "<b>PL 4471</b>"}
    sent = client.post(f"/r/{report['number']}/answers", data=form, follow_redirects=False)
    assert sent.status_code == 303
    page = client.get(f"/r/{report['number']}", params={"token": report["receipt_token"]})
    assert "&lt;b&gt;PL 4471" in page.text
    assert client.post(f"/r/{report['number']}/answers", data=form | {"token": "x"}).status_code == 404
    wait_for_rest(database)
    assert posted(postbox, "è arrivata una risposta") == ["operatore.illuminazione@pesaro.example.org"]


def test_without_an_answer_the_reporter_is_reminded_once_and_the_report_goes_back_by_itself(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    clerk = signed_in(URP)
    clerk.change("POST", report["id"], "moves", {"to": "planned"})
    asked(clerk, report, days=4)
    [question] = questions(clerk, report)
    left = datetime.fromisoformat(question["due_at"]) - datetime.now(UTC)
    assert timedelta(days=4) - timedelta(hours=25) < left < timedelta(days=5)
    duties.attend_questions()
    wait_for_rest(database)
    assert posted(postbox, "aspettiamo la Sua risposta") == []
    later(database, "remind_at")
    for _ in range(2):
        duties.attend_questions()
        wait_for_rest(database)
    [reminder] = [m for m in postbox.to(ANNA) if "aspettiamo la Sua risposta" in m["Subject"]]
    assert QUESTION in plain(reminder)
    assert report["receipt_token"] in plain(reminder)
    later(database, "due_at")
    for _ in range(2):
        duties.attend_questions()
        wait_for_rest(database)
    back = clerk.get(f"/reports/{report['id']}")
    assert (back["state"], back["paused_at"]) == ("planned", None)
    assert [entry["what"] for entry in back["timeline"]].count("unanswered") == 1
    assert posted(postbox, "nessuna risposta") == [OFFICE]
    assert len([m for m in postbox.to(ANNA) if "Può ancora rispondere" in plain(m)]) == 1
    url = f"/api/v1/reports/{report['number']}/answers"
    number = as_holder(client, report)["questions"][0]["id"]
    late = client.post(url, json={"question": number, "text": "PL 4471"}, headers=receipt(report))
    assert (late.status_code, late.json()["state"]) == (200, "planned"), "late is better than never"
    wait_for_rest(database)
    assert posted(postbox, "è arrivata una risposta") == [OFFICE]


def test_an_answer_that_comes_as_the_time_ends_is_kept_and_the_report_goes_back_once(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    reports = [reported(client, COAST, LAMP, email=ANNA) for _ in range(6)]
    for report in reports:
        asked(clerk, report)
    numbers = {report["id"]: as_holder(client, report)["questions"][0]["id"] for report in reports}
    later(database, "due_at")

    def answer(report: dict[str, Any]) -> int:
        body = {"question": numbers[report["id"]], "text": "PL 4471"}
        url = f"/api/v1/reports/{report['number']}/answers"
        return client.post(url, json=body, headers=receipt(report)).status_code

    with ThreadPoolExecutor(4) as hands:
        expiring = hands.submit(duties.attend_questions)
        statuses = list(hands.map(answer, [*reports, *reversed(reports)]))
        expiring.result()
    assert statuses == [200] * 12
    for report in reports:
        [question] = questions(clerk, report)
        seen = clerk.get(f"/reports/{report['id']}")
        assert (question["state"], question["answer"], seen["state"]) == ("answered", "PL 4471", "assigned")
        assert [entry["what"] for entry in seen["timeline"]].count("answered") == 1
        left = [entry for entry in seen["timeline"] if entry["from_state"] == "waiting" != entry["to_state"]]
        assert [entry["to_state"] for entry in left if entry["to_state"] != "waiting"] == ["assigned"]


def test_the_desk_takes_a_question_back_or_writes_down_what_it_was_told(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = reported(client, COAST, "c'è una cosa strana che non so dire", email=ANNA)
    assert report["state"] == "triage"
    clerk = signed_in(URP)
    reason = clerk.get(f"/reports/{report['id']}")["triage_reason"]
    asked(clerk, report)
    second = client.post(
        f"/api/v1/desk/reports/{report['id']}/questions",
        json={"text": "E poi?"},
        headers=clerk.headers | {"If-Match": f'"v{clerk.get("/reports/" + report["id"])["version"]}"'},
    )
    assert second.status_code == 409
    number = questions(clerk, report)[0]["id"]
    back = clerk.change("DELETE", report["id"], f"questions/{number}", {})
    assert (back["state"], back["triage_reason"]) == ("triage", reason)
    assert as_holder(client, report)["questions"] == []
    asked(clerk, report)
    clerk.change("PUT", report["id"], "category", {"category": "lamp-out"})
    number = questions(clerk, report)[1]["id"]
    told = clerk.change("PUT", report["id"], f"questions/{number}/answer", {"text": "Al telefono: PL 4471."})
    assert told["state"] == "assigned", "it was sorted meanwhile"
    [_, known] = questions(clerk, report)
    assert (known["answered_by"], known["answer"]) == ("staff", "Al telefono: PL 4471.")
    wait_for_rest(database)
    assert posted(postbox, "è arrivata una risposta") == []


def test_work_that_goes_on_without_the_answer_asks_for_it_no_more_but_still_takes_it(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = reported(client, COAST, LAMP, email=ANNA)
    clerk = signed_in(URP)
    asked(clerk, report)
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    wait_for_rest(database)
    assert "Risponda entro" not in plain(postbox.to(ANNA)[-1])
    later(database, "remind_at")
    duties.attend_questions()
    wait_for_rest(database)
    assert posted(postbox, "aspettiamo la Sua risposta") == []
    url = f"/api/v1/reports/{report['number']}/answers"
    answered = client.post(url, json={"text": "PL 4471"}, headers=receipt(report))
    assert (answered.status_code, answered.json()["state"]) == (200, "in_progress")
    wait_for_rest(database)
    assert posted(postbox, "è arrivata una risposta") == [OFFICE]


def test_who_cannot_be_asked_is_not_asked(client: TestClient, database: str, signed_in: SignIn) -> None:
    clerk = signed_in(URP)
    nobody, anna, bruno = (
        reported(client, COAST, LAMP, **more) for more in ({}, {"email": ANNA}, {"email": "bruno@example.org"})
    )

    def refusal(report: dict[str, Any], staff: Staffer, **body: Any) -> tuple[int, str]:
        seen = client.get(f"/api/v1/desk/reports/{report['id']}", headers=clerk.headers)
        answer = client.post(
            f"/api/v1/desk/reports/{report['id']}/questions",
            json={"text": QUESTION} | body,
            headers=staff.headers | {"If-Match": seen.headers["etag"]},
        )
        return answer.status_code, answer.json()["detail"]

    assert refusal(nobody, clerk)[0] == 409
    clerk.change("PUT", bruno["id"], "master", {"master": anna["id"]})
    assert "split it off first" in refusal(bruno, clerk)[1]
    assert refusal(anna, clerk, days=61)[0] == 422
    assert refusal(anna, signed_in("operatore.verde@pesaro.example.org"))[0] == 403
    assert refusal(anna, signed_in("squadra.lamps@pesaro.example.org"))[0] == 403
    green = signed_in("operatore.verde@pesaro.example.org").headers
    assert client.get(f"/api/v1/desk/reports/{anna['id']}/questions", headers=green).status_code == 404
    asked(clerk, anna)
    with_others = as_holder(client, bruno)
    assert with_others["questions"] == []
    assert with_others["timeline"][-1]["what"] == "master_moved"
    assert with_others["timeline"][-1]["to_state"] == "waiting"


def test_an_administrator_sets_the_days(client: TestClient, database: str, signed_in: SignIn) -> None:
    head = signed_in("amministratore@pesaro.example.org")
    usual = head.get("/dialogue-terms")
    assert (usual["answer_days"], usual["own"]["answer_days"]) == (10, None)
    own = {"reopening_days": None, "closing_days": None, "answer_days": 3}
    url = "/api/v1/desk/dialogue-terms"
    assert client.put(url, json=own, headers=signed_in(URP).headers).status_code == 403
    assert client.put(url, json=own | {"answer_days": 0}, headers=head.headers).status_code == 422
    try:
        assert client.put(url, json=own, headers=head.headers).json()["answer_days"] == 3
        report = reported(client, COAST, LAMP, email=ANNA)
        clerk = signed_in(URP)
        asked(clerk, report)
        left = datetime.fromisoformat(questions(clerk, report)[0]["due_at"]) - datetime.now(UTC)
        assert left < timedelta(days=4)
    finally:
        cleared = client.put(url, json=own | {"answer_days": None}, headers=head.headers)
    assert cleared.json()["answer_days"] == 10
