"""Stories of who looks notices up: the public list, a news reader, a calendar, the map, the page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from xml.etree import ElementTree as ET

import icalendar
import mapbox_vector_tile
import pytest
from fastapi.testclient import TestClient

from city.registry import view
from geo.tiles import Tile
from tests.stories.telling import COAST, INLAND, URP
from tests.stories.test_notices import Desk, around, notice
from tests.trials import Staffer

ATOM = "{http://www.w3.org/2005/Atom}"
POINT = "{http://www.georss.org/georss}point"


@pytest.fixture
def desk(signed_in: Callable[[str], Staffer]) -> Desk:
    return Desk(signed_in(URP))


def numbers(client: TestClient, **asked: Any) -> list[str]:
    answer = client.get("/api/v1/notices", params=asked)
    assert answer.status_code == 200, answer.text
    return [one["number"] for one in answer.json()["notices"]]


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def test_the_list_is_asked_by_place_kind_and_town_and_read_page_by_page(client: TestClient, desk: Desk) -> None:
    coast = desk.published(starts_at=in_days(-1))["number"]
    hills = desk.published(area={"drawn": [{"geometry": around(*INLAND)}]}, kind="closure", starts_at=in_days(1))[
        "number"
    ]
    all_over = desk.published(area={"everywhere": True}, kind="waste_strike", ends_at=None, starts_at=in_days(2))[
        "number"
    ]
    desk.done("POST", **notice())
    assert numbers(client) == [coast, hills, all_over]
    assert numbers(client, kind="closure") == [hills]
    assert numbers(client, municipality="fano") == []
    box = f"{COAST.lon - 0.001},{COAST.lat - 0.001},{COAST.lon + 0.001},{COAST.lat + 0.001}"
    assert numbers(client, bbox=box) == [coast, all_over]
    first = client.get("/api/v1/notices", params={"limit": 2}).json()
    rest = client.get("/api/v1/notices", params={"limit": 2, "cursor": first["next"]}).json()
    assert [one["number"] for one in first["notices"] + rest["notices"]] == [coast, hills, all_over]
    assert rest["next"] is None
    assert [one["is_running"] for one in first["notices"]] == [True, False]
    whole = client.get(f"/api/v1/notices/{all_over.lower()}").json()
    assert (whole["everywhere"], whole["area"]["type"]) == (True, "MultiPolygon")
    assert whole["title"]["en"] == "Lavori in viale Trieste", "in the language there is"


def test_news_readers_and_calendars_hear_of_changes_and_withdrawals(client: TestClient, desk: Desk) -> None:
    public = desk.published(title={"it": "Lavori & scavi", "en": "Works & holes"}, link="https://example.org")
    feed = ET.fromstring(client.get("/api/v1/notices.atom", params={"municipality": "pesaro"}).content)  # noqa: S314
    (entry,) = feed.findall(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}title") == "Works & holes"
    lat, lon = map(float, str(entry.findtext(POINT)).split())
    assert (abs(lat - COAST.lat) < 0.01, abs(lon - COAST.lon) < 0.01) == (True, True)

    def event() -> Any:
        answer = client.get("/api/v1/notices.ics", headers={"Accept-Language": "it"})
        assert answer.headers["content-type"].startswith("text/calendar")
        (only,) = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
        return only

    before = event()
    assert (str(before["summary"]), str(before["status"])) == ("Lavori & scavi", "CONFIRMED")
    assert before.decoded("dtend") > before.decoded("dtstart")
    changed = desk.done("PUT", f"/{public['id']}", public["version"], **notice(title={"it": "Lavori"}))
    after = event()
    assert after["uid"] == before["uid"]
    assert after["sequence"] > before["sequence"]
    desk.act(changed, "withdrawal", reason="Annullato")
    last = event()
    assert (last["uid"], str(last["status"])) == (before["uid"], "CANCELLED")
    assert client.get("/api/v1/notices.atom").text.count("<entry>") == 0


def entries(client: TestClient, **asked: Any) -> list[str]:
    """The titles in the Atom feed, which are those in the RSS feed too."""
    answers = [client.get(f"/api/v1/notices.{kind}", params=asked) for kind in ("atom", "rss")]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    news, items = (ET.fromstring(answer.content) for answer in answers)  # noqa: S314  (our own answers)
    found = [str(entry.findtext(f"{ATOM}title")) for entry in news.iter(f"{ATOM}entry")]
    assert found == [item.findtext("title") for item in items.iter("item")]
    assert news.findtext(f"{ATOM}title") == items.findtext("channel/title")
    return found


def events(client: TestClient, **asked: Any) -> list[str]:
    answer = client.get("/api/v1/notices.ics", params=asked)
    assert answer.status_code == 200, answer.text
    return [str(one["summary"]) for one in icalendar.Calendar.from_ical(answer.content).walk("VEVENT")]


def test_a_short_feed_holds_what_has_changed_last_and_a_short_calendar_what_holds_now(
    client: TestClient, desk: Desk
) -> None:
    over = desk.published(title={"it": "Finito"}, starts_at=in_days(2), ends_at=in_days(3))
    desk.act(over, "end")
    first = desk.published(title={"it": "Primo"}, starts_at=in_days(-2))
    desk.published(title={"it": "Secondo"}, starts_at=in_days(-1))
    assert entries(client, limit=1) == ["Secondo"]
    assert events(client) == ["Secondo", "Primo", "Finito"], "what is over gives way to what holds"
    desk.done("PUT", f"/{first['id']}", first["version"], **notice(title={"it": "Primo bis"}, starts_at=in_days(-2)))
    assert entries(client, limit=1) == ["Primo bis"]
    assert entries(client) == ["Primo bis", "Secondo"]


def test_feeds_and_lists_of_a_zone_hold_what_meets_it_by_more_than_a_border(client: TestClient, desk: Desk) -> None:
    mine, path = {"layer": "pesaro-districts", "code": "centro-mare"}, "pesaro-districts/centro-mare"
    desk.published(title={"it": "Qui"}, area={"zones": [mine]}, groups=["lighting"])
    desk.published(title={"it": "In collina"}, area={"drawn": [{"geometry": around(*INLAND)}]})
    pesaro = view.newest().slugs["pesaro"]
    ours = pesaro.zone_in_force(path, pesaro.today())
    assert ours is not None
    area = pesaro.index.area(ours.id)
    assert area is not None
    neighbours = [
        zone
        for zone in pesaro.zones.values()
        if zone.layer == ours.layer and zone.id != ours.id and area.touches(pesaro.index.area(zone.id))
    ]
    asked = {"municipality": "pesaro", "zone": path}
    assert (entries(client, **asked), events(client, **asked)) == (["Qui"], ["Qui"])
    assert len(numbers(client, **asked)) == 1
    for zone in neighbours:
        assert "Qui" not in entries(client, **asked | {"zone": zone.path})
    assert entries(client, **asked, group="green") == []
    assert entries(client, group="green") == ["In collina"], "what is about no group is everybody's concern"
    for wrong, field in (
        ({"zone": path}, "municipality"),
        ({**asked, "zone": "x/y"}, "zone"),
        ({"group": "x"}, "group"),
    ):
        for kind in ("", ".atom", ".rss", ".ics"):
            answer = client.get(f"/api/v1/notices{kind}", params=wrong)
            assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_feed_says_of_what_it_is_in_the_language_asked_for(client: TestClient, desk: Desk) -> None:
    desk.published(title={"it": "Lavori", "en": "Works"})
    asked = {"municipality": "pesaro", "kind": "works", "language": "it", "zone": "pesaro-districts/centro-mare"}
    feed = ET.fromstring(client.get("/api/v1/notices.atom", params=asked).content)  # noqa: S314  (our own answer)
    zone = view.newest().slugs["pesaro"].zone_name("pesaro-districts/centro-mare")
    assert feed.findtext(f"{ATOM}title") == f"Avvisi – Pesaro – {zone} – Lavori"
    assert [entry.findtext(f"{ATOM}title") for entry in feed.findall(f"{ATOM}entry")] == ["Lavori"]
    assert entries(client) == ["Works"]
    assert (events(client, language="it"), events(client, language="en")) == (["Lavori"], ["Works"])
    rss = ET.fromstring(client.get("/api/v1/notices.rss").content)  # noqa: S314  (our own answer)
    item = rss.find("channel/item")
    assert item is not None
    link, guid = str(item.findtext("link")), item.find("guid")
    assert "Works" in client.get(link.removeprefix("http://lampione.test"), headers={"Accept-Language": "it"}).text
    assert guid is not None
    assert guid.get("isPermaLink") == "false", "there a program reads it, and people at the link"
    assert item.findtext(POINT)


def test_calendars_are_whole_by_themselves(client: TestClient, desk: Desk) -> None:
    for kind in ("notices", "reports"):
        empty = icalendar.Calendar.from_ical(client.get(f"/api/v1/{kind}.ics").content)
        assert [one.name for one in empty.subcomponents] == ["VTIMEZONE"], "a calendar holds one component at least"
    desk.published(starts_at="2026-07-01T09:00", ends_at=in_days(400))
    answer = client.get("/api/v1/notices.ics").text
    assert "DTSTART:20260701T070000Z" in answer
    assert "TZID" not in answer


def test_the_map_shows_a_notice_at_once_and_no_longer_than_it_holds(client: TestClient, desk: Desk) -> None:
    tile = Tile.at(COAST, 14)
    address = f"/tiles/notices/{tile.zoom}/{tile.x}/{tile.y}.mvt"

    def layers_of(content: bytes) -> dict[str, Any]:
        return mapbox_vector_tile.decode(content) if content else {}

    def shown(known: str = "") -> tuple[int, str, list[dict[str, Any]]]:
        answer = client.get(address, headers={"If-None-Match": known})
        layers = layers_of(answer.content)
        found = layers.get("notices", {}).get("features", [])
        return answer.status_code, answer.headers["etag"], [one["properties"] for one in found]

    _, empty, found = shown()
    assert found == []
    desk.done("POST", **notice())
    assert shown(empty)[0] == 304, "a draft is nobody's business"
    public = desk.published()
    status, tag, found = shown(empty)
    assert status == 200
    assert [(one["number"], one["kind"]) for one in found] == [(public["number"], "works")]
    assert shown(tag)[0] == 304
    near = product(range(tile.x - 1, tile.x + 2), range(tile.y - 1, tile.y + 2))
    named = [layers_of(client.get(f"/tiles/notices/14/{x}/{y}.mvt").content).get("titles") for x, y in near]
    titles = [one["properties"] for layer in named if layer for one in layer["features"]]
    assert [one["title_it"] for one in titles] == [public["title"]["it"]], "once, on however many tiles its area is"
    changed = desk.done("PUT", f"/{public['id']}", public["version"], **notice(kind="closure"))
    assert [one["kind"] for one in shown(tag)[2]] == ["closure"]
    far = Tile.at(INLAND, 14)
    assert client.get(f"/tiles/notices/{far.zoom}/{far.x}/{far.y}.mvt").content == b""
    desk.act(changed, "end")
    assert shown(tag)[2] == []
    assert client.get("/tiles/notices.json").json()["vector_layers"][1]["id"] == "titles"


def test_the_page_says_what_the_letter_said_and_no_more_than_is_public(client: TestClient, desk: Desk) -> None:
    words = {"it": "Attenzione: <script>alert(1)</script>"}
    draft = desk.done("POST", **notice(text=words, link="https://example.org/lavori"))
    assert client.get(f"/notices/{draft['number']}").status_code == 404
    public = desk.act(draft, "publication")
    page = client.get(f"/notices/{public['number']}", headers={"Accept-Language": "it"})
    assert page.status_code == 200
    assert "Lavori in viale Trieste" in page.text
    assert "<script>alert" not in page.text
    assert "https://example.org/lavori" in page.text
    assert "<dt>Dove</dt><dd>L&#39;area segnata sulla mappa</dd>" in page.text
    assert 'href="?language=en"' in page.text
    english = client.get(f"/notices/{public['number']}?language=en", headers={"Accept-Language": "it"}).text
    assert ('<html lang="en">' in english, "/?language=en#15/" in english) == (True, True)
    shown = client.get(f"/api/v1/notices/{public['number']}").json()
    assert shown["where"] == {"it": "L'area segnata sulla mappa", "en": "The area marked on the map"}
    desk.act(public, "withdrawal", reason="Non si fanno più.")
    gone = client.get(f"/notices/{public['number']}", headers={"Accept-Language": "it"}).text
    assert "Questo avviso non vale più." in gone
    assert "Non si fanno più." in gone
