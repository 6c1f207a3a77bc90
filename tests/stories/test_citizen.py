"""Stories of citizens who sign in with a code: one look at all own reports, and at nobody else's."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, Final
from uuid import uuid4

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient

from city.registry.sign_in import citizen_codes
from tests.stories.telling import COAST, FANO, URP, as_holder, counted, hand_in, plain, receipt, reported, wait_for_rest
from tests.trials import PASSWORD, Postbox, Staffer, eventually

ANNA: Final = "anna@example.org"
BRUNO: Final = "bruno@example.org"
CITIZEN: Final = "/api/v1/citizen"

Header = dict[str, str]

pytestmark = pytest.mark.usefixtures("worker")


def ask(client: TestClient, postbox: Postbox, email: str) -> tuple[str, str]:
    """The handle that the browser gets, and the code of the mail."""

    def codes() -> list[EmailMessage]:
        return [mail for mail in postbox.to(email) if "Your code" in mail["Subject"]]

    before = len(codes())
    answer = client.post(f"{CITIZEN}/codes", json={"email": email})
    assert answer.status_code == 202, answer.text
    mail = eventually(lambda: codes()[before:])[0]
    code = re.search(r"^(\d{6})\s*$", plain(mail), re.MULTILINE)
    assert code is not None, plain(mail)
    assert code[1] not in str(mail["Subject"]), "what stands in subjects is in many a log"
    return answer.json()["handle"], code[1]


def try_in(client: TestClient, handle: str, code: str) -> Any:
    return client.post(f"{CITIZEN}/session", json={"handle": handle, "code": code})


def signed_in(client: TestClient, postbox: Postbox, email: str = ANNA) -> Header:
    answer = try_in(client, *ask(client, postbox, email))
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def own(client: TestClient, citizen: Header, **chosen: Any) -> list[str]:
    """The numbers of one's own reports."""
    answer = client.get(f"{CITIZEN}/reports", headers=citizen, params=chosen)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return [report["number"] for report in answer.json()["reports"]]


def seen(client: TestClient, number: str, citizen: Header) -> Any:
    return client.get(f"/api/v1/reports/{number}/receipt", headers=citizen)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def test_a_code_by_mail_opens_ones_reports_in_two_municipalities_and_a_question_is_answered_there(
    client: TestClient, postbox: Postbox, clerk: Callable[[], Staffer]
) -> None:
    here = reported(client, COAST, "lampione spento", category="lamp-out", email=ANNA)
    there = reported(client, FANO, "buca", category="pothole", email=ANNA.upper())
    hidden = reported(client, COAST, "Non mi sento sicura", category="unsafe-place", email=ANNA)
    others = reported(client, COAST, "lampione spento", category="lamp-out", email=BRUNO)
    nobodys = reported(client, COAST, "altra buca", category="pothole")
    anna = signed_in(client, postbox)
    who = client.get(f"{CITIZEN}/session", headers=anna).json()
    assert who == {"email": ANNA, "name": None, "language": "en", "has_fiscal_number": False}
    assert own(client, anna) == [hidden["number"], there["number"], here["number"]]
    assert own(client, anna, municipality="fano") == [there["number"]]
    for stranger in (others, nobodys):
        assert seen(client, stranger["number"], anna).status_code == 404
        move = client.post(
            f"/api/v1/reports/{stranger['number']}/receipt/moves", headers=anna, json={"to": "withdrawn"}
        )
        assert move.status_code == 404

    clerk().change("POST", here["id"], "questions", {"text": "Quale palo?"})
    listed = client.get(f"{CITIZEN}/reports", headers=anna).json()["reports"]
    assert [report["number"] for report in listed if report["is_asked"]] == [here["number"]]
    question = seen(client, here["number"], anna).json()["questions"][0]["id"]
    for _ in range(2):
        wish = {"question": question, "text": "Il terzo."}
        answered = client.post(f"/api/v1/reports/{here['number']}/answers", headers=anna, json=wish)
        assert answered.status_code == 200, answered.text
    assert [one["answer"] for one in answered.json()["questions"]] == ["Il terzo."]
    assert answered.json() == as_holder(client, here), "the receipt token shows the same"

    withdrawn = client.post(
        f"/api/v1/reports/{there['number']}/receipt/moves",
        headers=anna,
        json={"to": "withdrawn", "reason": "già chiusa"},
    )
    assert withdrawn.status_code == 200, withdrawn.text
    assert own(client, anna, status="closed") == [there["number"]]
    assert own(client, anna, status="open") == [hidden["number"], here["number"]]
    clerk().change("POST", here["id"], "moves", {"to": "resolved", "reason": "Lampada cambiata."})
    manner = {"language": "en", "rhythm": "daily"}
    told = client.put(f"/api/v1/reports/{here['number']}/receipt/messages", headers=anna, json=manner)
    assert told.json()["messages"]["rhythm"] == "daily"
    assert seen(client, hidden["number"], anna).json()["messages"]["rhythm"] == "at_once", "each report for itself"
    rated = client.put(f"/api/v1/reports/{here['number']}/feedback", headers=anna, json={"rating": 5})
    assert rated.json()["feedback"]["rating"] == 5


