"""The contract is current, valid, and kept: what the document promises is what the service does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import orjson
import psycopg
import pyotp
import pytest
import schemathesis
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from schemathesis.specs.openapi.checks import ignored_auth
from sqlalchemy import select

from api import problems
from api.app import create_app
from api.limits import UPLOAD_PIECE
from city import errors
from city.database import provincial, reading, writing
from city.messages.fates import pausing
from city.messages.subscriptions import own_links
from city.messages.subscriptions.tables import Subscription
from city.messages.tables import Delivery
from city.outside.mail_status import Bounce
from city.registry import view
from city.registry.sign_in import citizen_codes, citizens
from city.registry.sign_in.citizen_tables import CitizenCode
from city.settings import PROJECT
from city.texts import catalogue
from tests.stories.telling import COAST, photo_taken_at
from tests.trials import PASSWORD, Staffer, visiting

CONTRACT: Final = PROJECT / "openapi" / "lampione.json"
CREW: Final = "squadra.roads-coast@pesaro.example.org"
CLERK: Final = "operatore.urp@pesaro.example.org"
TOWN_ADMINISTRATOR: Final = "amministratore@pesaro.example.org"
ADMINISTRATOR: Final = "amministratore@provincia.example.org"
REPORTER: Final = {"email": "segretissima@example.org", "name": "Anna Segretissima", "phone": "+39 333 7654321"}
LAMP: Final = {
    "lon": 12.9135,
    "lat": 43.9098,
    "description": "Lampione spento davanti al civico 12",
    "contact": REPORTER,
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The contract as the program makes it."""
    return dict(create_app().openapi())


# --- the document


def test_the_committed_contract_is_current(document: dict[str, Any]) -> None:
    assert CONTRACT.is_file(), "./lampione check --fix writes it"
    assert orjson.loads(CONTRACT.read_bytes()) == document, "./lampione check --fix writes it anew"


def test_the_contract_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    names = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            assert operation["tags"], (method, path)
            assert operation["operationId"] not in names
            names.add(operation["operationId"])


def is_for_staff(path: str, method: str) -> bool:
    if path == "/api/v1/session":
        return method != "post"
    staff = (
        "/api/v1/crew/",
        "/api/v1/desk/",
        "/api/v1/province/",
        "/api/v1/registry/",
        "/api/v1/session/",
        "/api/v1/stream/",
    )
    return path.startswith(staff) and "/resets" not in path and not path.endswith("/session/oidc")


def is_for_citizens(path: str, method: str) -> bool:
    open_to_all = {("/api/v1/citizen/codes", "post"), ("/api/v1/citizen/session", "post")}
    is_open = (path, method) in open_to_all or path.endswith("/session/oidc")
    return path.startswith("/api/v1/citizen") and not is_open


WITH_OR_WITHOUT: Final = {
    ("post", "/api/v1/reports"),
    ("get", "/api/v1/reports/{number}/receipt"),
    ("post", "/api/v1/reports/{number}/receipt/moves"),
    ("post", "/api/v1/reports/{number}/receipt/photos"),
    ("get", "/api/v1/reports/{number}/receipt/photos/{photo_id}/{size}"),
    ("post", "/api/v1/reports/{number}/answers"),
    ("put", "/api/v1/reports/{number}/feedback"),
    ("put", "/api/v1/reports/{number}/receipt/messages"),
}
"""A report is sent by everybody, and an own one is opened by its receipt token too."""


