"""Stories of outside bodies that have a service: Open311 there and back, webhooks that are signed and repeated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial
from city.jobs import promise
from tests.outside_services import KEY, Services, serving
from tests.stories.outside_world import ADMINISTRATOR, ANNA, CONTACT, HEAD, allowed, hand_over, with_body
from tests.stories.telling import COAST, URP, SignIn, as_holder, plain, reported, wait_for_receipt, wait_for_rest
from tests.trials import Postbox, Staffer, eventually

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def services(database: str) -> Iterator[Services]:
    with serving() as there, allowed(database, there.host):
        yield there


def lamp(client: TestClient, postbox: Postbox, database: str) -> dict[str, Any]:
    report: dict[str, Any] = reported(
        client, COAST, "lampione spento davanti al civico 12", category="lamp-out", contact=CONTACT
    )
    wait_for_receipt(postbox, report, ANNA)
    wait_for_rest(database)
    return report


def utility(client: TestClient, signed_in: SignIn, services: Services, **more: Any) -> str:
    fields: dict[str, Any] = {
        "channel": "open311",
        "address": f"{services.url}/open311",
        "jurisdiction": "utility.example.org",
        "services": {"lamp-out": "L1", "*": "X9"},
        "secret": KEY,
    }
    return with_body(client, signed_in, slug="utility", **fields | more)


def hook(client: TestClient, signed_in: SignIn, services: Services) -> str:
    url = f"{services.url}/hook"
    return with_body(client, signed_in, slug="hook", channel="webhook", address=url, secret=KEY)


def the_handover(clerk: Staffer, report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = clerk.get(f"/reports/{report['id']}")["handovers"][0]
    return found


def hurry(database: str) -> None:
    """What waits for another try is due now."""
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE job SET visible_at = now()")


def ask_now(database: str) -> None:
    """The bodies are asked how far they are, as the chore would after a while."""
    with provincial() as session:
        for municipality_id, key in session.raw.execute("SELECT municipality_id, id FROM handover").fetchall():
            promise(session, "ask_handover", municipality_id=municipality_id, handover_id=str(key))
    wait_for_rest(database)


def test_an_open311_body_gets_the_request_and_what_it_closes_is_solved_under_the_same_number(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, services: Services
) -> None:
    body = utility(client, signed_in, services)
    report = lamp(client, postbox, database)
    clerk = signed_in(URP)
    hand_over(clerk, report, body)
    wait_for_rest(database)
    [(number, request)] = services.requests.items()
    assert (request["service_code"], request["jurisdiction_id"]) == ("L1", "utility.example.org")
    assert (float(request["lat"]), float(request["long"])) == (COAST.lat, COAST.lon)
    assert "lampione spento davanti al civico 12" in request["description"]
    assert report["number"] in request["description"]
    for secret in ("Bianchi", *CONTACT.values()):
        assert secret not in str(request)
    assert (the_handover(clerk, report)["state"], the_handover(clerk, report)["reference"]) == ("sent", number)

    ask_now(database)
    assert clerk.get(f"/reports/{report['id']}")["state"] == "forwarded", "still open there"
    services.status[number] = ("closed", "Lampada sostituita.\u202e")
    told = len(postbox.to(ANNA))
    ask_now(database)
    ask_now(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["handovers"][0]["state"], now["handovers"][0]["their_state"]) == (
        "resolved",
        "done",
        "closed",
    )
    [entry] = [one for one in now["timeline"] if one["to_state"] == "resolved"]
    assert (entry["actor"], entry["note"]) == ("outside", "Lampada sostituita.")
    assert [str(m["Subject"]) for m in postbox.to(ANNA)[told:]] == [f"Segnalazione {report['number']}: risolta"]
    assert as_holder(client, report)["number"] == report["number"]


def test_the_chore_asks_bodies_from_time_to_time_and_reminds_the_office_of_those_that_are_late(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, services: Services
) -> None:
    body = utility(client, signed_in, services)
    report = lamp(client, postbox, database)
    clerk = signed_in(URP)
    hand_over(clerk, report, body, respond_by=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    wait_for_rest(database)
    with psycopg.connect(database) as admin:
        admin.execute(
            "UPDATE handover SET looked_at = now() - interval '1 day', respond_by = now() - interval '1 minute'"
        )
    eventually(lambda: services.looks, 60)
    late = eventually(lambda: [m for m in postbox.messages if "Strade Sicure srl" in str(m["Subject"])], 60)
    assert "non ha risposto entro la data" in plain(late[0])


def test_a_request_whose_answer_was_lost_is_not_opened_twice(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, services: Services
) -> None:
    body = utility(client, signed_in, services)
    report = lamp(client, postbox, database)
    clerk = signed_in(URP)
    services.dying = 1
    hand_over(clerk, report, body)
    eventually(lambda: the_handover(clerk, report)["problem"])
    hurry(database)
    wait_for_rest(database)
    assert len(services.requests) == 1, "looked for before it was sent again"
    assert (the_handover(clerk, report)["state"], the_handover(clerk, report)["reference"]) == ("sent", "EXT-1")


def test_a_body_that_gives_its_number_later_is_asked_for_it(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, services: Services
) -> None:
    services.by_token = True
    body = utility(client, signed_in, services)
    report = lamp(client, postbox, database)
    clerk = signed_in(URP)
    hand_over(clerk, report, body)
    wait_for_rest(database)
    assert (the_handover(clerk, report)["state"], the_handover(clerk, report)["reference"]) == ("sent", None)
    ask_now(database)
    assert the_handover(clerk, report)["reference"] == "EXT-1"


def test_a_body_that_refuses_gives_the_report_back_at_once(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, services: Services
) -> None:
    body = utility(client, signed_in, services)
    services.refusing = True
    report = lamp(client, postbox, database)
    clerk = signed_in(URP)
    hand_over(clerk, report, body)
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["handovers"][0]["state"], now["handovers"][0]["problem"]) == (
        "triage",
        "failed",
        "Il servizio dell'ente non l'accetta (risposta HTTP 403).",
    )


def test_who_reported_goes_along_only_where_the_head_says_so(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, services: Services
) -> None:
    body = utility(client, signed_in, services)
    report = lamp(client, postbox, database)
    head = signed_in(ADMINISTRATOR)
    hand_over(head, report, body, share_contact=True)
    wait_for_rest(database)
    [request] = services.requests.values()
    assert (request["email"], request["first_name"]) == (ANNA, "Anna Bianchi")
    assert HEAD != ADMINISTRATOR


def test_a_webhook_is_signed_repeated_under_the_same_id_and_answered_by_the_link(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, services: Services
) -> None:
    body = hook(client, signed_in, services)
    report = lamp(client, postbox, database)
    clerk = signed_in(URP)
    services.failing = 2
    hand_over(clerk, report, body)
    for _ in range(2):
        eventually(lambda: the_handover(clerk, report)["problem"])
        hurry(database)
    wait_for_rest(database)
    hurry(database)
    wait_for_rest(database)
    assert len(services.hooks) == 3
    assert all(services.is_signed(one) for one in services.hooks)
    assert len({one["headers"]["webhook-id"] for one in services.hooks}) == 1
    assert not services.is_signed(services.hooks[0] | {"body": services.hooks[0]["body"] + b" "})
    handover = the_handover(clerk, report)
    assert (handover["state"], handover["reference"], handover["problem"]) == ("sent", "HOOK-7", None)

    told = orjson.loads(services.hooks[-1]["body"])
    assert (told["type"], told["data"]["number"]) == ("report.handed_over", report["number"])
    for secret in ("Bianchi", *CONTACT.values()):
        assert secret not in str(told)
    path = told["data"]["answer_to"].removeprefix("http://lampione.test")
    assert client.get(path).json()["text"] == "lampione spento davanti al civico 12"
    assert client.post(path, json={"act": "done", "words": "Sostituita."}).status_code == 200
    assert clerk.get(f"/reports/{report['id']}")["state"] == "resolved"


def test_a_service_in_our_own_house_is_refused_when_typed_in_and_when_its_name_leads_there_later(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, services: Services
) -> None:
    administrator = signed_in(ADMINISTRATOR)
    url = "/api/v1/registry/pesaro/outside-bodies/inside"
    fields: dict[str, Any] = {"name": {"it": "Dentro", "en": "Inside"}, "channel": "webhook", "secret": KEY}
    for address in (
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://[::1]/hook",
        "https://10.0.0.1/hook",
        "https://169.254.169.254/latest",
        "http://127.0.0.1:1/hook",
    ):
        answer = client.put(url, json=fields | {"address": address}, headers=administrator.headers)
        assert (answer.status_code, answer.json()["field"]) == (422, "address"), address
    short = client.put(
        url, json=fields | {"address": "https://93.184.215.14/", "secret": "kurz"}, headers=administrator.headers
    )
    assert (short.status_code, short.json()["field"]) == (422, "secret")

    body = hook(client, signed_in, services)
    with psycopg.connect(database) as admin:
        # As a name would that led elsewhere when it was typed in.
        admin.execute("UPDATE outside_body SET address = 'https://localhost/hook'")
    report = lamp(client, postbox, database)
    clerk = signed_in(URP)
    hand_over(clerk, report, body)
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["handovers"][0]["state"]) == ("triage", "failed")
    assert services.hooks == []


def test_a_service_in_a_private_network_is_called_only_while_its_host_is_allowed(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, services: Services
) -> None:
    bodies = [utility(client, signed_in, services), hook(client, signed_in, services)]
    with psycopg.connect(database) as admin:
        admin.execute("DELETE FROM allowed_host")
    clerk = signed_in(URP)
    for body in bodies:
        report = lamp(client, postbox, database)
        hand_over(clerk, report, body)
        wait_for_rest(database)
        assert the_handover(clerk, report)["state"] == "failed"
    assert (services.requests, services.hooks) == ({}, [])


def test_the_secret_of_a_service_is_sealed(
    client: TestClient, database: str, signed_in: SignIn, services: Services
) -> None:
    hook(client, signed_in, services)
    with psycopg.connect(database) as admin:
        kept = admin.execute("SELECT secret FROM outside_body WHERE secret IS NOT NULL").fetchall()
    assert len(kept) == 1
    assert KEY.encode() not in bytes(kept[0][0])