def test_a_page_goes_on_where_the_last_one_ended(client: TestClient, postbox: Postbox) -> None:
    numbers = [reported(client, COAST, f"buca {n}", category="pothole", email=ANNA)["number"] for n in range(5)]
    anna = signed_in(client, postbox)
    found: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"{CITIZEN}/reports", headers=anna, params=query).json()
        found += [report["number"] for report in page["reports"]]
        cursor = page["next"]
    assert (found, cursor) == (numbers[::-1], None)
    bad = client.get(f"{CITIZEN}/reports", headers=anna, params={"cursor": "x"})
    assert (bad.status_code, bad.json()["field"]) == (422, "cursor")


def test_a_code_is_good_once_in_the_browser_that_asked_and_for_five_tries(
    client: TestClient, postbox: Postbox, database: str
) -> None:
    handle, code = ask(client, postbox, ANNA)
    other_handle, other_code = ask(client, postbox, BRUNO)
    for given in ((other_handle, code), (handle, other_code), ("x", code), (handle, "abcdef")):
        refused = try_in(client, *given)
        assert (refused.status_code, refused.json()["field"]) == (401, "code"), given
    assert try_in(client, handle, f" {code[:3]} {code[3:]} ").status_code == 201
    assert try_in(client, handle, code).status_code == 401, "used"

    handle, code = ask(client, postbox, ANNA)
    for _ in range(5):
        assert try_in(client, handle, wrong(code)).status_code == 401
    assert try_in(client, handle, code).status_code == 401, "guessed at too often"
    handle, code = ask(client, postbox, ANNA)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE citizen_code SET created_at = now() - interval '11 minutes'")
    assert try_in(client, handle, code).status_code == 401, "too old"


def test_two_processes_count_mistakes_and_requests_together(
    client: TestClient, postbox: Postbox, database: str, live: str
) -> None:
    handle, code = ask(client, postbox, ANNA)
    with httpx.Client(base_url=live) as there:
        for number in range(citizen_codes.MOST_TRIES):
            door = (client, there)[number % 2]
            assert door.post(f"{CITIZEN}/session", json={"handle": handle, "code": wrong(code)}).status_code == 401
        for door in (client, there):
            dead = door.post(f"{CITIZEN}/session", json={"handle": handle, "code": code})
            assert dead.status_code == 401, "five mistakes in all"
        given = [door.post(f"{CITIZEN}/codes", json={"email": ANNA}).status_code for door in (there, client) * 3]
        assert given == [202] * 4 + [429] * 2
    wait_for_rest(database)


