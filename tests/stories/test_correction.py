"""Stories of a wrong desk: what the classifier or a rule got wrong, a person puts right, and nothing is forgotten."""

from __future__ import annotations

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, URP, SignIn, days_until, on_the_map, plain, reported
from tests.trials import Postbox, eventually


@pytest.mark.usefixtures("worker")
def test_a_wrong_category_is_corrected_and_the_report_goes_to_the_right_department(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    words = "buca profonda accanto al palo della luce, e il lampione è spento"
    report = reported(client, COAST, words, category="pothole", email="anna@example.org")
    assert (report["department"]["slug"], days_until(report)) == ("public-works", 10)
    rule_before = report["department"]["reason"]["rule"]

    clerk = signed_in(URP)
    corrected = clerk.change(
        "PUT", report["id"], "category", {"category": "lamp-out", "note": "La buca è già stata chiusa."}
    )
    assert (corrected["category"], corrected["decided_by"], corrected["group"]) == ("lamp-out", "staff", "lighting")
    assert corrected["department"] == "lighting-office"
    assert corrected["routing"]["rule"] != rule_before
    assert "pesaro-lighting/lot-coast" in corrected["routing"]["facts"]["zones"]
    assert days_until(corrected) == 7
    assert [(f["category"], f["group"]) for f in on_the_map(client, COAST)] == [("lamp-out", "lighting")]

    received, sent_on, again = corrected["timeline"]
    assert (received["what"], sent_on["what"], again["what"]) == ("received", "assigned", "recategorised")
    assert sent_on["details"]["department"] == "public-works"
    assert sent_on["details"]["routing"]["rule"] == rule_before
    assert (again["details"]["from"], again["details"]["to"]) == ("pothole", "lamp-out")
    assert again["details"]["routing"] == corrected["routing"]
    assert again["person"] == "Operatore URP Pesaro"

    with psycopg.connect(database) as admin:
        pairs = admin.execute(
            "SELECT category.slug, report.description, person.email FROM training_pair"
            " JOIN category ON category.id = training_pair.category_id"
            " JOIN report ON report.id = training_pair.report_id JOIN person ON person.id = training_pair.person_id"
        ).fetchall()
    assert pairs == [("lamp-out", words, URP)], "the classifier will learn from it"

    told = eventually(lambda: [m for m in postbox.to("anna@example.org") if "classificata meglio" in plain(m)])[0]
    assert "Lampione spento" in plain(told)
    assert "La buca è già stata chiusa." in plain(told)


@pytest.mark.usefixtures("worker")
def test_a_wrong_department_is_corrected_by_hand(client: TestClient, postbox: Postbox, signed_in: SignIn) -> None:
    report = reported(client, COAST, "buca nel vialetto del parco", category="pothole", email="anna@example.org")
    works = signed_in("operatore.lavoripubblici@pesaro.example.org")
    reason = "Il vialetto è dentro il parco."
    moved = works.change("PUT", report["id"], "department", {"department": "urp", "reason": reason})
    assert (moved["department"], moved["crew"]) == ("urp", None), "who gives it away sees that it has gone"
    assert "reporter" not in moved
    lost = client.get(f"/api/v1/desk/reports/{report['id']}", headers=works.headers)
    assert lost.status_code == 404, "it is another department's now"

    clerk = signed_in(URP)
    handed = clerk.change("PUT", report["id"], "department", {"department": "green", "reason": reason})
    assert (handed["department"], handed["category"], handed["state"]) == ("green", "pothole", "assigned")
    assert handed["routing"]["rule"] == report["department"]["reason"]["rule"], "which rule was wrong stays visible"
    assert handed["routing"]["corrected_by"] is not None
    assert [(e["details"]["from"], e["details"]["to"]) for e in handed["timeline"] if e["what"] == "rerouted"] == [
        ("public-works", "urp"),
        ("urp", "green"),
    ]
    assert signed_in("operatore.verde@pesaro.example.org").get(f"/reports/{report['id']}")["id"] == report["id"]
    told = eventually(lambda: [m for m in postbox.to("anna@example.org") if "Settore Verde" in plain(m)])[0]
    assert reason in plain(told)


def test_a_corrected_category_may_take_the_report_to_another_department(client: TestClient, signed_in: SignIn) -> None:
    report = reported(client, COAST, "buca vicino al lampione", category="pothole")
    works = signed_in("operatore.lavoripubblici@pesaro.example.org")
    corrected = works.change("PUT", report["id"], "category", {"category": "lamp-out"})
    assert corrected["department"] == "lighting-office"
    office = signed_in("operatore.illuminazione@pesaro.example.org")
    assert [row["id"] for row in office.get("/reports")["reports"]] == [report["id"]]


def test_what_the_classifier_does_not_know_waits_for_a_person(client: TestClient, signed_in: SignIn) -> None:
    report = reported(client, COAST, "non so come dire, guardate voi")
    assert (report["state"], report["triage_reason"]) == ("triage", "triage.unsure")
    assert (report["category"]["slug"], report["category"]["decided_by"]) == ("other", "nobody")
    clerk = signed_in(URP)
    assert [row["id"] for row in clerk.get("/reports", state="triage")["reports"]] == [report["id"]]
    sorted_out = clerk.change("PUT", report["id"], "category", {"category": "graffiti"})
    assert (sorted_out["state"], sorted_out["triage_reason"]) == ("assigned", None)
    assert sorted_out["department"] == "environment"


def test_a_correction_needs_what_it_names(client: TestClient, signed_in: SignIn) -> None:
    report = reported(client, COAST, "buca", category="pothole")
    clerk = signed_in(URP)
    url = f"/api/v1/desk/reports/{report['id']}"
    headers = clerk.headers | {"If-Match": client.get(url, headers=clerk.headers).headers["etag"]}
    for what, body, field in (
        ("category", {"category": "ufo"}, "category"),
        ("department", {"department": "ufo", "reason": "mah"}, "department"),
        ("department", {"department": "green", "reason": "  "}, "reason"),
    ):
        answer = client.put(f"{url}/{what}", headers=headers, json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert clerk.get(f"/reports/{report['id']}")["version"] == 1
