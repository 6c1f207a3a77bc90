"""The story of somebody at the desk who remembers a word or two, and of a citizen who looks before reporting."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, INLAND, URP, SignIn, reported
from tests.trials import Staffer, eventually

CREW = "squadra.roads-coast@pesaro.example.org"


def numbers(staff: Staffer, **asked: Any) -> list[str]:
    return [report["number"] for report in staff.get("/reports", **asked)["reports"]]


def public(client: TestClient, **asked: Any) -> Any:
    answer = client.get("/api/v1/reports", params={"municipality": "pesaro", **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()


def public_numbers(client: TestClient, typed: str, **asked: Any) -> list[str]:
    return [report["number"] for report in public(client, q=typed, **asked)["reports"]]


@pytest.mark.usefixtures("worker")
def test_the_desk_finds_what_it_remembers(client: TestClient, signed_in: SignIn) -> None:
    clerk = signed_in(URP)
    hole = reported(client, COAST, "Voragine davanti alla scuola, è caduto un bambino", category="pothole")
    lamp = reported(client, INLAND, "lampioni spenti dietro la scuola", category="lamp-out")
    assert numbers(clerk, q="voragini") == [hole["number"]], "at once, before any chore"
    clerk.change(
        "POST", hole["id"], "updates", {"text": "Sentito il geometra Pascucci: serve l'asfalto", "is_public": False}
    )
    assert numbers(clerk, q="geometra pascuci") == [hole["number"]]

    def is_read() -> bool:
        return "pascucci" in str(clerk.get("/reports", q="pascuci")["searched"])

    eventually(is_read)
    answer = clerk.get("/reports", q="scola asfalto")
    assert [report["number"] for report in answer["reports"]] == [hole["number"]]
    assert answer["searched"] == {
        "corrected": [{"typed": "scola", "meant": ["scuola"]}],
        "left_out": [],
        "all_words": True,
    }
    assert numbers(clerk, q="scuola") == [lamp["number"], hole["number"]]
    assert numbers(clerk, q="scuola", category="lamp-out") == [lamp["number"]]
    assert numbers(clerk, q="scuola", worklist="triage") == []
    assert numbers(clerk, q=hole["number"].lower()) == [hole["number"]]
    assert numbers(clerk, q='"davanti alla scuola"') == [hole["number"]]
    partly = clerk.get("/reports", q="scuola elefante")
    assert partly["searched"] == {"corrected": [], "left_out": ["elefante"], "all_words": False}
    assert (len(partly["reports"]), partly["next"]) == (2, None)

    first = clerk.get("/reports", q="scuola", limit=1, total=True)
    assert (first["total"], first["reports"][0]["number"]) == (2, lamp["number"])
    second = clerk.get("/reports", q="scuola", limit=1, cursor=first["next"])
    assert (second["reports"][0]["number"], second["next"]) == (hole["number"], None)
    for order in ("deadline", "urgent"):
        assert sorted(numbers(clerk, q="scuola", order=order)) == sorted([lamp["number"], hole["number"]])


@pytest.mark.usefixtures("worker")
def test_nobody_finds_what_they_may_not_read(client: TestClient, signed_in: SignIn) -> None:
    lamp = reported(client, INLAND, "lampione spento dai Pascucci", category="lamp-out")
    clerk, crew = signed_in(URP), signed_in(CREW)
    assert numbers(clerk, q="pascucci") == [lamp["number"]]
    answer = crew.get("/reports", q="lampione pascucci")
    assert (answer["reports"], answer["next"]) == ([], None)
    assert answer["searched"] == {"corrected": [], "left_out": [], "all_words": True}
    assert numbers(crew, q="pascucci") == []
    assert "pascucci" not in str(crew.get("/reports", q="pascuci"))


@pytest.mark.usefixtures("worker")
def test_a_citizen_looks_before_reporting(client: TestClient, signed_in: SignIn) -> None:
    hole = reported(client, COAST, "Voragine davanti a casa di Pascucci", category="pothole")
    noise = reported(client, COAST, "musica altissima", category="noise")
    clerk = signed_in(URP)
    clerk.change("PUT", hole["id"], "publication", {"public_description": "Voragine, area transennata"})
    clerk.change("PUT", noise["id"], "publication", {"public_description": "Musica transennata"})
    clerk.change("POST", hole["id"], "updates", {"text": "Arriva l'asfaltatrice", "is_public": True})
    eventually(lambda: public_numbers(client, "asfaltatrice"))
    for typed in ("voragini", "transennata", "buche", "potholes", "asfaltatrici voragine", hole["number"]):
        assert public_numbers(client, typed) == [hole["number"]], typed
    for typed in ("pascucci", "casa", "musica", noise["number"]):
        assert public_numbers(client, typed) == [], typed
    assert public(client, q="transenata")["searched"]["corrected"] == [
        {"typed": "transenata", "meant": ["transennata"]}
    ]
    assert public_numbers(client, "voragine", category="lamp-out") == []
    features = client.get("/api/v1/reports.geojson", params={"municipality": "pesaro", "q": "voragine"}).json()
    assert [feature["id"] for feature in features["features"]] == [hole["number"]]

    clerk.change("PUT", hole["id"], "publication", {"public_description": "Area chiusa"})
    assert public_numbers(client, "transennata") == [], "taken back, it finds nothing from that moment on"
    assert public(client, q="transenata")["searched"]["corrected"] == []
    eventually(lambda: public_numbers(client, "chiusa") == [hole["number"]])


def test_words_that_are_none_are_refused_with_a_reason(client: TestClient, signed_in: SignIn) -> None:
    clerk = signed_in(URP)
    for typed in ("il di la", "?!", " "):
        answer = client.get("/api/v1/desk/reports", headers=clerk.headers, params={"q": typed})
        assert (answer.status_code, answer.json()["field"]) == (422, "q"), typed
        answer = client.get("/api/v1/reports", params={"q": typed, "municipality": "pesaro"})
        assert (answer.status_code, answer.json()["field"]) == (422, "q"), typed
    answer = client.get("/api/v1/reports", params={"q": "lampione"})
    assert (answer.status_code, answer.json()["field"]) == (422, "municipality")
    kept = client.post(
        "/api/v1/desk/filters", headers=clerk.headers, json={"name": "Niente", "conditions": {"q": "il di la"}}
    )
    assert (kept.status_code, kept.json()["field"]) == (422, "q")
