"""Stories of offices that hear of their reports in a chat or on a pager, and of the administrator who sets that up."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.settings import PROJECT
from tests.stories.telling import COAST, PROVINCIAL_ROAD, URP, counted, receipt, reported, wait_for_rest
from tests.stories.test_ladder import pothole, turn_back
from tests.trials import Staffer, at_work, eventually

ADMINISTRATOR: Final = "amministratore@pesaro.example.org"
ADDRESS: Final = "/api/v1/registry/pesaro/staff-channels"
LAMP: Final = {"category": "lamp-out", "address": "Viale Trieste 12", "email": "anna@example.org"}

SignIn = Callable[[str], Staffer]
pytestmark = pytest.mark.usefixtures("worker")


class Chat(ThreadingHTTPServer):
    """A chat's server: keeps what it is told, or does not take it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: list[dict[str, Any]] = []
        self.troubles: list[int] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.troubles.pop(0) if self.server.troubles else 200
        if status == 200:
            self.server.messages.append({"path": self.path, **json.loads(body)})
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


@pytest.fixture
def chat(database: str) -> Iterator[Chat]:
    with at_work(Chat()) as server:
        with psycopg.connect(database) as admin:
            admin.execute("INSERT INTO allowed_host (host, person_id) VALUES (%s, 1)", (server.host,))
        yield server
        wait_for_rest(database)
        with psycopg.connect(database) as admin:
            admin.execute("DELETE FROM allowed_host")


@pytest.fixture
def headers(client: TestClient, signed_in: SignIn) -> dict[str, str]:
    return signed_in(ADMINISTRATOR).headers