def test_the_code_stands_in_the_mail_and_nowhere_else(client: TestClient, postbox: Postbox, database: str) -> None:
    handle, code = ask(client, postbox, ANNA)
    with psycopg.connect(database) as admin:
        rows = admin.execute("SELECT citizen_code::text FROM citizen_code").fetchall()
        rows += admin.execute("SELECT job::text FROM job").fetchall()
    assert counted(database, "delivery") == 0
    for secret in (code, handle):
        # Six figures stand in a digest or behind a second's point by chance.
        alone = re.compile(rf"(?<![\w.]){re.escape(secret)}(?!\w)")
        assert not [row for row in rows if alone.search(row[0])], "kept readable"


def test_asking_is_slowed_down_before_anything_is_done(client: TestClient, database: str) -> None:
    given = [client.post(f"{CITIZEN}/codes", json={"email": ANNA}).status_code for _ in range(7)]
    assert given == [202] * 5 + [429] * 2
    assert counted(database, "citizen_code") == 5
    assert client.post(f"{CITIZEN}/codes", json={"email": BRUNO}).status_code == 202
    for email in ("nobody", "a@b", "anna @example.org", "\u212aate@example.org", "a@example.org\nBcc: b@example.org"):
        refused = client.post(f"{CITIZEN}/codes", json={"email": email})
        assert (refused.status_code, refused.json()["field"]) == (422, "email"), email
    wait_for_rest(database)  # no code is on its way any more to whoever asks in the next test


def test_a_report_sent_while_signed_in_is_theirs_and_says_what_they_did_not(
    client: TestClient, postbox: Postbox, database: str
) -> None:
    anna = signed_in(client, postbox)
    client.put(CITIZEN, headers=anna, json={"name": "Anna Bianchi", "language": "en"})
    wait_for_rest(database)
    postbox.messages.clear()
    body = {"lon": FANO.lon, "lat": FANO.lat, "description": "lampione spento", "client_reference": str(uuid4())}
    assert client.post("/api/v1/reports", json=body).status_code == 422, "Fano wants to know who"
    first = client.post("/api/v1/reports", json=body, headers=anna)
    assert first.status_code == 201, first.text
    mail = eventually(lambda: postbox.to(ANNA))[0]
    assert "received" in str(mail["Subject"]), "in her language"
    client.put(CITIZEN, headers=anna, json={"name": "Anna B.", "language": "it"})
    given = {"contact": {"email": BRUNO, "name": "Bruno"}, "client_reference": str(uuid4())}
    body_too = {"lon": COAST.lon, "lat": COAST.lat, "description": "buca", **given}
    for_bruno = client.post("/api/v1/reports", json=body_too, headers=anna).json()
    for sent, number, headers in (
        (body, first.json()["number"], anna),
        (body_too, for_bruno["number"], anna),
        (body_too, for_bruno["number"], {}),
    ):
        again = client.post("/api/v1/reports", json=sent, headers=headers)
        assert (again.status_code, again.json()["number"]) == (200, number), "also after another name, or signing out"
    assert own(client, anna) == [for_bruno["number"], first.json()["number"]]
    with psycopg.connect(database) as admin:
        kept = admin.execute("SELECT email, name FROM reporter ORDER BY name").fetchall()
    assert kept == [(ANNA, "Anna Bianchi"), (BRUNO, "Bruno")]
    assert own(client, signed_in(client, postbox, BRUNO)) == [for_bruno["number"]], "the address is his"


def test_a_sign_in_that_is_over_is_said_and_that_of_staff_makes_nobody_a_reporter(
    client: TestClient, postbox: Postbox, clerk: Callable[[], Staffer], database: str
) -> None:
    anna = signed_in(client, postbox)
    here = reported(client, COAST, "lampione spento", email=ANNA)
    client.delete(f"{CITIZEN}/session", headers=anna)
    body = {"lon": COAST.lon, "lat": COAST.lat, "description": "buca"}
    assert client.post("/api/v1/reports", json=body, headers=anna).status_code == 401
    assert seen(client, here["number"], anna).status_code == 401
    assert seen(client, here["number"], anna | receipt(here)).status_code == 200
    staff = clerk().headers
    assert client.post("/api/v1/reports", json=body, headers=staff).status_code == 201
    assert counted(database, "reporter") == 1
    assert seen(client, here["number"], staff).status_code == 404
    assert client.get(f"{CITIZEN}/reports", headers=staff).status_code == 401
    again = signed_in(client, postbox)
    assert client.get("/api/v1/desk/reports", headers=again).status_code == 401


