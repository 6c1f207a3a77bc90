"""The story of a hidden trouble: a neighbour's noise is the office's business and nobody else's."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import (
    COAST,
    URP,
    SignIn,
    as_holder,
    east_of,
    on_the_map,
    photo_taken_at,
    reported,
    wait_for_receipt,
)
from tests.trials import Postbox, eventually
from workers.duties import fold_tiles

NOISE = "ogni notte musica altissima dal locale sotto casa, non si dorme"


def public_traces(client: TestClient, report: dict[str, Any]) -> dict[str, bool]:
    """Where anyone could come upon the report: in lists, on the map, under its number, in its timeline."""
    number = report["number"]
    box = {"bbox": "12.9,43.9,12.93,43.92"}
    lists = [
        client.get("/api/v1/reports", params=parameters).text
        for parameters in ({}, box, {"category": "noise"}, {"group": "safety"}, {"municipality": "pesaro"})
    ]
    suggested = client.post(
        "/api/v1/suggestions",
        json={"lon": COAST.lon, "lat": COAST.lat, "text": "macchine che corrono troppo, eccesso di velocità"},
    ).json()
    answer = client.get(f"/api/v1/reports/{number}")
    return {
        "lists": any(number in text for text in lists),
        "geojson": number in client.get("/api/v1/reports.geojson", params=box).text,
        "single points": any(f["number"] == number for zoom in (15, 16) for f in on_the_map(client, COAST, zoom)),
        "clusters": any(on_the_map(client, COAST, zoom) for zoom in (0, 8, 12)),
        "number": answer.status_code != 404,
        "suggestions": number in str(suggested),
    }


@pytest.mark.usefixtures("worker")
def test_noise_appears_nowhere_public(client: TestClient, postbox: Postbox, signed_in: SignIn) -> None:
    report = reported(client, COAST, NOISE, category="noise", email="anna@example.org", photo=photo_taken_at(COAST))
    assert report["is_public"] is False
    wait_for_receipt(postbox, report, "anna@example.org")
    clerk = signed_in(URP)
    photo_id = report["photos"][0]["id"]
    eventually(lambda: clerk.get(f"/reports/{report['id']}")["photos"][0]["state"] == "ready")
    clerk.change("PUT", report["id"], "publication", {"public_description": "Musica alta", "photos": [photo_id]})
    assert not any(public_traces(client, report).values()), "not even what was released by mistake"
    assert client.get(f"/api/v1/photos/{photo_id}/small").status_code == 404

    near = reported(client, east_of(COAST, 3), "macchine che corrono troppo", category="speeding")
    assert near["near_duplicates"] == [], "the next reporter does not learn of it"
    assert [n["id"] for n in clerk.get(f"/reports/{near['id']}")["near_duplicates"]] == [report["id"]]

    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Sopralluogo fatto."})
    told = eventually(lambda: [m for m in postbox.to("anna@example.org") if "risolta" in m["Subject"]])[0]
    assert report["number"] in told["Subject"], "the reporter hears of it all the same"
    assert as_holder(client, report)["timeline"][-1]["note"] == "Sopralluogo fatto."


def test_the_public_reader_of_the_database_cannot_see_it_either(client: TestClient, database: str) -> None:
    reported(client, COAST, NOISE, category="noise", email="anna@example.org", photo=photo_taken_at(COAST))
    shown = reported(client, COAST, "lampione spento", category="lamp-out", email="anna@example.org")
    with psycopg.connect(database) as admin:
        admin.execute("SET ROLE lampione_reader")
        assert admin.execute("SELECT number FROM report").fetchall() == [(shown["number"],)]
        found = admin.execute("SELECT DISTINCT report_id::text FROM timeline_entry").fetchall()
        assert found == [(shown["id"],)]
        assert admin.execute("SELECT id FROM photo").fetchall() == []
        for secret in ("SELECT * FROM reporter", "SELECT description FROM report", "SELECT metres_away FROM photo"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.transaction():
                admin.execute(secret)


def test_a_report_corrected_to_a_hidden_category_disappears_and_comes_back(
    client: TestClient, signed_in: SignIn
) -> None:
    report = reported(client, COAST, "auto sempre sul marciapiede", category="abandoned-vehicle")
    assert [f["group"] for f in on_the_map(client, COAST, 12)] == ["safety"]
    traces = public_traces(client, report)
    assert all(traces[place] for place in ("lists", "geojson", "single points", "clusters", "number")), traces
    clerk = signed_in(URP)
    clerk.change("PUT", report["id"], "category", {"category": "illegal-parking"})
    assert not any(public_traces(client, report).values())
    fold_tiles()
    assert not any(public_traces(client, report).values()), "also once the map has been folded"
    clerk.change("PUT", report["id"], "category", {"category": "abandoned-vehicle"})
    assert public_traces(client, report)["clusters"]
