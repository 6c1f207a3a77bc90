"""Stories of an office: two at one report, a crew outside, a council that watches, a province that helps."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, FANO, INLAND, URP, SignIn, photo_taken_at, reported
from tests.trials import PASSWORD, eventually

CREW = "squadra.roads-coast@pesaro.example.org"
OTHER_CREW = "squadra.roads-hills@pesaro.example.org"
COUNCIL = "consiglio@pesaro.example.org"
PROVINCE = "amministratore@provincia.example.org"
REPORTER = {"email": "anna@example.org", "name": "Anna Bianchi", "phone": "+39 0721 123456"}


def pothole(client: TestClient, words: str = "buca profonda in viale Trieste") -> Any:
    return reported(client, COAST, words, category="pothole", contact=REPORTER)


def test_two_editors_cannot_overwrite_each_other_unseen(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    urp, works = signed_in(URP), signed_in("operatore.lavoripubblici@pesaro.example.org")
    url = f"/api/v1/desk/reports/{report['id']}"
    seen_by_urp = client.get(url, headers=urp.headers).headers["etag"]
    seen_by_works = client.get(url, headers=works.headers).headers["etag"]
    assert seen_by_urp == seen_by_works == '"v1"'

    first = client.post(f"{url}/moves", json={"to": "in_progress"}, headers=works.headers | {"If-Match": seen_by_works})
    assert (first.status_code, first.headers["etag"]) == (200, '"v2"')
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "moves", {"to": "rejected", "reason": "Area privata."}),
        ("POST", "updates", {"text": "Visto."}),
        ("PUT", "category", {"category": "pavement"}),
        ("PUT", "department", {"department": "green", "reason": "È nel parco."}),
        ("PUT", "crew", {"crew": "roads-coast"}),
        ("PUT", "publication", {"public_description": "Buca"}),
        ("PUT", "master", {"master": pothole(client)["id"]}),
    ]
    for method, what, body in changes:
        late = client.request(method, f"{url}/{what}", json=body, headers=urp.headers | {"If-Match": seen_by_urp})
        assert late.status_code == 412, what
        assert late.json()["type"] == "/problems/version-conflict"
        assert "Somebody else has changed" in late.json()["detail"]
        assert client.request(method, f"{url}/{what}", json=body, headers=urp.headers).status_code == 428, what
        for header in ("*", '"1"', "v2 oder so"):
            blind = client.request(method, f"{url}/{what}", json=body, headers=urp.headers | {"If-Match": header})
            assert (blind.status_code, blind.json()["field"]) == (422, "If-Match"), what
            assert header in blind.json()["detail"]
    now = urp.get(f"/reports/{report['id']}")
    assert (now["state"], now["version"], now["category"], now["crew"]) == ("in_progress", 2, "pothole", None)
    again = client.post(
        f"{url}/updates", json={"text": "Visto."}, headers=urp.headers | {"If-Match": first.headers["etag"]}
    )
    assert again.status_code == 200


@pytest.mark.usefixtures("worker")
def test_a_crew_sees_and_moves_only_its_own_reports(client: TestClient, signed_in: SignIn) -> None:
    mine = reported(
        client, COAST, "buca in viale Trieste", category="pothole", contact=REPORTER, photo=photo_taken_at(COAST)
    )
    other = reported(client, INLAND, "buca in collina", category="pothole", contact=REPORTER)
    unassigned = pothole(client)
    clerk, crew, others = signed_in(URP), signed_in(CREW), signed_in(OTHER_CREW)
    assert crew.get("/reports")["reports"] == []
    clerk.change("PUT", mine["id"], "crew", {"crew": "roads-coast"})
    clerk.change("PUT", other["id"], "crew", {"crew": "roads-hills"})

    assert [row["id"] for row in crew.get("/reports")["reports"]] == [mine["id"]]
    assert [row["id"] for row in others.get("/reports")["reports"]] == [other["id"]]
    seen = crew.get(f"/reports/{mine['id']}")
    assert "reporter" not in seen
    assert "anna@" not in str(seen)
    assert "Bianchi" not in str(seen)
    photo = f"/api/v1/desk/reports/{mine['id']}/photos/{mine['photos'][0]['id']}/small"
    eventually(lambda: client.get(photo, headers=crew.headers).status_code == 200)
    assert client.get(photo, headers=others.headers).status_code == 404

    for foreign in (other, unassigned):
        url = f"/api/v1/desk/reports/{foreign['id']}"
        assert client.get(url, headers=crew.headers).status_code == 404
        version = client.get(url, headers=clerk.headers).headers["etag"]
        headers = crew.headers | {"If-Match": version}
        assert client.post(f"{url}/moves", json={"to": "in_progress"}, headers=headers).status_code in {403, 404}

    crew.change("POST", mine["id"], "moves", {"to": "in_progress"})
    crew.change("POST", mine["id"], "updates", {"text": "Manca il materiale.", "is_public": False})
    crew.change("POST", mine["id"], "moves", {"to": "waiting", "reason": "In attesa del materiale."})
    crew.change("POST", mine["id"], "moves", {"to": "in_progress"})
    done = crew.change("POST", mine["id"], "moves", {"to": "resolved", "reason": "Buca chiusa."})
    assert done["timeline"][-1]["person"] == "Squadra strade Costa Pesaro"


def test_a_crew_leaves_the_desk_to_the_desk(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    clerk, crew = signed_in(URP), signed_in(CREW)
    clerk.change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    url = f"/api/v1/desk/reports/{report['id']}"
    headers = crew.headers | {"If-Match": client.get(url, headers=crew.headers).headers["etag"]}
    desk_only: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "moves", {"to": "rejected", "reason": "Area privata."}),
        ("POST", "moves", {"to": "planned"}),
        ("PUT", "category", {"category": "pavement"}),
        ("PUT", "department", {"department": "green", "reason": "È nel parco."}),
        ("PUT", "crew", {"crew": None}),
        ("PUT", "publication", {"public_description": "Buca"}),
        ("PUT", "master", {"master": pothole(client)["id"]}),
    ]
    for method, what, body in desk_only:
        answer = client.request(method, f"{url}/{what}", json=body, headers=headers)
        assert answer.status_code == 403, (what, answer.text)
    assert crew.get(f"/reports/{report['id']}")["version"] == 2


def test_the_council_reads_without_contacts_and_changes_nothing(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    clerk, council = signed_in(URP), signed_in(COUNCIL)
    assert clerk.get(f"/reports/{report['id']}")["reporter"] == REPORTER | {"language": "it"}
    assert [row["id"] for row in council.get("/reports")["reports"]] == [report["id"]]
    seen = council.get(f"/reports/{report['id']}")
    assert "reporter" not in seen
    for secret in ("anna@", "Bianchi", *REPORTER.values()):
        assert secret not in str(seen)
        assert secret not in str(council.get("/reports"))
    url = f"/api/v1/desk/reports/{report['id']}"
    headers = council.headers | {"If-Match": client.get(url, headers=council.headers).headers["etag"]}
    for method, what, body in (
        ("POST", "moves", {"to": "in_progress"}),
        ("POST", "updates", {"text": "E allora?", "is_public": True}),
        ("PUT", "category", {"category": "pavement"}),
    ):
        assert client.request(method, f"{url}/{what}", json=body, headers=headers).status_code == 403
    assert council.get(f"/reports/{report['id']}")["version"] == 1


def test_the_province_chooses_the_municipality_it_works_in(client: TestClient, signed_in: SignIn) -> None:
    pesaro = pothole(client)
    fano = reported(client, FANO, "buca in viale Adriatico", category="pothole", contact=REPORTER)
    province = signed_in(PROVINCE)
    url = "/api/v1/desk/reports"
    undecided = client.get(url, headers=province.headers)
    assert (undecided.status_code, undecided.json()["field"]) == (422, "municipality")
    assert [row["id"] for row in province.get("/reports", municipality="pesaro")["reports"]] == [pesaro["id"]]
    assert [row["id"] for row in province.get("/reports", municipality="fano")["reports"]] == [fano["id"]]
    assert client.get(url, headers=province.headers, params={"municipality": "atlantide"}).status_code == 404

    wrong = client.get(f"{url}/{fano['id']}", headers=province.headers, params={"municipality": "pesaro"})
    assert wrong.status_code == 404, "another municipality's report is not there"
    here = {"municipality": "fano"}
    seen = client.get(f"{url}/{fano['id']}", headers=province.headers, params=here)
    headers = province.headers | {"If-Match": seen.headers["etag"]}
    moved = client.post(f"{url}/{fano['id']}/moves", json={"to": "in_progress"}, headers=headers, params=here)
    assert (moved.status_code, moved.json()["state"]) == (200, "in_progress")


def test_a_clerk_works_at_home_only(client: TestClient, signed_in: SignIn) -> None:
    fano = reported(client, FANO, "buca in viale Adriatico", category="pothole", contact=REPORTER)
    clerk = signed_in(URP)
    assert clerk.get("/reports", municipality="pesaro")["reports"] == []
    away = client.get("/api/v1/desk/reports", headers=clerk.headers, params={"municipality": "fano"})
    assert (away.status_code, away.json()["type"]) == (403, "/problems/forbidden")
    url = f"/api/v1/desk/reports/{fano['id']}"
    assert client.get(url, headers=clerk.headers).status_code == 404
    headers = clerk.headers | {"If-Match": '"v1"'}
    assert client.post(f"{url}/moves", json={"to": "in_progress"}, headers=headers).status_code == 404


def test_who_signs_out_is_out(client: TestClient, signed_in: SignIn) -> None:
    clerk = signed_in(URP)
    assert client.delete("/api/v1/session", headers=clerk.headers).status_code == 204
    out = client.get("/api/v1/desk/reports", headers=clerk.headers)
    assert (out.status_code, out.headers["www-authenticate"]) == (401, "Bearer")
    for body in ({"email": URP, "password": PASSWORD + "!"}, {"email": "nobody@example.org", "password": PASSWORD}):
        assert client.post("/api/v1/session", json=body).status_code == 401