def made(client: TestClient, headers: dict[str, str], address: str, **more: Any) -> int:
    body = {"name": "Chat", "address": address, "hears": ["arrived"], "language": "en", **more}
    answer = client.post(ADDRESS, headers=headers, json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def shown(client: TestClient, headers: dict[str, str], channel_id: int) -> dict[str, Any]:
    return next(one for one in client.get(ADDRESS, headers=headers).json() if one["id"] == channel_id)


def test_an_office_hears_of_its_new_reports_and_nothing_of_who_reported(
    client: TestClient, chat: Chat, headers: dict[str, str], database: str, signed_in: SignIn
) -> None:
    reported(client, COAST, "prima che ci fosse il canale", **LAMP)
    wait_for_rest(database)
    first = reported(client, COAST, "un altro lampione", **LAMP)
    department = first["department"]["slug"]
    made(client, headers, f"json://{chat.host}/office?method=POST".replace("?method=POST", ""), department=department)
    made(client, headers, f"json://{chat.host}/town", hears=["emergency"])
    report = reported(client, COAST, "lampione spento, chiamatemi: Anna 333 1234567", **LAMP)
    told = eventually(lambda: chat.messages)[0]
    assert told["path"] == "/office"
    assert told["title"] == "A new report in Pesaro"
    assert report["number"] in told["message"]
    assert "Viale Trieste 12" not in told["message"], "so its reporter has written"
    assert "http://lampione.test/#17/43.9" in told["message"]
    assert not [word for word in ("anna 333", "333 1234567", "chiamatemi") if word in str(told).lower()]
    reported(client, PROVINCIAL_ROAD, "buca", category="pothole")
    hidden = reported(client, COAST, "Non mi sento sicura", category="unsafe-place", address="Via Segreta 3")
    wait_for_rest(database)
    assert len(chat.messages) == 1, "of another office's reports it hears nothing"

    with psycopg.connect(database) as admin:
        admin.execute("UPDATE report SET address_source = 'register' WHERE id IN (%s, %s)", [first["id"], hidden["id"]])
    signed_in(URP).change("PUT", hidden["id"], "department", {"department": department, "reason": "È loro."})
    handed = eventually(lambda: chat.messages[1:])[0]
    assert hidden["number"] in handed["message"]
    assert "Segreta" not in handed["message"], "what is not for everybody's eyes has no place in a chat"
    assert "http" not in handed["message"]
    for back in ("urp", department):
        signed_in(URP).change("PUT", hidden["id"], "department", {"department": back, "reason": "No, loro."})
        wait_for_rest(database)
    eventually(lambda: len(chat.messages) == 3)
    assert hidden["number"] in chat.messages[2]["message"], "what comes back is heard again"
    for back in ("urp", department):
        signed_in(URP).change("PUT", first["id"], "department", {"department": back, "reason": "No, loro."})
    assert "Viale Trieste 12" in eventually(lambda: chat.messages[3:])[0]["message"], "so the register names the place"


def test_words_of_danger_reach_the_pager_at_once(
    client: TestClient, chat: Chat, headers: dict[str, str], database: str
) -> None:
    made(client, headers, f"ntfy://{chat.host}/reperibile", hears=["emergency"])
    reported(client, COAST, "lampione spento", category="lamp-out")
    report = reported(client, COAST, "cavo scoperto sul lampione, pericolo di scossa", category="lamp-out")
    assert report["emergency"]
    told = eventually(lambda: chat.messages)[0]
    assert told["topic"] == "reperibile"
    assert told["title"].startswith("URGENT")
    wait_for_rest(database)
    assert len(chat.messages) == 1


def test_a_letter_to_the_office_goes_to_its_chat_too(
    client: TestClient, chat: Chat, headers: dict[str, str], database: str, signed_in: SignIn
) -> None:
    report = reported(client, COAST, "lampione spento", **LAMP)
    made(client, headers, f"json://{chat.host}/office", hears=["answered"])
    signed_in(URP).change("POST", report["id"], "questions", {"text": "Quale lampione?"})
    answers = f"/api/v1/reports/{report['number']}/answers"
    answer = client.post(answers, headers=receipt(report), json={"text": "Quello davanti a casa di Anna."})
    assert answer.is_success, answer.text
    told = eventually(lambda: chat.messages)[0]
    assert told["title"] == "The reporter has answered: Pesaro"
    assert "casa di Anna" not in str(told)


def test_crew_person_note_and_clock_are_heard_each_where_it_was_asked_for(
    client: TestClient, chat: Chat, headers: dict[str, str], database: str, signed_in: SignIn
) -> None:
    report = pothole(client)
    for crew in ("roads-coast", "roads-hills"):
        made(client, headers, f"json://{chat.host}/{crew}", crew=crew)
    heard = ["assigned", "mentioned", "escalated"]
    made(client, headers, f"json://{chat.host}/office", department="public-works", hears=heard)
    clerk = signed_in(URP)
    works = next(one for one in clerk.get("/people")["people"] if one["handle"] == "operatore.lavoripubblici")
    clerk.change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    clerk.change("PUT", report["id"], "person", {"person": works["id"]})
    note = {"text": "@operatore.lavoripubblici chiami la signora Anna", "is_public": False}
    clerk.change("POST", report["id"], "updates", note)
    eventually(lambda: len(chat.messages) == 3)
    turn_back(database, [report], 8.5)
    eventually(lambda: len(chat.messages) == 4, 30)
    told = {(one["path"], one["title"].partition(":")[0]) for one in chat.messages}
    assert told == {
        ("/roads-coast", "A new report in Pesaro"),
        ("/office", "Reports given to somebody"),
        ("/office", "Somebody was called in an internal note"),
        ("/office", "Time is running out, or is over"),
    }
    assert all(report["number"] in one["message"] for one in chat.messages)
    assert "Anna" not in str(chat.messages), "what a colleague wrote stays in the house"


def test_a_chat_in_trouble_is_told_later_and_once(
    client: TestClient, chat: Chat, headers: dict[str, str], database: str
) -> None:
    channel = made(client, headers, f"json://{chat.host}/office")
    chat.troubles = [503]
    reported(client, COAST, "lampione spento", category="lamp-out")
    eventually(lambda: chat.messages)
    wait_for_rest(database)
    assert len(chat.messages) == 1
    assert shown(client, headers, channel)["problem"] is None


def test_the_administrator_tries_a_channel_and_sees_its_address_never_again(
    client: TestClient, chat: Chat, headers: dict[str, str], database: str, signed_in: SignIn
) -> None:
    channel = made(client, headers, f"json://secret:word@{chat.host}/office")
    assert client.post(f"{ADDRESS}/{channel}/attempts", headers=headers).status_code == 202
    told = eventually(lambda: chat.messages)[0]
    assert told["message"] == "If you read this, the channel “Chat” works."
    eventually(lambda: shown(client, headers, channel)["tried_at"])
    assert shown(client, headers, channel)["problem"] is None
    listed = client.get(ADDRESS, headers=headers).text
    assert '"address":"json://…"' in listed
    assert "secret" not in listed
    with psycopg.connect(database) as admin:
        assert b"secret" not in (admin.execute("SELECT address FROM staff_channel").fetchone() or (b"secret",))[0]
    body = {"name": "Chat 2", "hears": ["escalated"]}
    assert client.put(f"{ADDRESS}/{channel}", headers=headers, json=body).status_code == 204
    client.post(f"{ADDRESS}/{channel}/attempts", headers=headers)
    assert "Chat 2" in eventually(lambda: chat.messages[1:])[0]["message"], "the address is as it was"
    clerk = signed_in(URP).headers
    assert client.get(ADDRESS, headers=clerk).status_code == 403
    assert client.delete(f"{ADDRESS}/{channel}", headers=headers).status_code == 204
    reported(client, COAST, "lampione spento", category="lamp-out")
    wait_for_rest(database)
    assert len(chat.messages) == 2
    assert counted(database, "staff_channel") == 0


@pytest.mark.parametrize("trouble", ["not allowed", "redirected", "unencrypted"])
def test_a_channel_never_leads_into_our_own_network(
    client: TestClient, chat: Chat, headers: dict[str, str], database: str, trouble: str
) -> None:
    address = f"json://{chat.host}/office"
    if trouble == "redirected":
        chat.troubles = [302]
    elif trouble == "unencrypted":
        address = "json://192.0.2.1/office"
    else:
        with psycopg.connect(database) as admin:
            admin.execute("DELETE FROM allowed_host")
    channel = made(client, headers, address)
    client.post(f"{ADDRESS}/{channel}/attempts", headers=headers)
    assert "rete privata" in eventually(lambda: shown(client, headers, channel)["problem"])
    assert not chat.messages


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"address": "https://hooks.slack.com/services/a/b/c"}, "address"),
        ({"address": "mailto://user:pw@example.org"}, "address"),
        ({"address": "syslog://"}, "address"),
        ({"address": "workflows://host/a/b?template=/etc/passwd"}, "address"),
        ({"address": "jsons://host/a?verify=no"}, "address"),
        ({"address": None}, "address"),
        ({"department": "nowhere"}, "department"),
        ({"department": "urp", "crew": "roads-coast"}, "crew"),
        ({"hears": ["gossip"]}, "hears.0"),
    ],
)
def test_a_channel_that_cannot_be_is_refused_with_its_field(
    client: TestClient, headers: dict[str, str], database: str, change: dict[str, Any], field: str
) -> None:
    body = {"name": "Chat", "address": "tgram://1:a/2", "hears": ["arrived"]} | change
    answer = client.post(ADDRESS, headers=headers, json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_neither_api_nor_worker_loads_what_speaks_to_chats() -> None:
    code = (
        "import sys, api.app, workers.letters, workers.app; api.app.create_app();"
        " sys.exit('apprise' in sys.modules or 'requests' in sys.modules)"
    )
    with contextlib.ExitStack():
        assert subprocess.run([sys.executable, "-P", "-c", code], cwd=PROJECT, check=False).returncode == 0
