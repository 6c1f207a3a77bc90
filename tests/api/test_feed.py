"""The feed of public reports: what a news reader reads, and nothing that is not public."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from xml.etree import ElementTree as ET

import icalendar
from fastapi.testclient import TestClient

from city.registry import view
from geo.place import Place
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


def test_a_feed_is_called_after_what_is_asked_for(client: TestClient) -> None:
    pesaro = view.newest().slugs["pesaro"]
    zone = pesaro.zones_at(COAST, pesaro.today())[0]
    for asked, name in (
        ({}, "Segnalazioni"),
        ({"municipality": "pesaro", "category": "lamp-out"}, "Segnalazioni – Pesaro – Lampione spento"),
        ({"municipality": "pesaro", "zone": zone.path}, f"Segnalazioni – Pesaro – {zone.name}"),
        ({"category": "lamp-out", "state": "received"}, "Segnalazioni – Lampione spento – Ricevuta"),
        ({"lon": COAST.lon, "lat": COAST.lat, "metres": 300}, "Segnalazioni – entro 300 m"),
    ):
        asked_for = {key: str(value) for key, value in asked.items()} | {"language": "it"}
        news, items = (
            ET.fromstring(client.get(f"/api/v1/reports.{kind}", params=asked_for).content)  # noqa: S314  (our own)
            for kind in ("atom", "rss")
        )
        assert (news.findtext(f"{ATOM}title"), items.findtext("channel/title")) == (name, name)
        days = icalendar.Calendar.from_ical(client.get("/api/v1/reports.ics", params=asked_for).content)
        assert str(days["x-wr-calname"]) == name.replace("Segnalazioni", "Interventi previsti")


def titles(client: TestClient, **asked: object) -> list[str]:
    answer = client.get("/api/v1/reports.rss", params={key: str(value) for key, value in asked.items()})
    assert answer.status_code == 200, answer.text
    return [str(item.findtext("title")) for item in ET.fromstring(answer.content).iter("item")]  # noqa: S314


def test_rss_tells_the_same(client: TestClient) -> None:
    lamp = reported(client, COAST, "lampione spento", category="lamp-out")
    answer = client.get("/api/v1/reports.rss")
    assert answer.headers["content-type"] == "application/rss+xml"
    item = ET.fromstring(answer.content).find("channel/item")  # noqa: S314
    assert item is not None
    assert item.findtext("title") == f"{lamp['number']}, Street light out: assigned"
    assert item.findtext("guid") == f"http://lampione.test/api/v1/reports/{lamp['number']}"
    assert item.findtext(POINT) == f"{COAST.lat} {COAST.lon}"


def test_a_feed_of_a_circle_or_a_zone(client: TestClient) -> None:
    here = reported(client, COAST, "lampione spento", category="lamp-out")
    reported(client, INLAND, "lampione spento", category="lamp-out")
    assert len(titles(client, lon=COAST.lon, lat=COAST.lat, metres=20_000)) == 2
    near = titles(client, lon=COAST.lon, lat=COAST.lat, metres=50)
    assert [title.split(",")[0] for title in near] == [here["number"]]
    pesaro = view.newest().slugs["pesaro"]
    day = datetime.now(UTC).date()
    there = {(zone.layer, zone.code) for zone in pesaro.zones_at(INLAND, day)}
    layer, code = next(
        (zone.layer, zone.code) for zone in pesaro.zones_at(COAST, day) if (zone.layer, zone.code) not in there
    )
    inside = titles(client, municipality="pesaro", zone=f"{layer}/{code}")
    assert [title.split(",")[0] for title in inside] == [here["number"]]


def test_an_area_that_is_none_is_refused_with_what_would_be_right(client: TestClient) -> None:
    for asked, field in (
        ({"zone": "districts/x"}, "municipality"),
        ({"zone": "districts/nowhere", "municipality": "pesaro"}, "zone"),
        ({"lon": "12.9", "metres": "50"}, "metres"),
        ({"lon": "12.9", "lat": "43.9", "metres": "0"}, "metres"),
        ({"lon": "nan", "lat": "43.9", "metres": "50"}, "lon"),
        ({"lon": "12.9", "lat": "43.9", "metres": "nan"}, "metres"),
        ({"zone": "a/b", "metres": "5"}, "zone"),
    ):
        answer = client.get("/api/v1/reports.atom", params=asked)
        assert (answer.status_code, answer.json()["field"]) == (422, field), asked


def test_days_promised_are_a_calendar(client: TestClient, signed_in: SignIn) -> None:
    lamp = reported(client, COAST, "lampione spento", category="lamp-out")
    reported(client, INLAND, "buca", category="pothole")
    day = datetime.now(UTC).date() + timedelta(days=3)
    signed_in(URP).change("PUT", lamp["id"], "promise", {"day": day.isoformat(), "words": "Veniamo."})
    answer = client.get("/api/v1/reports.ics", params={"municipality": "pesaro"}, headers={"Accept-Language": "it"})
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    events = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
    assert [(str(one["UID"]), one.decoded("DTSTART")) for one in events] == [(f"{lamp['number']}@lampione.test", day)]
    assert str(events[0]["SUMMARY"]) == f"Lampione spento: intervento previsto ({lamp['number']})"
    assert Place(events[0]["GEO"].longitude, events[0]["GEO"].latitude) == COAST
