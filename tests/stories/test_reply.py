"""Stories of reply templates and of the preview: what the desk sees beforehand is what the citizen gets."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, URP, SignIn, counted, html, plain, reported, wait_for_rest
from tests.trials import Postbox, Staffer

ANNA = "anna@example.org"
LAMP = "lampione spento davanti al civico 12"
ADMINISTRATOR = "amministratore@pesaro.example.org"


def previewed(client: TestClient, staff: Staffer, report: dict[str, Any], **change: Any) -> Any:
    answer = client.post(f"/api/v1/desk/reports/{report['id']}/preview", json=change, headers=staff.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def fitting(clerk: Staffer, **asked: Any) -> dict[str, Any]:
    return {template["slug"]: template for template in clerk.get("/templates", **asked)["templates"]}


def hidden(letter: str, report: dict[str, Any]) -> str:
    """The letter, with dots for what opens the report and for what ends its letters."""
    dots = "•" * len(report["receipt_token"])
    return re.sub(r"/mute/[\w-]+", f"/mute/{dots}", letter.replace(report["receipt_token"], dots))


@pytest.mark.parametrize(("words", "language"), [(LAMP, "it"), ("street lamp out in front of number 12", "en")])
@pytest.mark.usefixtures("worker")
def test_the_preview_is_the_very_mail_and_nothing_happens_by_it(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn, *, words: str, language: str
) -> None:
    report = reported(client, COAST, words, email=ANNA)
    wait_for_rest(database)
    clerk = signed_in(URP)
    templates = fitting(clerk, report=report["id"], state="resolved")
    text = templates["lamp-replaced"]["filled"]
    assert text == templates["lamp-replaced"]["text"][language]
    before = [counted(database, table) for table in ("timeline_entry", "delivery", "job", "question")]
    seen = clerk.get(f"/reports/{report['id']}")
    steps: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("POST", "updates", {"update": {"text": text}}, {"text": text, "is_public": True}),
        ("POST", "questions", {"question": {"text": "Quale palo?", "days": 5}}, {"text": "Quale palo?", "days": 5}),
        ("PUT", "category", {"category": {"category": "lamp-pole"}}, {"category": "lamp-pole"}),
        (
            "PUT",
            "department",
            {"department": {"department": "public-works", "reason": "Palo."}},
            {"department": "public-works", "reason": "Palo."},
        ),
        ("POST", "moves", {"move": {"to": "resolved", "reason": text}}, {"to": "resolved", "reason": text}),
    ]
    first = [previewed(client, clerk, report, **change) for _, _, change, _ in steps]
    assert clerk.get(f"/reports/{report['id']}") == seen
    assert [counted(database, table) for table in ("timeline_entry", "delivery", "job", "question")] == before
    assert all(one["others"] == 0 for one in first)
    for method, what, change, body in steps:
        shown = previewed(client, clerk, report, **change)["mail"]
        assert report["receipt_token"] not in shown["text"] + shown["html"]
        postbox.messages.clear()
        clerk.change(method, report["id"], what, body)
        wait_for_rest(database)
        [mail] = postbox.to(ANNA)
        assert (mail["Subject"], shown["language"]) == (shown["subject"], language)
        assert hidden(plain(mail), report).split() == shown["text"].split(), what
        assert hidden(html(mail), report).split() == shown["html"].split(), what


@pytest.mark.usefixtures("worker")
def test_what_has_not_been_told_yet_stands_in_the_preview_and_the_others_are_counted(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    first, second, third = (reported(client, COAST, LAMP, email=f"{name}@example.org") for name in ("a", "b", "c"))
    silent = reported(client, COAST, LAMP)
    for other in (second, third, silent):
        clerk.change("PUT", other["id"], "master", {"master": first["id"]})
    wait_for_rest(database)
    shown = previewed(client, clerk, first, update={"text": "Arriviamo."})
    assert (shown["others"], "Arriviamo." in shown["mail"]["text"]) == (2, True)
    assert "4 persone" in shown["mail"]["text"]
    told = previewed(client, clerk, second, split={"reason": "È un altro."})
    assert f"non è più unita alla {first['number']}" in told["mail"]["text"]
    assert previewed(client, clerk, silent, split={"reason": "È un altro."})["mail"] is None


def test_a_preview_refuses_what_the_change_would_and_asks_for_the_same_right(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    report = reported(client, COAST, LAMP, email=ANNA)
    url = f"/api/v1/desk/reports/{report['id']}/preview"

    def refused(staff: Staffer, **change: Any) -> tuple[int, str | None]:
        answer = client.post(url, json=change, headers=staff.headers)
        return answer.status_code, answer.json().get("field")

    assert refused(clerk, move={"to": "resolved"}) == (422, "reason")
    assert refused(clerk, move={"to": "closed"})[0] == 409
    assert refused(clerk)[0] == 422
    assert refused(clerk, move={"to": "in_progress"}, update={"text": "Due cose"})[0] == 422
    green = signed_in("operatore.verde@pesaro.example.org")
    assert refused(green, update={"text": "Arriviamo."})[0] == 403
    council = signed_in("consiglio@pesaro.example.org")
    assert refused(council, update={"text": "Arriviamo."})[0] == 403
    assert counted(database, "timeline_entry") == 2, "received and assigned"


def test_templates_fit_the_step_and_the_category_and_are_filled_in(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    lamp = reported(client, COAST, LAMP, address="Viale Trieste 12")
    solved = fitting(clerk, report=lamp["id"], state="resolved")
    assert next(iter(solved)) == "lamp-replaced", "the closest first"
    assert {"resolved", "resolved-nothing-found"} <= set(solved)
    assert not {"pothole-closed", "thanks-in-hand", "rejected-private"} & set(solved)
    assert "Viale Trieste 12" in solved["resolved-nothing-found"]["filled"]
    asked = fitting(clerk, report=lamp["id"], state="waiting")
    assert {"lamp-ask-pole", "ask-where"} <= set(asked)
    said = fitting(clerk, report=lamp["id"])
    assert "thanks-in-hand" in said
    assert "resolved" not in said
    everything = fitting(clerk)
    assert {"pothole-closed", "lamp-replaced", "rejected-private"} <= set(everything)
    assert all(template["filled"] is None for template in everything.values())
    assert "pothole-closed" in fitting(clerk, category="pothole", state="resolved")
    for template in everything.values():
        assert not template["is_own"]


def test_a_municipality_replaces_and_hides_templates_of_the_province(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    administrator, clerk = signed_in(ADMINISTRATOR), signed_in(URP)
    lamp = reported(client, COAST, LAMP)
    body = {
        "title": {"it": "Fatto", "en": "Done"},
        "state": "resolved",
        "category": "lamp-out",
        "text": {"it": "Riparato il {oggi} da {operatore}.", "en": "Repaired on {today} by {clerk}."},
    }
    url = "/api/v1/desk/templates/lamp-replaced"

    def put(staff: Staffer, **more: Any) -> Any:
        return client.put(url, json=body | more, headers=staff.headers)

    try:
        assert put(clerk).status_code == 403
        wrong = put(administrator, text={"it": "Ciao {nome}", "en": "Hi"})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "text_it")
        assert "{nome}" in wrong.json()["detail"]
        assert put(administrator, category="no-such").status_code == 422
        assert put(administrator, group="lighting").status_code == 422
        assert put(administrator).json()["is_own"] is True
        own = fitting(clerk, report=lamp["id"], state="resolved")["lamp-replaced"]
        assert own["filled"].endswith("da Operatore URP Pesaro.")
        elsewhere = signed_in("operatore.urp@padova.example.org")
        assert fitting(elsewhere)["lamp-replaced"]["is_own"] is False
        assert put(administrator, is_active=False).status_code == 200
        assert "lamp-replaced" not in fitting(clerk, report=lamp["id"], state="resolved")
        assert client.delete(url, headers=clerk.headers).status_code == 403
        assert client.delete(url, headers=administrator.headers).status_code == 204
        assert fitting(clerk, report=lamp["id"], state="resolved")["lamp-replaced"]["is_own"] is False
        assert client.delete(url, headers=administrator.headers).status_code == 404
    finally:
        with psycopg.connect(database) as admin:
            admin.execute("DELETE FROM reply_template WHERE municipality_id <> 0")