def test_a_lost_telephone_is_signed_out(client: TestClient, postbox: Postbox) -> None:
    here, phone, bruno = (signed_in(client, postbox, email) for email in (ANNA, ANNA, BRUNO))
    devices = client.get(f"{CITIZEN}/session/devices", headers=here).json()
    assert [one["is_this"] for one in devices] == [False, True]
    there = f"{CITIZEN}/session/devices/{devices[0]['id']}"
    assert client.delete(there, headers=bruno).status_code == 404
    assert client.delete(there, headers=here).status_code == 204
    assert client.get(f"{CITIZEN}/session", headers=phone).status_code == 401
    third = signed_in(client, postbox)
    assert client.delete(f"{CITIZEN}/session/devices", headers=here).status_code == 204
    assert client.get(f"{CITIZEN}/session", headers=third).status_code == 401
    assert client.get(f"{CITIZEN}/session", headers=here).status_code == 200


def test_another_address_is_taken_by_its_own_code_and_the_reports_of_both_are_there(
    client: TestClient, postbox: Postbox
) -> None:
    reports = [reported(client, COAST, "buca", email=email)["number"] for email in (ANNA, BRUNO)]
    anna = signed_in(client, postbox)
    handle, code = ask(client, postbox, BRUNO)
    assert client.put(f"{CITIZEN}/email", headers=anna, json={"handle": handle, "code": wrong(code)}).status_code == 401
    changed = client.put(f"{CITIZEN}/email", headers=anna, json={"handle": handle, "code": code})
    assert changed.json()["email"] == BRUNO
    assert own(client, anna) == reports[::-1]
    assert own(client, signed_in(client, postbox, BRUNO)) == reports[::-1], "the same citizen"


def test_forget_me_leaves_the_report_and_its_receipt_and_nothing_of_the_account(
    client: TestClient, postbox: Postbox, database: str
) -> None:
    anna, phone = signed_in(client, postbox), signed_in(client, postbox)
    body = {"lon": COAST.lon, "lat": COAST.lat, "description": "buca", "contact": {"email": BRUNO}}
    report = client.post("/api/v1/reports", json=body, headers=anna).json()
    assert client.delete(CITIZEN, headers=anna).status_code == 204
    for headers in (anna, phone):
        assert client.get(f"{CITIZEN}/reports", headers=headers).status_code == 401
    assert as_holder(client, report)["state"] != "withdrawn"
    assert [counted(database, table) for table in ("citizen", "citizen_session", "reporter")] == [0, 0, 1]
    assert own(client, signed_in(client, postbox)) == [], "what was hers by the sign-in is nobody's"


def test_without_an_address_to_be_reached_at_reports_are_found_by_no_empty_address(
    client: TestClient, postbox: Postbox, database: str
) -> None:
    reported(client, COAST, "buca", contact={"phone": "0721 123456"})
    hand_in(client, COAST, "buca", contact={"name": "Anna"})
    anna = signed_in(client, postbox)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE citizen SET email = NULL")
    assert own(client, anna) == []


