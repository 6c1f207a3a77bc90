"""A story of a citizen's address: who of the staff may see it, and who has."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, URP, SignIn, counted, reported
from tests.stories.test_administrator import PESARO, signed
from tests.stories.test_roles import person, visitor  # noqa: F401
from tests.trials import Staffer, front_door
from workers.duties import forget_sign_ins

ADMINISTRATOR: Final = "amministratore@pesaro.example.org"
PROVINCE: Final = "amministratore@provincia.example.org"
WORKS: Final = "operatore.lavoripubblici@pesaro.example.org"
HEAD: Final = "responsabile.lavoripubblici@pesaro.example.org"
GREEN_HEAD: Final = "responsabile.verde@pesaro.example.org"
CONTACT: Final = {"email": "anna@example.org", "name": "Anna Bianchi", "phone": "0721 000000"}


def looks(staffer: Staffer, report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["person"], one["why"]) for one in staffer.get(f"/reports/{report['id']}/looks")["looks"]]


def test_each_look_at_who_reported_is_recorded_and_shown(client: TestClient, signed_in: SignIn, database: str) -> None:
    report = reported(client, COAST, "buca in viale Trieste", category="pothole", contact=CONTACT)
    nobody = reported(client, COAST, "altra buca più avanti", category="pothole")
    clerk, head, council = signed_in(WORKS), signed_in(HEAD), signed_in("consiglio@pesaro.example.org")
    assert "reporter" not in council.get(f"/reports/{report['id']}")
    assert looks(head, report) == [], "without the right nothing is shown, and nothing to be recorded"

    for _ in range(3):
        assert clerk.get(f"/reports/{report['id']}")["reporter"]["name"] == "Anna Bianchi"
    assert looks(head, report) == [("Operatore Settore Lavori Pubblici Pesaro", "opened")], "one look, not three"
    clerk.get(f"/reports/{nobody['id']}")
    assert looks(head, nobody) == [], "nobody to be seen"
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    assert [why for _, why in looks(head, report)] == ["changed", "opened"]

    with psycopg.connect(database, autocommit=True) as admin:
        kept = admin.execute("SELECT to_jsonb(contact_look)::text FROM contact_look").fetchall()
        assert len(kept) == 2
        assert not any(value in row[0] for row in kept for value in CONTACT.values())
        admin.execute("UPDATE contact_look SET at = at - interval '11 minutes'")
    clerk.get(f"/reports/{report['id']}")
    assert [why for _, why in looks(head, report)] == ["opened", "changed", "opened"]


def test_a_look_of_two_years_ago_is_forgotten(client: TestClient, signed_in: SignIn, database: str) -> None:
    report = reported(client, COAST, "buca in viale Trieste", category="pothole", contact=CONTACT)
    clerk, head = signed_in(WORKS), signed_in(HEAD)
    clerk.get(f"/reports/{report['id']}")
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    with psycopg.connect(database) as admin:
        aged = "UPDATE contact_look SET at = now() - %s::interval + %s::interval WHERE why = %s"
        admin.execute(aged, ("730 days", "1 minute", "opened"))
        admin.execute(aged, ("730 days", "-1 minute", "changed"))
    forget_sign_ins()
    assert [why for _, why in looks(head, report)] == ["opened"]


def test_a_list_tells_who_reported_only_when_asked_and_only_to_those_who_may(
    client: TestClient, signed_in: SignIn
) -> None:
    report = reported(client, COAST, "buca", category="pothole", contact=CONTACT)
    clerk, head, crew = signed_in(WORKS), signed_in(HEAD), signed_in("squadra.roads-coast@pesaro.example.org")
    assert "Anna Bianchi" not in client.get("/api/v1/desk/reports", headers=clerk.headers).text
    assert looks(head, report) == []
    (row,) = clerk.get("/reports", with_reporters=True)["reports"]
    assert row["reporter"] == CONTACT | {"language": "it"}
    assert looks(head, report) == [("Operatore Settore Lavori Pubblici Pesaro", "list")]
    refused = client.get("/api/v1/desk/reports", params={"with_reporters": True}, headers=crew.headers)
    assert refused.status_code == 403
    for known in ("Bianchi", CONTACT["phone"], CONTACT["phone"].replace(" ", ""), CONTACT["email"]):
        found = clerk.get("/reports", q=known, with_reporters=True)
        assert found["reports"] == [], "words are looked for in reports, not in who wrote them"


def test_no_door_shows_who_reported_without_a_look(client: TestClient, signed_in: SignIn, database: str) -> None:
    report = reported(client, COAST, "buca in viale Trieste", category="pothole", contact=CONTACT)
    desk, shown_by = signed_in(URP), set()
    names = {"report_id": report["id"], "number": report["number"], "owner": "pesaro"}
    with psycopg.connect(database, autocommit=True) as admin:
        for path, methods in front_door().openapi()["paths"].items():
            if "get" not in methods or not set(re.findall(r"{(\w+)}", path)) <= names.keys():
                continue
            wanted = {one["name"] for one in methods["get"].get("parameters", [])}
            chosen = {"with_reporters": True, "municipality": "pesaro", "seconds": 0, "address": CONTACT["email"]}
            before = counted(database, "contact_look")
            answer = client.get(
                path.format(**names),
                params={name: value for name, value in chosen.items() if name in wanted},
                headers=desk.headers,
            )
            if any(value in answer.text for value in CONTACT.values()):
                shown_by.add(path)
                assert counted(database, "contact_look") > before, path
            admin.execute("UPDATE contact_look SET at = at - interval '11 minutes'")
    assert shown_by == {"/api/v1/desk/reports", "/api/v1/desk/reports/{report_id}"}


def test_looks_are_for_those_who_oversee_the_report(client: TestClient, signed_in: SignIn) -> None:
    report = reported(client, COAST, "buca", category="pothole", contact=CONTACT)
    begun = datetime.now(UTC)
    for address in (WORKS, URP):
        signed_in(address).get(f"/reports/{report['id']}")
    clerk, head, other, town = (signed_in(one) for one in (WORKS, HEAD, GREEN_HEAD, ADMINISTRATOR))
    for path in (f"/reports/{report['id']}/looks", "/looks"):
        assert client.get(f"/api/v1/desk{path}", headers=clerk.headers).status_code == 403, "no look without oversight"
    assert len(looks(head, report)) == 2
    assert looks(other, report) == [], "another department's head oversees other reports"
    assert other.get("/looks")["looks"] == []

    province = client.get(
        f"/api/v1/desk/reports/{report['id']}", params={"municipality": "pesaro"}, headers=signed_in(PROVINCE).headers
    )
    assert province.json()["reporter"]["email"] == CONTACT["email"]
    everything = town.get("/looks")["looks"]
    assert [one["report"]["number"] for one in everything] == [report["number"]] * 3
    assert [one["of_province"] for one in everything] == [True, False, False]
    ids = {one["person"]: one["person_id"] for one in everything}
    theirs = town.get("/looks", person=ids["Operatore URP Pesaro"])["looks"]
    assert [one["person"] for one in theirs] == ["Operatore URP Pesaro"]
    until = town.get("/looks", until=begun.isoformat())
    assert until["looks"] == []
    since = {"from": (begun - timedelta(minutes=1)).isoformat()}
    first = town.get("/looks", limit=2, **since)
    rest = town.get("/looks", limit=2, cursor=first["next"], **since)
    assert [*first["looks"], *rest["looks"]] == everything
    assert rest["next"] is None


def test_a_data_protection_officer_sees_looks_and_no_report(visitor: TestClient) -> None:  # noqa: F811
    headers = signed(visitor, ADMINISTRATOR)
    for slug, rights in (("dpo", ["oversee"]), ("caller", ["read", "contact"]), ("desk", ["read", "field", "desk"])):
        role = {"name": {"it": slug, "en": slug}, "rights": rights}
        assert visitor.put(f"{PESARO}/roles/{slug}", json=role, headers=headers).status_code == 200
    officer, caller, desk = (person(visitor, one, role=one) for one in ("dpo", "caller", "desk"))
    report = reported(visitor, COAST, "buca", category="pothole", contact=CONTACT)
    assert caller.get(f"/reports/{report['id']}")["reporter"]["phone"] == CONTACT["phone"], "contact without desk"
    moved = desk.change("POST", report["id"], "moves", {"to": "in_progress"})
    assert (moved["state"], moved.get("reporter")) == ("in_progress", None), "desk without contact"
    assert visitor.get(f"/api/v1/desk/reports/{report['id']}", headers=officer.headers).status_code == 403
    assert [one["person"] for one in officer.get("/looks")["looks"]] == ["Caller"]
