"""Stories of those who want to be answered in app IO, and of the administrator who opens that way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial
from city.errors import sentence_of
from city.registry.sign_in import citizens
from tests.conftest import pointed_at
from tests.io_service import KEY, NOBODY, IoService, serving
from tests.stories.telling import COAST, FANO, URP, hand_in, plain, reported, wait_for_rest
from tests.trials import Postbox, Staffer, eventually

ANNA: Final = "RSSMRA80A01H501U"
BRUNO: Final = "RSSMRA85T10A562S"
ADMINISTRATOR: Final = "amministratore@pesaro.example.org"
ADDRESS: Final = "/api/v1/registry/pesaro/app-io"
LAMP: Final = "lampione spento"

SignIn = Callable[[str], Staffer]


@pytest.fixture(scope="module")
def listening(_database: str) -> Iterator[IoService]:
    with serving() as service, pointed_at({"LAMPIONE_APP_IO_URL": service.url}):
        yield service


@pytest.fixture(scope="module")
def _worker(listening: IoService, _worker: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """The worker, started when the service's address was known."""
    return _worker


@pytest.fixture
def io(listening: IoService, client: TestClient, signed_in: SignIn, worker: object) -> Iterator[IoService]:
    """Pesaro writes in app IO."""
    listening.forget()
    headers = signed_in(ADMINISTRATOR).headers
    assert client.put(ADDRESS, headers=headers, json={"key": KEY}).status_code == 204
    yield listening
    assert client.delete(ADDRESS, headers=headers).status_code == 204


def lamp(client: TestClient, **contact: Any) -> Any:
    return reported(client, COAST, LAMP, category="lamp-out", contact=contact)


def deliveries(database: str) -> list[tuple[str, str, str]]:
    with psycopg.connect(database) as admin:
        return admin.execute("SELECT channel, state, address FROM delivery ORDER BY created_at").fetchall()


def test_whoever_gives_a_fiscal_code_is_answered_in_the_app_and_nowhere_else(
    client: TestClient, io: IoService, postbox: Postbox, database: str, signed_in: SignIn
) -> None:
    io.people[ANNA] = True
    report = lamp(client, email="anna@example.org", fiscal_code=" rssmra80a01h501u")
    message = eventually(lambda: io.to(ANNA))[0]
    assert message["subject"] == f"Segnalazione {report['number']} ricevuta"
    assert "Abbiamo ricevuto la Sua segnalazione" in message["markdown"]
    assert f"http://lampione.test/r/{report['number']}?token=" in message["markdown"]
    assert message["require_secure_channels"] is True
    assert io.asked == [ANNA], "the profile is asked first"
    wait_for_rest(database)
    clerk = signed_in(URP)
    clerk.change(
        "POST",
        report["id"],
        "updates",
        {"text": "Arriva *il* tecnico [qui](https://x.example.org).", "is_public": True},
    )
    update = eventually(lambda: io.to(ANNA)[1:])[0]
    assert "\\*il\\* tecnico \\[qui\\]\\(https://x.example.org\\)" in update["markdown"], "text stays text"
    wait_for_rest(database)
    assert not postbox.to("anna@example.org")
    channels = {channel for channel, _, _ in deliveries(database)}
    assert channels == {"app_io"}
    with psycopg.connect(database) as admin:
        rows = str(admin.execute("SELECT * FROM reporter, delivery, job").fetchall())
        kept = admin.execute("SELECT fiscal_code FROM reporter").fetchone()
    assert kept is not None
    assert ANNA.encode() not in kept[0]
    assert ANNA not in rows
    seen = client.get(f"/api/v1/desk/reports/{report['id']}", headers=clerk.headers).text
    assert ANNA not in seen


@pytest.mark.parametrize("people", [{}, {ANNA: False}])
def test_whoever_does_not_use_the_app_or_silenced_the_sender_gets_mail(
    client: TestClient, io: IoService, postbox: Postbox, database: str, people: dict[str, bool]
) -> None:
    io.people |= people
    report = lamp(client, email="anna@example.org", fiscal_code=ANNA)
    mail = eventually(lambda: postbox.to("anna@example.org"))[0]
    assert report["number"] in plain(mail)
    wait_for_rest(database)
    assert not io.messages
    assert deliveries(database) == [("email", "sent", "anna@example.org")]


def test_where_there_is_no_address_either_it_is_noted_that_nobody_was_reached(
    client: TestClient, io: IoService, database: str
) -> None:
    lamp(client, fiscal_code=ANNA)
    eventually(lambda: [one for one in deliveries(database) if one[1] == "refused"])
    with psycopg.connect(database) as admin:
        problem = admin.execute("SELECT problem FROM delivery").fetchone()
    assert problem is not None
    assert (sentence_of(problem[0], "en") or "").startswith("This person does not use app IO")


def test_when_the_app_asks_for_patience_the_message_comes_later_and_once(
    client: TestClient, io: IoService, postbox: Postbox, database: str
) -> None:
    io.people[ANNA] = True
    io.troubles = [429, 500]
    lamp(client, email="anna@example.org", fiscal_code=ANNA)
    eventually(lambda: io.to(ANNA))
    wait_for_rest(database)
    assert len(io.messages) == 1
    assert not postbox.to("anna@example.org")


def test_a_question_to_the_reporter_comes_by_the_same_way(
    client: TestClient, io: IoService, database: str, signed_in: SignIn
) -> None:
    io.people[ANNA] = True
    report = lamp(client, fiscal_code=ANNA)
    eventually(lambda: io.to(ANNA))
    wait_for_rest(database)
    signed_in(URP).change("POST", report["id"], "questions", {"text": "Quale lampione?"})
    asked = eventually(lambda: io.to(ANNA)[1:])[0]
    assert "Quale lampione?" in asked["markdown"]


