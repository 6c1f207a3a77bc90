"""Administrators try rules over HTTP: figures and public numbers come back, nothing is kept, nobody else may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from fastapi.testclient import TestClient

from tests.trials import Staffer

ADMINISTRATOR = "amministratore@pesaro.example.org"
PROVINCE = "amministratore@provincia.example.org"
CLERK = "operatore.urp@pesaro.example.org"
COAST = {"lon": 12.9135, "lat": 43.9098}
TRIAL = "/api/v1/registry/pesaro/rules/dry-run"


def reported(client: TestClient, category: str) -> str:
    answer = client.post("/api/v1/reports", json={**COAST, "description": "Signora Rossi", "category": category})
    assert answer.status_code == 201
    return str(answer.json()["number"])


def tried(client: TestClient, staffer: Staffer, owner: str, body: dict[str, Any]) -> Any:
    return client.post(f"/api/v1/registry/{owner}/rules/dry-run", headers=staffer.headers, json=body)


def test_rules_are_tried_and_nothing_is_kept(
    client: TestClient, signed_in: Callable[[str], Staffer], database: str
) -> None:
    shown, hidden = reported(client, "graffiti"), reported(client, "unsafe-place")
    admin = signed_in(ADMINISTRATOR)
    with psycopg.connect(database) as connection:
        before = connection.execute("SELECT version FROM registry_version").fetchall()
    rules: list[dict[str, Any]] = [{"department": "green", "category": "graffiti"}, {"department": "gone"}]
    answer = tried(client, admin, "pesaro", {"rules": rules, "months": 1})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["reports"] == 2
    assert {move["department_after"] for move in found["moves"]} >= {"green"}
    assert shown in str(found["moves"])
    assert hidden not in answer.text
    assert "Rossi" not in answer.text
    assert found["dangling"] == [{"municipality": "pesaro", "rule": 2, "what": "department", "name": "gone"}]
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT version FROM registry_version").fetchall() == before


def test_the_province_tries_its_rules_on_everybodys_reports(
    client: TestClient, signed_in: Callable[[str], Staffer]
) -> None:
    reported(client, "graffiti")
    body = {"rules": [{"department": "urp"}, {"department": "urp"}]}
    answer = tried(client, signed_in(PROVINCE), "provincia", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["reports"] == 1
    assert answer.json()["ties"] == [[1, 2]]


def test_only_administrators_of_the_house_may_try(client: TestClient, signed_in: Callable[[str], Staffer]) -> None:
    assert client.post(TRIAL, json={"rules": []}).status_code == 401
    assert tried(client, signed_in(CLERK), "pesaro", {"rules": []}).status_code == 403
    elsewhere = tried(client, signed_in(ADMINISTRATOR), "padova", {"rules": []})
    assert elsewhere.status_code == 403
    wrong = tried(client, signed_in(ADMINISTRATOR), "pesaro", {"rules": [{"departement": "urp"}]})
    assert wrong.status_code == 422