def test_who_has_proved_the_address_subscribes_without_being_asked_by_mail(
    client: TestClient, postbox: Postbox, clerk: Callable[[], Staffer], database: str
) -> None:
    here = reported(client, COAST, "lampione spento", category="lamp-out", email=ANNA)
    bruno, anna = signed_in(client, postbox, BRUNO), signed_in(client, postbox)
    postbox.messages.clear()
    follow = {"municipality": "pesaro", "report": here["number"]}
    first = client.post(f"{CITIZEN}/subscriptions", headers=bruno, json=follow)
    assert first.status_code == 201, first.text
    assert client.post(f"{CITIZEN}/subscriptions", headers=bruno, json=follow).json()["id"] == first.json()["id"]
    everything = {"municipality": "fano", "rhythm": "daily"}
    client.post(f"{CITIZEN}/subscriptions", headers=bruno, json=everything)
    clerk().change("POST", here["id"], "updates", {"text": "Arriviamo domani.", "is_public": True})
    assert "Arriviamo domani." in plain(eventually(lambda: postbox.to(BRUNO))[0])
    wait_for_rest(database)
    assert len(postbox.to(BRUNO)) == 1, "no question whether he wants it"

    known = client.get(f"{CITIZEN}/subscriptions", headers=bruno).json()
    assert [(one["municipality"], one["rhythm"]) for one in known] == [("pesaro", "at_once"), ("fano", "daily")]
    assert [one["kind"] for town in known for one in town["subscriptions"]] == ["report", "municipality"]
    quiet = {"language": "it", "rhythm": "at_once", "quiet_from": "21:00", "quiet_until": "07:00"}
    assert client.put(f"{CITIZEN}/subscriptions/fano", headers=bruno, json=quiet).json()["quiet_from"] == "21:00"
    one = f"{CITIZEN}/subscriptions/pesaro/{first.json()['id']}"
    assert client.get(f"{CITIZEN}/subscriptions", headers=anna).json() == []
    for path in (one, f"{CITIZEN}/subscriptions/fano"):
        assert client.delete(path, headers=anna).status_code == 404
    assert client.delete(one, headers=bruno).status_code == 204
    assert client.delete(f"{CITIZEN}/subscriptions/fano", headers=bruno).status_code == 204
    assert counted(database, "subscriber") == 0, "an address with nothing to be told is forgotten"


def test_who_asks_what_is_held_gets_all_of_it_and_nothing_of_others(
    client: TestClient, postbox: Postbox, clerk: Callable[[], Staffer], database: str
) -> None:
    anna = signed_in(client, postbox)
    contact = {"email": ANNA, "name": "Anna Bianchi", "phone": "0721 123456"}
    here = reported(client, COAST, "lampione di Anna", contact=contact)
    for_bruno = {"lon": FANO.lon, "lat": FANO.lat, "description": "buca di Anna", "contact": {"email": BRUNO}}
    client.post("/api/v1/reports", json=for_bruno, headers=anna)
    reported(client, COAST, "rifiuti di Bruno", email=BRUNO)
    client.post(f"{CITIZEN}/subscriptions", headers=anna, json={"municipality": "pesaro"})
    clerk().change("POST", here["id"], "updates", {"text": "fra noi", "is_public": False})
    wait_for_rest(database)
    answer = client.get(f"{CITIZEN}/data", headers=anna)
    assert "attachment" in answer.headers["content-disposition"]
    held = answer.json()
    assert (held["citizen"]["email"], len(held["sign_ins"])) == (ANNA, 1)
    assert [report["description"] for report in held["reports"]] == ["lampione di Anna", "buca di Anna"]
    assert [report["contact"] for report in held["reports"]] == [contact | {"language": "it", "app_io": False}, None]
    assert [one["kind"] for town in held["subscriptions"] for one in town["subscriptions"]] == ["municipality"]
    assert [(letter["report"], letter["state"]) for letter in held["letters"]] == [(here["number"], "sent")]
    for others in (BRUNO, "rifiuti", "fra noi"):
        assert others not in answer.text


@pytest.fixture
def clerk(client: TestClient) -> Callable[[], Staffer]:
    """The clerk of the front desk in Pesaro."""

    def sign_in() -> Staffer:
        answer = client.post("/api/v1/session", json={"email": URP, "password": PASSWORD})
        return Staffer(client, {"Authorization": f"Bearer {answer.json()['token']}"})

    return sign_in