def test_whoever_has_signed_in_with_a_digital_identity_need_not_type_the_code(
    client: TestClient, io: IoService, database: str
) -> None:
    io.people[ANNA] = True
    with provincial() as session:
        token = citizens.begin(session, fiscal_number=f"TINIT-{ANNA}", device="").token
    body = {"lon": COAST.lon, "lat": COAST.lat, "description": LAMP, "category": "lamp-out"}
    headers = {"Authorization": f"Bearer {token}"}
    assert client.post("/api/v1/reports", headers=headers, json=body | {"contact": {"app_io": True}}).is_success
    eventually(lambda: io.to(ANNA))
    assert client.post("/api/v1/reports", headers=headers, json=body).is_success
    wait_for_rest(database)
    assert len(io.to(ANNA)) == 1, "only where they want it"


def test_a_fiscal_code_that_nobody_can_have_is_refused_with_a_clear_word(client: TestClient, io: IoService) -> None:
    answer = hand_in(client, COAST, LAMP, category="lamp-out", contact={"fiscal_code": "RSSMRA80A01H501X"})
    assert (answer.status_code, answer.json()["field"]) == (422, "contact.fiscal_code")
    assert "the last letter must belong to the others" in answer.json()["detail"]


def test_elsewhere_no_fiscal_code_is_kept(client: TestClient, io: IoService, postbox: Postbox, database: str) -> None:
    known = {one["slug"]: one["app_io"] for one in client.get("/api/v1/municipalities").json()}
    assert known["pesaro"]
    assert not known["fano"]
    contact = {"email": "anna@example.org", "fiscal_code": ANNA}
    reported(client, FANO, LAMP, category="lamp-out", contact=contact)
    eventually(lambda: postbox.to("anna@example.org"))
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT fiscal_code FROM reporter").fetchall() == [(None,)]
    unreachable = hand_in(client, FANO, LAMP, category="lamp-out", contact={"fiscal_code": ANNA})
    assert (unreachable.status_code, unreachable.json()["field"]) == (422, "contact.email")


def test_a_case_can_be_followed_in_the_app_and_an_area_cannot(
    client: TestClient, io: IoService, database: str, signed_in: SignIn
) -> None:
    io.people |= {ANNA: True, BRUNO: True}
    report = lamp(client, fiscal_code=ANNA)
    base = {"municipality": "pesaro", "fiscal_code": BRUNO, "language": "en"}
    area = client.post("/api/v1/subscriptions", json=base)
    assert (area.status_code, area.json()["field"]) == (422, "fiscal_code")
    assert client.post("/api/v1/subscriptions", json=base | {"report": report["number"]}).status_code == 202
    question = eventually(lambda: io.to(BRUNO))[0]
    token = question["markdown"].split("/subscriptions/confirm/")[1].split(")")[0]
    client.post(f"/subscriptions/confirm/{token}")
    wait_for_rest(database)
    signed_in(URP).change("POST", report["id"], "updates", {"text": "Arriviamo domani.", "is_public": True})
    told = eventually(lambda: io.to(BRUNO)[1:])[0]
    assert "Arriviamo domani." in told["markdown"]
    wait_for_rest(database)
    assert len(io.to(ANNA)) == 2, "the reporter hears once"

    assert client.post(
        "/api/v1/subscriptions", json=base | {"fiscal_code": ANNA, "report": report["number"]}
    ).is_success
    confirm = eventually(lambda: io.to(ANNA)[2:])[0]
    token = confirm["markdown"].split("/subscriptions/confirm/")[1].split(")")[0]
    client.post(f"/subscriptions/confirm/{token}")
    signed_in(URP).change("POST", report["id"], "updates", {"text": "Quasi fatto.", "is_public": True})
    eventually(lambda: io.to(BRUNO)[2:])
    wait_for_rest(database)
    assert len([one for one in io.to(ANNA) if "Quasi fatto" in one["markdown"]]) == 1, "also where they follow it"


def test_nobody_is_told_that_a_key_works_where_only_a_folder_is_written(
    client: TestClient, io: IoService, signed_in: SignIn, variable: Path
) -> None:
    headers = signed_in(ADMINISTRATOR).headers
    with pointed_at({"LAMPIONE_APP_IO_URL": f"file://{variable}/app-io"}):
        assert not client.get(ADDRESS, headers=headers).json()["is_real"]
        tried = client.post(f"{ADDRESS}/attempts", headers=headers).json()
    assert io.to(NOBODY) == []
    assert (tried["works"], "the key was not tried" in tried["problem"]) == (None, True)


def test_the_administrator_sees_whether_the_key_works(client: TestClient, io: IoService, signed_in: SignIn) -> None:
    headers = signed_in(ADMINISTRATOR).headers
    shown = client.get(ADDRESS, headers=headers)
    assert shown.json()["is_active"]
    assert shown.json()["is_real"]
    assert KEY not in shown.text
    assert client.post(f"{ADDRESS}/attempts", headers=headers).json() == {"works": True, "problem": None}
    assert "test message of the municipality of Pesaro" in io.to(NOBODY)[0]["subject"]
    client.put(ADDRESS, headers=headers, json={"key": "another-key-that-is-wrong"})
    tried = client.post(f"{ADDRESS}/attempts", headers=headers).json()
    assert tried == {"works": False, "problem": "App IO refused the message: 401."}
    clerk = signed_in(URP).headers
    assert client.post(f"{ADDRESS}/attempts", headers=clerk).status_code == 403
    elsewhere = ADDRESS.replace("pesaro", "fano")
    assert client.put(elsewhere, headers=headers, json={"key": KEY}).status_code == 403
