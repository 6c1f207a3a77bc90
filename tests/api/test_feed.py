"""The feed of public reports: what a news reader reads, and nothing that is not public."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from fastapi.testclient import TestClient

from tests.stories.telling import COAST, INLAND, URP, SignIn, reported

ATOM: Final = "{http://www.w3.org/2005/Atom}"
POINT: Final = "{http://www.georss.org/georss}point"


def test_a_feed_tells_what_is_public_with_its_place(client: TestClient, signed_in: SignIn) -> None:
    lamp = reported(client, COAST, "lampione spento, chiamatemi", category="lamp-out", email="anna@example.org")
    hole = reported(client, INLAND, "buca", category="pothole")
    reported(client, COAST, "Non mi sento sicura", category="unsafe-place")
    signed_in(URP).change("PUT", lamp["id"], "publication", {"public_description": "Lampione <spento> & rotto"})
    answer = client.get("/api/v1/reports.atom", params={"municipality": "pesaro"})
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = ET.fromstring(answer.content)  # noqa: S314  (our own answer)
    entries = feed.findall(f"{ATOM}entry")
    titles = [entry.findtext(f"{ATOM}title") for entry in entries]
    assert titles == [f"{hole['number']}, Pothole: assigned", f"{lamp['number']}, Street light out: assigned"]
    assert entries[1].findtext(f"{ATOM}summary") == "Lampione <spento> & rotto"
    lat, lon = map(float, str(entries[1].findtext(POINT)).split())
    assert (lon, lat) == (COAST.lon, COAST.lat)
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == 2
    for secret in ("chiamatemi", "anna@example.org", lamp["receipt_token"]):
        assert secret not in answer.text
    only = client.get("/api/v1/reports.atom", params={"category": "lamp-out"}, headers={"Accept-Language": "it"})
    assert only.text.count("<entry>") == 1
    assert "assegnata" in only.text.lower()
    empty = client.get("/api/v1/reports.atom", params={"category": "graffiti"})
    assert ET.fromstring(empty.content).findtext(f"{ATOM}updated") == "1970-01-01T00:00:00Z"  # noqa: S314