def test_staff_and_citizens_sign_in_and_the_front_door_is_open(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            wanted = [{"staff": []}] if is_for_staff(path, method) else None
            wanted = [{"citizen": []}] if is_for_citizens(path, method) else wanted
            wanted = [{}, {"citizen": []}] if (method, path) in WITH_OR_WITHOUT else wanted
            assert operation.get("security") == wanted, (method, path)


SOMEWHERE: Final = {
    "hook_id": UUID(int=0),
    "delivery_id": 1,
    "replay_id": UUID(int=0),
    "upload_id": UUID(int=0),
    "operation_id": UUID(int=0),
    "report_id": UUID(int=0),
    "photo_id": UUID(int=0),
    "size": "large",
    "owner": "pesaro",
    "municipality": "pesaro",
    "subscription_id": 1,
    "slug": "roads",
    "question_id": 1,
    "rule_id": 1,
    "day": "2026-12-24",
    "schedule_id": 1,
    "person_id": 1,
    "appointment_id": 1,
    "sign_in_id": UUID(int=0),
    "filter_id": 1,
    "paused_id": 1,
    "channel_id": 1,
    "host": "hooks.example.org:8443",
    "notice_id": UUID(int=0),
}


def test_an_operation_that_asks_for_a_sign_in_gets_one(client: TestClient, document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation.get("security") and {} not in operation["security"]:
                answer = client.request(method, path.format(**SOMEWHERE), json={})
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.headers["www-authenticate"] == "Bearer"


def test_the_examples_of_the_contract_are_taken(client: TestClient, document: dict[str, Any]) -> None:
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            schema = document["components"]["schemas"].get(body.get("$ref", "").rsplit("/", 1)[-1], body)
            for example in schema.get("examples", []):
                answer = client.request(method, path, json=example)
                assert answer.is_success, answer.text
                tried += 1
    assert tried >= 2


# --- real answers against the document


class Witness:
    """Calls the service and holds every answer against what the contract says of that operation.

    Whatever tells staff who reported must have been recorded as a look, and nothing else may.
    """

    def __init__(self, client: TestClient, document: dict[str, Any], looks: psycopg.Connection[Any]) -> None:
        self.client = client
        self.document = document
        self.looks = looks
        self.shown = 0
        self.seen: set[tuple[str, str]] = set()

    def call(self, method: str, template: str, *, expected: int = 200, **how: Any) -> httpx.Response:
        filled = template.format(**how.pop("at", {}))
        self.looks.execute("DELETE FROM contact_look")
        answer = self.client.request(method, filled, **how)
        if "Authorization" in how.get("headers", {}) and not template.startswith("/api/v1/citizen"):
            told = any(mark in answer.text for mark in REPORTER.values())
            looked = self.looks.execute("SELECT count(*) FROM contact_look").fetchone()
            assert looked is not None
            assert bool(looked[0]) is told, f"{method} {filled} shows who reported: {told}; recorded: {looked[0]}"
            self.shown += told
        assert answer.status_code == expected, f"{method} {filled}: {answer.status_code} {answer.text[:500]}"
        self.seen.add((method, template))
        operation = self.document["paths"][template][method.lower()]
        wanted = operation["responses"].get(str(expected)) or operation["responses"].get(f"{expected // 100}XX")
        assert wanted is not None, f"{method} {template} does not promise a {expected}"
        content = wanted.get("content", {})
        if not answer.content:
            return answer
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in content, f"{method} {template} promises {list(content)}, gave {kind}"
        schema = content[kind].get("schema")
        if schema and kind.endswith("json"):
            self.fits(answer.json(), schema)
        return answer

    def fits(self, value: Any, schema: dict[str, Any]) -> None:
        validator = Draft202012Validator(
            {**schema, "components": self.document["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        faults = [f"{'/'.join(map(str, fault.path))}: {fault.message}" for fault in validator.iter_errors(value)]
        assert not faults, faults[:5]
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        described = self.document["components"]["schemas"].get(name, {}).get("properties")
        if described is not None:
            assert set(value) <= set(described), f"{name} says nothing of {set(value) - set(described)}"


@pytest.fixture
def witness(client: TestClient, document: dict[str, Any], database: str) -> Iterator[Witness]:
    with psycopg.connect(database, autocommit=True) as looks:
        yield Witness(client, document, looks)


def test_every_answer_is_as_promised(  # noqa: PLR0915  (one visit to every operation)
    witness: Witness, signed_in: Callable[[str], Staffer], document: dict[str, Any]
) -> None:
    call = witness.call
    report = call("POST", "/api/v1/reports", expected=201, json=LAMP).json()
    other = call("POST", "/api/v1/reports", expected=201, json=LAMP).json()
    assert [near["number"] for near in other["near_duplicates"]] == [report["number"]]
    danger = LAMP | {"description": "cavo scoperto sul palo, si prende la scossa"}
    assert call("POST", "/api/v1/reports", expected=201, json=danger).json()["emergency"]["call"] == "112"
    again = LAMP | {"client_reference": str(UUID(int=7))}
    call("POST", "/api/v1/reports", expected=201, json=again)
    call("POST", "/api/v1/reports", expected=200, json=again)
    call("POST", "/api/v1/reports", expected=422, json={})
    call("POST", "/api/v1/suggestions", json={"lon": 12.9135, "lat": 43.9098, "text": "cavo scoperto"})
    call("GET", "/api/v1/reports")
    call("GET", "/api/v1/reports", expected=422, params={"limit": 0})
    call("GET", "/api/v1/reports.geojson", params={"limit": 1})
    for kind in ("atom", "rss", "ics"):
        call("GET", f"/api/v1/reports.{kind}", params={"limit": 1})
    call("GET", "/api/v1/reports/{number}", at=report)
    call("GET", "/api/v1/reports/{number}", at={"number": "XX-1"}, expected=404)
    receipt = {"Receipt-Token": report["receipt_token"]}
    call("GET", "/api/v1/reports/{number}/receipt", at=report, headers=receipt)
    call("GET", "/api/v1/reports/{number}/receipt", at=report, expected=404)
    picture = {"photos": ("photo.jpg", photo_taken_at(COAST), "image/jpeg")}
    added = "/api/v1/reports/{number}/receipt/photos"
    call("POST", added, at=report, headers=receipt, files=picture)
    call("POST", added, at=report, files=picture, expected=404)
    call("GET", "/api/v1/municipalities")
    call("GET", "/api/v1/categories", params={"municipality": "pesaro"})
    call("GET", "/api/v1/addresses", params={"q": "via roma 1", "municipality": "pesaro"})
    call("GET", "/api/v1/addresses/nearest", params={"lon": 12.9135, "lat": 43.9098})
    call("GET", "/health/live")
    call("GET", "/health/ready")
    for layer in ("reports", "zones", "notices"):
        call("GET", "/tiles/{layer}.json", at={"layer": layer})
        tile = call("GET", "/tiles/{layer}/{z}/{x}/{y}.mvt", at={"layer": layer, "z": 0, "x": 0, "y": 0})
        call(
            "GET",
            "/tiles/{layer}/{z}/{x}/{y}.mvt",
            at={"layer": layer, "z": 0, "x": 0, "y": 0},
            headers={"If-None-Match": tile.headers["etag"]},
            expected=304,
        )
    missing = {"photo_id": UUID(int=0), "size": "large"} | report
    call("GET", "/api/v1/photos/{photo_id}/{size}", at=missing, expected=404)
    call("GET", "/api/v1/reports/{number}/receipt/photos/{photo_id}/{size}", at=missing, headers=receipt, expected=404)

    sign_in = {"email": CLERK, "password": PASSWORD}
    call("POST", "/api/v1/session", expected=201, json=sign_in)
    staff = signed_in(CLERK).headers
    call("GET", "/api/v1/session", headers=staff)
    call("GET", "/api/v1/desk/reports", headers=staff)
    desk = "/api/v1/desk/reports/{id}"
    at = {"report_id": report["id"], "photo_id": UUID(int=0), "size": "large"}
    base = "/api/v1/desk/reports/{report_id}"
    assert desk.format(**report) == base.format(**at)

    def change(method: str, what: str, body: dict[str, Any], expected: int = 200) -> httpx.Response:
        version = call("GET", base, at=at, headers=staff).headers["etag"]
        headers = staff | {"If-Match": version}
        return call(method, f"{base}/{what}", at=at, headers=headers, json=body, expected=expected)

    change("POST", "moves", {"to": "in_progress", "internal_note": "fra noi"})
    change("POST", "moves", {"to": "triage"}, expected=409)
    change("POST", "updates", {"text": "Arriviamo domani", "is_public": True})
    change("PUT", "category", {"category": "lamp-flicker"})
    change("PUT", "department", {"department": "urp", "reason": "la prende in carico lo sportello"})
    change("PUT", "crew", {"crew": None})
    action = {"do": "note", "text": "Vista insieme alle altre."}
    stack = {"action": action, "reports": [{"id": report["id"]}, {"id": str(UUID(int=1))}]}
    looked = call("POST", "/api/v1/desk/bulk", headers=staff, json=stack | {"preview": True}).json()
    wish = {key: looked[key] for key in ("reports", "selection_token")} | {"client_reference": str(UUID(int=8))}
    call("POST", "/api/v1/desk/bulk", headers=staff, json=stack | wish)
    call("POST", "/api/v1/desk/bulk", headers=staff, json=stack, expected=422)
    change("POST", "take", {})
    change("POST", "updates", {"text": "@nessuno.affatto"}, expected=422)
    for method, what in (("PUT", "watch"), ("POST", "seen"), ("DELETE", "watch")):
        call(method, f"{base}/{what}", at=at, headers=staff, expected=204)
    change("PUT", "person", {"person": None})
    change("PUT", "person", {"person": 2**31 - 1}, expected=404)
    call("GET", "/api/v1/desk/people", headers=staff)
    call("GET", "/api/v1/desk/reports", headers=staff, params={"with_reporters": True})
    call("GET", "/api/v1/desk/worklists", headers=staff)
    kept = {"name": "Lampioni", "conditions": {"category": "lamp-out"}, "order": "deadline"}
    at_filter = {"filter_id": call("POST", "/api/v1/desk/filters", headers=staff, json=kept, expected=201).json()["id"]}
    call("GET", "/api/v1/desk/filters", headers=staff)
    call("GET", "/api/v1/desk/worklists", headers=staff)
    call("GET", "/api/v1/desk/reports", headers=staff, params={"filter": at_filter["filter_id"], "total": True})
    call("PUT", "/api/v1/desk/filters/{filter_id}", at=at_filter, headers=staff, json=kept | {"conditions": {}})
    call("DELETE", "/api/v1/desk/filters/{filter_id}", at=at_filter, headers=staff, expected=204)
    change("PUT", "promise", {"day": "2000-01-01"}, expected=422)
    change("PUT", "promise", {"day": (datetime.now(UTC) + timedelta(days=2)).date().isoformat(), "words": "Domani."})
    change("DELETE", "promise", {"reason": "Manca il materiale."})
    change("DELETE", "promise", {"reason": "Manca il materiale."}, expected=409)
    change("PUT", "publication", {"public_description": "Lampione spento"})
    change("PUT", "master", {"master": other["id"]})
    change("POST", "split", {"reason": "non è la stessa lampada"})
    call("PUT", f"{base}/crew", at=at, headers=staff, json={"crew": None}, expected=428)
    call("PUT", f"{base}/crew", at=at, headers=staff | {"If-Match": '"v1"'}, json={"crew": None}, expected=412)
    call("GET", f"{base}/photos/{{photo_id}}/{{size}}", at=at, headers=staff, expected=404)
    call("GET", "/api/v1/reports/{number}", at=report)
    call("GET", "/api/v1/reports/{number}/receipt", at=report, headers=receipt)
    withdrawn = {"to": "withdrawn", "reason": "risolto da solo"}
    call(
        "POST",
        "/api/v1/reports/{number}/receipt/moves",
        at=other,
        headers={"Receipt-Token": other["receipt_token"]},
        json=withdrawn,
    )
    visit_deliveries(witness, staff)
    visit_dialogue(witness, staff, signed_in(TOWN_ADMINISTRATOR).headers)
    administrator = signed_in(ADMINISTRATOR).headers
    call("GET", f"{base}/looks", at=at, headers=staff, expected=403)
    overseer = signed_in(TOWN_ADMINISTRATOR).headers
    call("GET", f"{base}/looks", at=at, headers=overseer)
    call("GET", "/api/v1/desk/looks", headers=overseer)
    for what in ("departments", "rules", "zones", "people", "roles", "report-schedules", "app-io", "staff-channels"):
        call("GET", f"/api/v1/registry/{{owner}}/{what}", at={"owner": "pesaro"}, headers=administrator)
    call("GET", "/api/v1/registry/{owner}/calendar", at={"owner": "pesaro"}, headers=staff, params={"year": 2026})
    call("GET", "/api/v1/registry/{owner}/ladder", at={"owner": "pesaro"}, headers=staff)
    for method, expected in (("PUT", 204), ("GET", 200), ("DELETE", 204)):
        hosts = "/api/v1/province/allowed-hosts" + ("" if method == "GET" else "/{host}")
        call(method, hosts, at={"host": "hooks.example.org:8443"}, headers=administrator, expected=expected)
    visit_insight(witness)
    visit_crew(witness, signed_in(CREW).headers, staff)
    visit_session(call, staff)
    visit_providers(witness, administrator)
    ticket = call("POST", "/api/v1/stream/tickets", headers=staff, expected=201).json()["ticket"]
    call("GET", "/api/v1/stream", params={"ticket": ticket, "seconds": 0})
    call("GET", "/api/v1/stream", params={"ticket": ticket, "seconds": 0}, expected=401)
    visit_subscriptions(call, report)
    visit_citizen(call, report)
    visit_notices(call, staff)
    call("DELETE", "/api/v1/session", headers=staff, expected=204)
    visit_handovers(witness, signed_in(CLERK).headers, signed_in(ADMINISTRATOR).headers)
    visit_webhooks(witness, signed_in(ADMINISTRATOR).headers)
    promised = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method == "get" or "/registry/" not in path  # what changes the registry is tried on a registry of its own
    }
    assert witness.seen == promised
    assert witness.shown > 30, "who reported was shown, and each time that was recorded"


def visit_notices(call: Callable[..., httpx.Response], staff: dict[str, str]) -> None:
    desk = "/api/v1/desk/notices"
    body = {
        "kind": "works",
        "title": {"it": "Lavori"},
        "text": {"it": "Si lavora."},
        "area": {"everywhere": True},
        "starts_at": "2026-01-01T08:00",
        "department": "urp",
    }
    notice = call("POST", desk, headers=staff, json=body, expected=201).json()
    call("GET", desk, headers=staff, params={"limit": 1})
    at = {"notice_id": notice["id"], "number": notice["number"]}

    def act(method: str, what: str, sent: dict[str, Any] | None = None, expected: int = 200) -> None:
        version = call("GET", f"{desk}/{{notice_id}}", at=at, headers=staff).headers["etag"]
        how = {} if sent is None else {"json": sent}
        headers = staff | {"If-Match": version}
        call(method, f"{desk}/{{notice_id}}{what}", at=at, headers=headers, expected=expected, **how)

    call("GET", f"{desk}/{{notice_id}}/preview", at=at, headers=staff)
    act("PUT", "", body | {"link": "https://example.org"})
    act("POST", "/publication", {})
    call("GET", f"{desk}/{{notice_id}}/progress", at=at, headers=staff)
    call("PUT", f"{desk}/{{notice_id}}/sending", at=at, headers=staff, json={"is_paused": True})
    call("GET", "/api/v1/notices", params={"bbox": "12,43,13,44"})
    call("GET", "/api/v1/notices", params={"cursor": "x"}, expected=422)
    for feed in ("atom", "rss", "ics"):
        call("GET", f"/api/v1/notices.{feed}", params={"municipality": "pesaro"})
    call("GET", "/api/v1/notices/{number}", at=at)
    call("GET", "/api/v1/notices/{number}", at={"number": "X"}, expected=404)
    act("POST", "/withdrawal", {"reason": "Annullato"})
    at["notice_id"] = call("POST", desk, headers=staff, json=body, expected=201).json()["id"]
    act("POST", "/publication", {})
    act("POST", "/end")
    at["notice_id"] = call("POST", desk, headers=staff, json=body, expected=201).json()["id"]
    act("DELETE", "", expected=204)


def visit_deliveries(witness: Witness, clerk: dict[str, str]) -> None:
    call, desk = witness.call, "/api/v1/desk"
    report = call("POST", "/api/v1/reports", expected=201, json=LAMP).json()
    home = view.newest().slugs["pesaro"].id
    with writing(home) as session:
        lost = Delivery(
            municipality_id=home,
            report_id=UUID(report["id"]),
            entry_id=1,
            address=REPORTER["email"],
            language="it",
            subject="",
            state="sent",
            channel="email",
        )
        session.add(lost)
        session.flush()
        pausing.note(session, lost, Bounce.HARD, "5.1.1")
    at = {"report_id": report["id"], "delivery_id": lost.id}
    call("GET", f"{desk}/deliveries", headers=clerk, params={"state": "bounced", "counts": "true"})
    again = f"{desk}/deliveries/{{delivery_id}}/resend"
    call("POST", again, at=at, headers=clerk, expected=409)
    seen = call("GET", f"{desk}/reports/{{report_id}}", at=at, headers=clerk)
    version = clerk | {"If-Match": seen.headers["etag"]}
    email, right = f"{desk}/reports/{{report_id}}/reporter/email", {"email": "carla@example.org"}
    call("PUT", email, at=at, headers=version, json=right)
    call("PUT", email, at=at, headers=version, json=right, expected=412)
    call("POST", again, at=at, headers=clerk, expected=201)
    call("POST", f"{desk}/deliveries/resend", headers=clerk, json={"since": "2026-01-01T00:00:00Z", "preview": True})
    page = call("GET", f"{desk}/paused-addresses", headers=clerk).json()
    pause = {"paused_id": page["addresses"][0]["id"]}
    call("DELETE", f"{desk}/paused-addresses/{{paused_id}}", at=pause, headers=clerk, expected=204)
    call("DELETE", f"{desk}/paused-addresses/{{paused_id}}", at=pause, headers=clerk, expected=404)


def visit_dialogue(witness: Witness, clerk: dict[str, str], administrator: dict[str, str]) -> None:
    report = witness.call("POST", "/api/v1/reports", expected=201, json=LAMP).json()
    base = "/api/v1/desk/reports/{report_id}"
    at: dict[str, Any] = {"report_id": report["id"], "number": report["number"]}

    def change(method: str, what: str, sent: dict[str, Any]) -> None:
        version = witness.call("GET", base, at=at, headers=clerk).headers["etag"]
        witness.call(method, f"{base}/{what}", at=at, headers=clerk | {"If-Match": version}, json=sent)

    def ask() -> None:
        change("POST", "questions", {"text": "Quale palo?"})
        listed = witness.call("GET", f"{base}/questions", at=at, headers=clerk).json()
        at["question_id"] = listed["questions"][-1]["id"]

    ask()
    change("DELETE", "questions/{question_id}", {})
    ask()
    change("PUT", "questions/{question_id}/answer", {"text": "Il terzo."})
    ask()
    receipt = {"Receipt-Token": report["receipt_token"]}
    witness.call("POST", "/api/v1/reports/{number}/answers", at=at, headers=receipt, json={"text": "Il terzo."})
    witness.call("PUT", "/api/v1/reports/{number}/feedback", at=at, headers=receipt, json={"rating": 5}, expected=409)
    change("POST", "moves", {"to": "resolved", "reason": "Riparato."})
    witness.call("PUT", "/api/v1/reports/{number}/feedback", at=at, headers=receipt, json={"rating": 5})
    manner = {"language": "it", "rhythm": "daily", "quiet_from": "21:00", "quiet_until": "07:30"}
    witness.call("PUT", "/api/v1/reports/{number}/receipt/messages", at=at, headers=receipt, json=manner)
    witness.call("GET", "/api/v1/desk/feedback", headers=clerk)
    tried = {"update": {"text": "Arriviamo."}}
    witness.call("POST", f"{base}/preview", at=at, headers=clerk, json=tried)
    filled = {"report": report["id"], "state": "resolved"}
    witness.call("GET", "/api/v1/desk/templates", headers=clerk, params=filled)
    both = {"it": "Grazie.", "en": "Thanks."}
    template = {"headers": administrator, "at": {"slug": "roads"}}
    witness.call("PUT", "/api/v1/desk/templates/{slug}", json={"title": both, "text": both}, **template)
    witness.call("DELETE", "/api/v1/desk/templates/{slug}", expected=204, **template)
    witness.call("GET", "/api/v1/desk/dialogue-terms", headers=clerk)
    days = {"reopening_days": 20, "closing_days": None, "answer_days": None}
    witness.call("PUT", "/api/v1/desk/dialogue-terms", headers=administrator, json=days)


def visit_crew(witness: Witness, crew: dict[str, str], clerk: dict[str, str]) -> None:
    day = witness.call("GET", "/api/v1/crew/day", headers=crew, params={"lon": 12.9, "lat": 43.9})
    known = crew | {"If-None-Match": day.headers["etag"]}
    witness.call("GET", "/api/v1/crew/day", headers=known, params={"lon": 12.9, "lat": 43.9}, expected=304)
    witness.call("GET", "/api/v1/crew/day", headers=crew, params={"lon": 12.9}, expected=422)
    batch = {"device": "tablet-1", "sent_at": "2026-07-01T10:00:00Z"}
    find = {"id": str(UUID(int=8)), "kind": "found_more", "device_at": "2026-07-01T09:00:00Z", **LAMP}
    note = {"id": str(UUID(int=9)), "kind": "note", "device_at": "2026-07-01T09:00:00Z", "text": "di chi è?"}
    note["report"] = str(UUID(int=0))
    witness.call("POST", "/api/v1/crew/sync", headers=crew, json=batch | {"operations": [find, note, find, 7]})
    witness.call("POST", "/api/v1/crew/sync", headers=crew, json=batch, expected=422)
    witness.call("GET", "/api/v1/desk/conflicts", headers=clerk)
    settled = "/api/v1/desk/conflicts/{operation_id}/settled"
    witness.call("PUT", settled, at={"operation_id": UUID(int=9)}, headers=clerk, expected=404)
    tus = crew | {"Tus-Resumable": "1.0.0"}
    uploads = "/api/v1/crew/uploads"
    witness.call("OPTIONS", uploads, headers=crew, expected=204)
    begun = witness.call("POST", uploads, headers=tus | {"Upload-Length": "400"}, expected=201)
    at = {"upload_id": begun.headers["location"].rpartition("/")[2]}
    one = uploads + "/{upload_id}"
    witness.call("HEAD", one, at=at, headers=tus)
    piece = tus | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    witness.call("PATCH", one, at=at, headers=piece, content=b"0" * 100, expected=204)
    witness.call("PATCH", one, at=at, headers=piece, content=b"0" * 100, expected=409)
    witness.call("DELETE", one, at=at, headers=tus, expected=204)


def visit_subscriptions(call: Callable[..., httpx.Response], report: dict[str, Any]) -> None:
    base = "/api/v1/subscriptions"
    call("GET", f"{base}/push")
    wish = {"municipality": "pesaro", "email": "bruno@example.org", "report": report["number"]}
    call("POST", base, expected=202, json=wish)
    home = view.newest().slugs["pesaro"].id
    with reading(home) as session:
        asked = session.scalars(select(Subscription)).one()
        key = own_links.key_of(home, asked.subscriber_id)
    token = {"token": own_links.confirmation(home, asked.id)}
    call("PUT", f"{base}/confirmations/{{token}}", at=token)
    call("PUT", f"{base}/confirmations/{{token}}", at={"token": "x"}, expected=404)
    at = {"token": key, "subscription_id": asked.id}
    call("GET", f"{base}/{{token}}", at=at)
    call("PUT", f"{base}/{{token}}", at=at, json={"language": "en", "rhythm": "daily"})
    call("DELETE", f"{base}/{{token}}/{{subscription_id}}", at=at | {"subscription_id": 2**40}, expected=204)
    call("DELETE", f"{base}/{{token}}", at=at, expected=204)


def visit_citizen(call: Callable[..., httpx.Response], report: dict[str, Any]) -> None:
    base, email = "/api/v1/citizen", "a@example.org"
    handle = call("POST", f"{base}/codes", expected=202, json={"email": email}).json()["handle"]
    with provincial() as session:
        code = citizen_codes.code_of(session.scalars(select(CitizenCode.id)).one())
    given = {"handle": handle, "code": code}
    token = call("POST", f"{base}/session", expected=201, json=given).json()["token"]
    call("POST", f"{base}/session", expected=401, json=given)
    call("POST", f"{base}/session", expected=422, json={"handle": handle})
    citizen = {"Authorization": f"Bearer {token}"}
    call("GET", f"{base}/session", headers=citizen)
    devices = call("GET", f"{base}/session/devices", headers=citizen).json()
    assert [one["is_this"] for one in devices] == [True]
    missing = {"sign_in_id": UUID(int=0)}
    call("DELETE", f"{base}/session/devices/{{sign_in_id}}", at=missing, headers=citizen, expected=404)
    call("DELETE", f"{base}/session/devices", headers=citizen, expected=204)
    call("PUT", base, headers=citizen, json={"name": "Anna", "language": "en"})
    call("PUT", f"{base}/email", headers=citizen, json=given, expected=401)
    call("POST", "/api/v1/reports", expected=201, json=LAMP, headers=citizen)
    own = call("GET", f"{base}/reports", headers=citizen, params={"status": "open", "limit": 1}).json()
    call("GET", "/api/v1/reports/{number}/receipt", at=own["reports"][0], headers=citizen)
    call("GET", "/api/v1/reports/{number}/receipt", at=report, headers=citizen, expected=404)
    call("GET", f"{base}/data", headers=citizen)
    wishes = f"{base}/subscriptions"
    wish = {"municipality": "pesaro", "report": report["number"]}
    at = {"municipality": "pesaro"}
    at |= {"subscription_id": call("POST", wishes, expected=201, headers=citizen, json=wish).json()["id"]}
    call("GET", wishes, headers=citizen)
    how = {"language": "it", "rhythm": "daily"}
    call("PUT", f"{wishes}/{{municipality}}", at=at, headers=citizen, json=how)
    call("DELETE", f"{wishes}/{{municipality}}/{{subscription_id}}", at=at, headers=citizen, expected=204)
    call("DELETE", f"{wishes}/{{municipality}}", at=at, headers=citizen, expected=404)
    call("DELETE", f"{base}/session", headers=citizen, expected=204)
    begun = citizens_begin(email)
    call("DELETE", base, headers={"Authorization": f"Bearer {begun}"}, expected=204)


def citizens_begin(email: str) -> str:
    with provincial() as session:
        return citizens.begin(session, email=email, device="").token


def visit_session(call: Callable[..., httpx.Response], staff: dict[str, str]) -> None:
    session = "/api/v1/session"
    devices = call("GET", f"{session}/devices", headers=staff).json()
    assert [one["is_this"] for one in devices].count(True) == 1
    there = next(one["id"] for one in devices if not one["is_this"])
    call("DELETE", f"{session}/devices/{{sign_in_id}}", at={"sign_in_id": there}, headers=staff, expected=204)
    call("DELETE", f"{session}/devices/{{sign_in_id}}", at={"sign_in_id": there}, headers=staff, expected=404)
    call("DELETE", f"{session}/devices", headers=staff, expected=204)
    passwords = {"current": PASSWORD, "new": PASSWORD}
    call("PUT", f"{session}/password", headers=staff, json=passwords, expected=204)
    call("POST", f"{session}/resets", json={"email": "nobody@example.org"}, expected=202)
    call("PUT", f"{session}/resets", json={"token": "x", "new": PASSWORD}, expected=401)
    secret = call("POST", f"{session}/second-factor", headers=staff, expected=201).json()["secret"]
    code = pyotp.TOTP(secret).now()
    paper = call("PUT", f"{session}/second-factor", headers=staff, json={"code": code}).json()["codes"]
    call(
        "DELETE",
        f"{session}/second-factor",
        headers=staff,
        json={"password": PASSWORD, "code": paper[0]},
        expected=204,
    )


def visit_providers(witness: Witness, administrator: dict[str, str]) -> None:
    body = {
        "name": {"it": "Account del Comune", "en": "Municipal account"},
        "audience": "staff",
        "issuer": "https://login.example.org",
        "client_id": "lampione",
        "secret": "of a test",
        "posts": [{"member_of": "council", "role": "council"}],
    }
    made = witness.client.put("/api/v1/registry/pesaro/providers/office", json=body, headers=administrator)
    assert made.status_code == 204, made.text
    witness.call("GET", "/api/v1/registry/{owner}/providers", at={"owner": "pesaro"}, headers=administrator)
    witness.call("GET", "/api/v1/session/oidc", params={"municipality": "pesaro"})
    for who in ("", "/citizen"):
        witness.call("POST", f"/api/v1{who}/session/oidc", json={"ticket": "x"}, expected=401)


def visit_handovers(witness: Witness, staff: dict[str, str], administrator: dict[str, str]) -> None:
    call, desk = witness.call, "/api/v1/desk/reports/{report_id}"
    body = {"name": {"it": "Strade", "en": "Roads"}, "channel": "mail", "address": "roads@example.org"}
    made = witness.client.put("/api/v1/registry/pesaro/outside-bodies/roads", json=body, headers=administrator)
    assert made.status_code == 204, made.text
    call("GET", "/api/v1/registry/{owner}/outside-bodies", at={"owner": "pesaro"}, headers=administrator)
    call("GET", "/api/v1/desk/outside-bodies", headers=staff)
    at = {"report_id": call("POST", "/api/v1/reports", expected=201, json=LAMP).json()["id"]}

    def change(method: str, what: str, expected: int = 200, **how: Any) -> httpx.Response:
        version = call("GET", desk, at=at, headers=staff).headers["etag"]
        return call(method, f"{desk}/{what}", at=at, headers=staff | {"If-Match": version}, expected=expected, **how)

    order = {"to": "roads", "reason": "tocca a loro"}
    change("POST", "hand-over", json=order)
    change("POST", "hand-over", json=order, expected=409)
    link = {"token": change("POST", "hand-over/link", json={"days": 2}).json()["link"].rsplit("/", 1)[1]}
    call("GET", "/api/v1/handovers/{token}", at=link)
    missing = link | {"photo_id": UUID(int=0), "size": "large"}
    call("GET", "/api/v1/handovers/{token}/photos/{photo_id}/{size}", at=missing, expected=404)
    call("POST", "/api/v1/handovers/{token}", at=link, json={"act": "accept"})
    call("POST", "/api/v1/handovers/{token}", at=link, json={"act": "refuse"}, expected=422)
    change("DELETE", "hand-over/link", expected=204)
    call("GET", "/api/v1/handovers/{token}", at=link, expected=404)
    change("POST", "children", json={"text": "togliere l'albero"})
    change("POST", "hand-over/call-back", json={"reason": "lo facciamo noi"})


def visit_webhooks(witness: Witness, administrator: dict[str, str]) -> None:
    """Those that read; what changes them is tried in the stories. Nobody is called."""
    base, here = "/api/v1/registry/{owner}/webhooks", {"owner": "pesaro"}
    made = witness.client.post(
        base.format(**here),
        json={"address": "https://gis.example.org/hook", "is_active": False},
        headers=administrator,
    )
    assert made.status_code == 201, made.text
    at = here | {"hook_id": made.json()["id"]}
    witness.call("GET", base, at=here, headers=administrator)
    for more in ("", "/deliveries", "/replays"):
        witness.call("GET", base + "/{hook_id}" + more, at=at, headers=administrator)


def visit_insight(witness: Witness) -> None:
    insight = "/api/v1/insight"
    pesaro = {"municipality": "pesaro"}
    for method in ("months", "recurrence", "hotspots", "flow"):
        first = witness.call("GET", f"{insight}/{method}", params=pesaro)
        known = {"If-None-Match": first.headers["etag"]}
        witness.call("GET", f"{insight}/{method}", params=pesaro, headers=known, expected=304)
        witness.call("GET", f"{insight}/{method}")
    witness.call("GET", f"{insight}/zones", params=pesaro | {"layer": "pesaro-districts"})
    witness.call("GET", f"{insight}/zones", params=pesaro | {"by": "group", "format": "csv"})
    witness.call("GET", f"{insight}/zones", params=pesaro, expected=422)
    witness.call("GET", f"{insight}/zones", params=pesaro | {"by": "total", "across": "department"})
    witness.call("GET", f"{insight}/ageing", params=pesaro | {"by": "department"})
    witness.call("GET", f"{insight}/ageing", params=pesaro | {"format": "csv", "style": "spreadsheet"})
    for kind in ("html", "pdf", "csv"):
        witness.call("GET", f"{insight}/report.{{kind}}", at={"kind": kind}, params=pesaro)
    witness.call("GET", f"{insight}/report.{{kind}}", at={"kind": "html"}, params=pesaro | {"month": "x"}, expected=422)
    for by in ({"by": "month"}, {"by": "zone", "layer": "pesaro-districts"}):
        first = witness.call("GET", f"{insight}/satisfaction", params=pesaro | by)
    known = {"If-None-Match": first.headers["etag"]}
    witness.call("GET", f"{insight}/satisfaction", params=pesaro | by, headers=known, expected=304)
    for kind in ("png", "svg"):
        witness.call("GET", f"{insight}/map.{{kind}}", at={"kind": kind}, params=pesaro)


# --- the table of errors


def families(root: type[errors.LampioneError]) -> Iterator[type[errors.LampioneError]]:
    for child in root.__subclasses__():
        yield child
        yield from families(child)


def test_every_error_of_the_city_has_a_status_of_its_own() -> None:
    of_the_city = {kind for kind in families(errors.LampioneError) if kind.__module__ == errors.__name__}
    assert of_the_city == set(problems.STATUS)


def test_every_status_has_its_words() -> None:
    assert set(problems.STATUS.values()) <= set(problems.NAMES)
    for name in problems.NAMES.values():
        for key in (f"problem.{name.replace('-', '_')}", f"problem.{name.replace('-', '_')}_detail"):
            assert key in catalogue(), key


@pytest.mark.parametrize("kind", sorted(families(errors.LampioneError), key=lambda kind: kind.__name__))
def test_every_error_becomes_a_problem(kind: type[errors.LampioneError], document: dict[str, Any]) -> None:
    app = FastAPI()
    problems.register(app)

    @app.get("/")
    def fail(_request: Request) -> None:
        raise kind("reports.not_found", field="number", value="PS-1")

    answer = TestClient(app).get("/", headers={"Accept-Language": "en"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == answer.json()["status"] == problems.status_of(kind("reports.not_found"))
    assert answer.json()["detail"] == "There is no report PS-1, or it is not public."
    schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    Draft202012Validator(schema).validate(answer.json())


def test_what_is_possible_is_listed_without_a_word_of_another_language() -> None:
    ctx = {"expected": "'desk', 'crew' or 'council'"}
    [fault] = problems.faults_of([{"type": "literal_error", "loc": ("body", "rights"), "ctx": ctx}], "it")
    assert fault == {"field": "rights", "message": "deve essere uno di questi: 'desk', 'crew', 'council'."}


def test_an_error_nobody_thought_of_says_nothing_of_itself() -> None:
    app = FastAPI()
    problems.register(app)

    @app.get("/")
    def fail() -> None:
        raise RuntimeError("anna@example.org")

    answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "anna" not in answer.text


# --- what a fuzzer finds


schemathesis.serializer.alias(UPLOAD_PIECE, "application/octet-stream")


def shoot_at(operation: Any, most: int, call: Callable[[schemathesis.Case], Any]) -> list[str]:
    """What went wrong with one operation, told as commands to try again."""
    found: list[str] = []

    @hypothesis_settings(
        max_examples=most,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def shoot(case: schemathesis.Case) -> None:
        answer = call(case)
        kind = "".join(answer.headers.get("content-type", ""))
        if answer.status_code >= 500 or (answer.status_code >= 400 and kind != "application/problem+json"):
            found.append(f"{case.as_curl_command()} → {answer.status_code} {kind}")
        elif answer.status_code < 300:
            case.validate_response(answer, excluded_checks=[ignored_auth])  # which guesses, and guesses wrong

    shoot()
    return found


@pytest.mark.parametrize("address", ["", CLERK])
def test_the_fuzzer_finds_no_server_error(served: str, document: dict[str, Any], address: str) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=served)
    headers = {}
    if address:
        answer = httpx.post(f"{served}/api/v1/session", json={"email": address, "password": PASSWORD}, timeout=20)
        headers = {"Authorization": f"Bearer {answer.json()['token']}", "If-Match": '"v1"'}
    found: list[str] = []
    for operation in (result.ok() for result in schema.get_all_operations()):
        if is_for_staff(operation.path, operation.method) == bool(address) and "/registry/" not in operation.path:
            found += shoot_at(operation, 20, lambda case: case.call(headers=headers, timeout=20))
    assert not found, "\n".join(found[:5])


def test_the_fuzzer_finds_no_server_error_for_citizens(database: str, document: dict[str, Any]) -> None:
    assert database
    with visiting(raise_server_exceptions=False) as client:

        def call(case: schemathesis.Case) -> httpx.Response:
            if "municipality" in (case.path_parameters or {}):
                case.path_parameters["municipality"] = "pesaro"
            return _sent(client, case, {"Authorization": f"Bearer {citizens_begin('a@example.org')}"})

        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url="http://lampione.test")
        found: list[str] = []
        for operation in (result.ok() for result in schema.get_all_operations()):
            if is_for_citizens(operation.path, operation.method):
                found += shoot_at(operation, 15, call)
    assert not found, "\n".join(found[:5])


def test_the_fuzzer_finds_no_server_error_in_the_registry(own_registry: str, document: dict[str, Any]) -> None:
    assert own_registry
    with visiting(raise_server_exceptions=False) as client:
        answer = client.post("/api/v1/session", json={"email": ADMINISTRATOR, "password": PASSWORD})
        headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url="http://lampione.test")
        found: list[str] = []
        for operation in (result.ok() for result in schema.get_all_operations()):
            if "/registry/" in operation.path:
                for owner in ("pesaro", "provincia"):
                    found += shoot_at(operation, 15, lambda case, owner=owner: _called(client, case, owner, headers))
    assert not found, "\n".join(found[:5])


def _called(client: TestClient, case: schemathesis.Case, owner: str, headers: dict[str, str]) -> httpx.Response:
    """Send `case` to the registry of `owner`, whose name no fuzzer would guess."""
    case.path_parameters = {**(case.path_parameters or {}), "owner": owner}
    return _sent(client, case, headers)


def _sent(client: TestClient, case: schemathesis.Case, headers: dict[str, str]) -> httpx.Response:
    sent = case.as_transport_kwargs(base_url="http://lampione.test", headers=headers)
    return client.request(
        sent["method"], sent["url"], params=sent.get("params"), headers=sent["headers"], json=sent.get("json")
    )
