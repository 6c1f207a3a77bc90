"""Stories of notices: told to those who asked, once; at night only what is urgent; changed, taken back, in time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient
from httpx import Response

from tests.stories.telling import COAST, FANO, INLAND, ROME, URP, east_of, plain, reported, wait_for_rest
from tests.stories.test_subscriptions import CIRCLE, link, subscribed
from tests.trials import Postbox, Staffer, eventually

ADMINISTRATOR: Final = "amministratore@pesaro.example.org"
FANO_DESK: Final = "operatore.urp@fano.example.org"
BRUNO, CARLA, DINO, ELSA = (f"{name}@example.org" for name in ("bruno", "carla", "dino", "elsa"))
AROUND: Final = {
    "type": "Polygon",
    "coordinates": [[[12.91, 43.908], [12.917, 43.908], [12.917, 43.912], [12.91, 43.912], [12.91, 43.908]]],
}
ALL_DAY: Final = {"quiet_from": "00:00", "quiet_until": "23:59"}

pytestmark = pytest.mark.usefixtures("worker")


class Desk:
    """Somebody who writes notices, and sends the version that was read."""

    def __init__(self, staffer: Staffer) -> None:
        self.client, self.headers = staffer.client, staffer.headers

    def call(self, method: str, path: str = "", version: int | None = None, **body: Any) -> Response:
        headers = self.headers | ({"If-Match": f'"v{version}"'} if version else {})
        how = {"json": body} if method in {"POST", "PUT"} else {}
        return self.client.request(method, f"/api/v1/desk/notices{path}", headers=headers, **how)

    def done(self, method: str, path: str = "", version: int | None = None, **body: Any) -> Any:
        answer = self.call(method, path, version, **body)
        assert answer.is_success, answer.text
        return answer.json()

    def act(self, notice: Any, what: str, **body: Any) -> Any:
        return self.done("POST", f"/{notice['id']}/{what}", notice["version"], **body)

    def published(self, **fields: Any) -> Any:
        return self.act(self.done("POST", **notice(**fields)), "publication", confirm_urgent=True)

    def progress(self, notice: Any) -> list[Any]:
        tellings: list[Any] = self.done("GET", f"/{notice['id']}/progress")["tellings"]
        return tellings


@pytest.fixture
def desk(signed_in: Callable[[str], Staffer]) -> Desk:
    return Desk(signed_in(URP))


@pytest.fixture
def head(signed_in: Callable[[str], Staffer]) -> Desk:
    return Desk(signed_in(ADMINISTRATOR))


def notice(**fields: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "kind": "works",
        "title": {"it": "Lavori in viale Trieste"},
        "text": {"it": "Si rifanno i lampioni.\nLa strada resta aperta."},
        "area": {"drawn": [{"geometry": AROUND}]},
        "starts_at": now.isoformat(),
        "ends_at": (now + timedelta(days=3)).isoformat(),
        "department": "urp",
        **fields,
    }


def told(postbox: Postbox, address: str) -> list[str]:
    return [str(mail["Subject"]) for mail in postbox.to(address)]


def settled(desk: Desk, notice: Any, tellings: int = 1) -> None:
    """Wait until all letters of so many tellings have left."""
    eventually(lambda: len([one for one in desk.progress(notice) if one["queued_at"] and not one["left"]]) == tellings)


def test_street_works_are_announced_once_to_those_who_asked(
    client: TestClient, postbox: Postbox, desk: Desk, database: str
) -> None:
    far = {"lon": INLAND.lon, "lat": INLAND.lat, "metres": 300}
    wishes: tuple[dict[str, Any], ...] = (CIRCLE, {"zone": {"layer": "pesaro-districts", "code": "centro-mare"}}, {})
    for wish in wishes:
        subscribed(client, postbox, BRUNO, **wish)
    subscribed(client, postbox, CARLA, **far)
    subscribed(client, postbox, DINO, **CIRCLE, notices=False)
    subscribed(client, postbox, ELSA, **CIRCLE, groups=["green"])
    subscribed(client, postbox, "fano@example.org", municipality="fano")
    draft = desk.done("POST", **notice(groups=["lighting"], link="https://example.org/lavori"))
    assert draft["state"] == "draft"
    seen = desk.done("GET", f"/{draft['id']}/preview")
    assert (seen["recipients"], seen["channels"]) == (1, {"email": 1})
    assert seen["shape"]["type"] == "MultiPolygon"
    assert "Lavori in viale Trieste" in seen["letters"][0]["subject"]
    assert client.get("/api/v1/notices").json()["notices"] == []
    assert client.get(f"/api/v1/notices/{draft['number']}").status_code == 404

    public = desk.act(draft, "publication")
    assert public["state"] == "published"
    settled(desk, public)
    wait_for_rest(database)
    assert told(postbox, BRUNO) == ["Notice: Lavori in viale Trieste"]
    assert len(postbox.messages) == 1, "nobody else asked for notices of lighting there"
    mail = postbox.messages[0]
    assert "Si rifanno i lampioni." in plain(mail), "where there is no English, the Italian is shown"
    assert f"/notices/{public['number']}?language=en" in plain(mail)
    assert "Where: The area marked on the map" in plain(mail).splitlines()
    place = re.search(r"On the map: http://lampione\.test/\?language=en#15/([\d.]+)/([\d.]+)", plain(mail))
    assert place is not None
    assert (abs(float(place[1]) - COAST.lat) < 0.01, abs(float(place[2]) - COAST.lon) < 0.01) == (True, True)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    page = client.get(link(mail, "/subscriptions/"))
    assert page.status_code == 200
    assert client.post("/unsubscribe/" + str(mail["List-Unsubscribe"]).rpartition("/")[2][:-1]).status_code == 200
    again = desk.published()
    settled(desk, again)
    wait_for_rest(database)
    assert told(postbox, BRUNO) == ["Notice: Lavori in viale Trieste"], "one click has ended all that it was sent for"
    assert len(told(postbox, ELSA)) == 1, "what is about no group in particular is everybody's concern"


def test_only_what_is_urgent_arrives_in_quiet_hours(
    client: TestClient, postbox: Postbox, desk: Desk, head: Desk, database: str
) -> None:
    subscribed(client, postbox, BRUNO, **CIRCLE)
    subscribed(client, postbox, CARLA, **CIRCLE, rhythm="daily")
    with psycopg.connect(database) as admin:
        admin.execute(
            "UPDATE subscriber SET quiet_from = '00:00', quiet_until = '23:59:59' WHERE address = %s", (BRUNO,)
        )
    ordinary = desk.published()
    eventually(lambda: desk.progress(ordinary)[0]["queued_at"])
    wait_for_rest(database)
    telling = desk.progress(ordinary)[0]
    assert (telling["left"], telling["waiting"], telling["letters"]["sent"]) == (2, 2, 0)
    assert postbox.messages == []

    refused = desk.call("POST", **notice(is_urgent=True))
    assert refused.status_code == 403
    storm = head.done("POST", **notice(kind="weather_warning", title={"it": "Allerta rossa"}, is_urgent=True))
    unconfirmed = head.call("POST", f"/{storm['id']}/publication", storm["version"])
    assert unconfirmed.status_code == 422
    assert unconfirmed.json()["field"] == "confirm_urgent"
    storm = head.act(storm, "publication", confirm_urgent=True)
    settled(head, storm)
    assert told(postbox, BRUNO) == ["URGENT: Allerta rossa"]
    assert told(postbox, CARLA) == ["URGENT: Allerta rossa"]
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET due_at = now() WHERE telling_id IS NOT NULL")
    settled(desk, ordinary)
    assert told(postbox, CARLA) == ["URGENT: Allerta rossa", "Notice: Lavori in viale Trieste"]


def test_a_scheduled_notice_appears_in_its_moment_and_ends_in_its_moment(
    client: TestClient, postbox: Postbox, desk: Desk, database: str
) -> None:
    subscribed(client, postbox, BRUNO, **CIRCLE)
    tomorrow = datetime.now(ROME) + timedelta(days=1)
    draft = desk.done("POST", **notice(publish_at=tomorrow.strftime("%Y-%m-%dT%H:%M")))
    assert datetime.fromisoformat(draft["publish_at"]) == tomorrow.replace(second=0, microsecond=0), "by our own clock"
    planned = desk.act(draft, "publication")
    assert planned["state"] == "scheduled"
    assert client.get("/api/v1/notices").json()["notices"] == []
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE notice SET publish_at = now()")
    eventually(lambda: told(postbox, BRUNO))
    assert [one["number"] for one in client.get("/api/v1/notices").json()["notices"]] == [planned["number"]]
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE notice SET ends_at = now()")
    eventually(lambda: client.get(f"/api/v1/notices/{planned['number']}").json()["state"] == "ended")
    assert client.get("/api/v1/notices").json()["notices"] == []
    past = client.get("/api/v1/notices", params={"past": True, "municipality": "pesaro"}).json()
    assert [one["number"] for one in past["notices"]] == [planned["number"]]


def test_who_was_told_hears_of_changes_and_of_the_withdrawal_once_each(
    client: TestClient, postbox: Postbox, desk: Desk, database: str
) -> None:
    subscribed(client, postbox, BRUNO, **CIRCLE)
    subscribed(client, postbox, CARLA, lon=INLAND.lon, lat=INLAND.lat, metres=300)
    public = desk.published()
    settled(desk, public)
    typo = desk.done("PUT", f"/{public['id']}", public["version"], **notice(title={"it": "Lavori in Viale Trieste"}))
    stale = desk.call("PUT", f"/{public['id']}", public["version"], **notice())
    assert stale.status_code == 412
    wait_for_rest(database)
    assert len(told(postbox, BRUNO)) == 1, "nobody hears of a slip of the pen"
    wider = {"drawn": [{"geometry": AROUND}, {"geometry": around(INLAND.lon, INLAND.lat)}]}
    changed = desk.done(
        "PUT",
        f"/{public['id']}",
        typo["version"],
        **notice(area=wider),
        tell=True,
        what_changed="I lavori toccano anche la collina.",
    )
    settled(desk, changed, 2)
    assert told(postbox, BRUNO)[1:] == ["Notice changed: Lavori in viale Trieste"]
    assert "This notice has changed: I lavori toccano anche la collina." in plain(postbox.to(BRUNO)[1])
    assert told(postbox, CARLA) == ["Notice: Lavori in viale Trieste"], "to her it is new"
    subscribed_later = "dino@example.org"
    messages = [*postbox.messages]
    subscribed(client, postbox, subscribed_later, **CIRCLE)
    postbox.messages[:0] = messages
    missing = desk.call("POST", f"/{public['id']}/withdrawal", changed["version"])
    assert missing.status_code == 422
    gone = desk.act(changed, "withdrawal", reason="I lavori non si fanno più.")
    settled(desk, gone, 3)
    wait_for_rest(database)
    for address in (BRUNO, CARLA):
        assert told(postbox, address)[-1] == "Notice withdrawn: Lavori in viale Trieste"
        first, second, *rest = [line for line in plain(postbox.to(address)[-1]).splitlines() if line]
        assert first == "Notice withdrawn: Lavori in viale Trieste"
        assert second == (
            "This notice no longer holds. It was withdrawn for this reason: I lavori non si fanno più."
        ), "what became of it, and why, before what it said"
        assert rest[:2] == ["The notice said:", "Si rifanno i lampioni."]
    assert (len(told(postbox, BRUNO)), len(told(postbox, CARLA))) == (3, 2)
    assert told(postbox, subscribed_later) == [], "who was not told of it need not hear that it is gone"
    assert client.get("/api/v1/notices").json()["notices"] == []
    shown = client.get(f"/api/v1/notices/{public['number']}").json()
    assert (shown["state"], shown["reason"]) == ("withdrawn", "I lavori non si fanno più.")


def test_letters_can_be_held_back_and_go_on_and_what_was_not_sent_is_dropped_with_the_notice(
    client: TestClient, postbox: Postbox, desk: Desk, database: str
) -> None:
    subscribed(client, postbox, BRUNO, **CIRCLE, rhythm="daily")
    subscribed(client, postbox, CARLA, **CIRCLE, rhythm="daily")
    public = desk.published()
    eventually(lambda: desk.progress(public)[0]["queued_at"])
    assert desk.done("PUT", f"/{public['id']}/sending", is_paused=True)["tellings"][0]["paused_at"]
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET due_at = now() WHERE address = %s AND telling_id IS NOT NULL", (BRUNO,))
    wait_for_rest(database)
    assert postbox.messages == []
    desk.done("PUT", f"/{public['id']}/sending", is_paused=False)
    eventually(lambda: told(postbox, BRUNO))
    desk.act(public, "withdrawal", reason="Annullato")
    eventually(lambda: desk.progress(public)[1:] and desk.progress(public)[1]["queued_at"])
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET due_at = now() WHERE state = 'queued' AND telling_id IS NOT NULL")
    eventually(lambda: told(postbox, BRUNO)[1:])
    wait_for_rest(database)
    assert told(postbox, CARLA) == []
    assert desk.progress(public)[0]["letters"] == {"queued": 0, "sent": 1, "refused": 0, "dropped": 1, "bounced": 0}


def test_an_address_that_is_not_taken_holds_up_nobody(
    client: TestClient, postbox: Postbox, desk: Desk, database: str
) -> None:
    for address in (BRUNO, CARLA, DINO):
        subscribed(client, postbox, address, **CIRCLE)
    postbox.refusing.add(BRUNO)
    postbox.silent.add(CARLA)
    public = desk.published()
    eventually(lambda: told(postbox, DINO) and desk.progress(public)[0]["letters"]["refused"])
    telling = desk.progress(public)[0]
    assert telling["letters"] == {"queued": 1, "sent": 1, "refused": 1, "dropped": 0, "bounced": 0}
    assert telling["waiting"] == 1
    postbox.silent.clear()
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET due_at = now() WHERE state = 'queued' AND telling_id IS NOT NULL")
    eventually(lambda: told(postbox, CARLA))


def test_reports_inside_take_the_expected_day_and_lose_it_with_the_notice(
    client: TestClient, postbox: Postbox, desk: Desk, database: str
) -> None:
    inside = reported(client, COAST, "lamp out", category="lamp-out", email="anna@example.org", language="en")
    subscribed(client, postbox, BRUNO, report=inside["number"])
    outside = reported(client, INLAND, "lampione spento", category="lamp-out")
    other = reported(client, COAST, "buca", category="pothole")
    dated = reported(client, east_of(COAST, 20), "lampione che lampeggia", category="lamp-out")
    day = (datetime.now(ROME) + timedelta(days=9)).date()
    clerk = Staffer(desk.client, desk.headers)
    clerk.change("PUT", dated["id"], "promise", {"day": (day - timedelta(days=2)).isoformat()})
    fields = {"groups": ["lighting"], "applies_to_reports": True, "expected_on": day.isoformat()}
    fields["title"] = {"it": "Lavori in viale Trieste", "en": "Works in viale Trieste"}
    draft = desk.done("POST", **notice(**fields))
    known_better = reported(client, east_of(COAST, 30), "lampione acceso di giorno", category="lamp-out")
    seen = desk.done("GET", f"/{draft['id']}/preview")
    assert {*seen["report_numbers"]} == {inside["number"], known_better["number"]}, (
        "a day that staff promised for that very report stands"
    )
    public = desk.act(draft, "publication")
    shown = eventually(
        lambda: (report := client.get(f"/api/v1/reports/{inside['number']}").json())["promised_at"] and report
    )
    assert datetime.fromisoformat(shown["promised_at"]).astimezone(ROME).date() == day
    entry = next(entry for entry in shown["timeline"] if entry["what"] == "promised")
    assert public["number"] in entry["note"]
    assert f"/notices/{public['number']}" in entry["note"]
    for address in ("anna@example.org", BRUNO):
        mail = eventually(lambda who=address: [one for one in postbox.to(who) if public["number"] in plain(one)])[0]
        assert f"Notice {public['number']}, Works in viale Trieste" in plain(mail)
        assert "Avviso" not in plain(mail), "each reads it in their own language"
    for language, says in (("it", "Avviso"), ("en", "Notice")):
        query = {"token": inside["receipt_token"], "language": language}
        assert f"{says} {public['number']}" in client.get(f"/r/{inside['number']}", params=query).text
    for report in (outside, other):
        assert client.get(f"/api/v1/reports/{report['number']}").json()["promised_at"] is None
    later = day + timedelta(days=5)
    moved = desk.done(
        "PUT", f"/{public['id']}", public["version"], **notice(**fields | {"expected_on": later.isoformat()})
    )

    def promised_day() -> Any:
        at = client.get(f"/api/v1/reports/{inside['number']}").json()["promised_at"]
        return at and datetime.fromisoformat(at).astimezone(ROME).date()

    eventually(lambda: promised_day() == later)
    assert desk.done("GET", f"/{public['id']}")["reports"] == 2
    clerk.change("PUT", known_better["id"], "promise", {"day": day.isoformat()})
    desk.act(moved, "withdrawal", reason="Annullato")
    eventually(lambda: promised_day() is None)
    wait_for_rest(database)
    taken = client.get(f"/api/v1/reports/{inside['number']}").json()["timeline"][-1]
    assert (taken["what"], "è stato ritirato" in taken["note"]) == ("promise_taken_back", True)
    kept = client.get(f"/api/v1/reports/{known_better['number']}").json()["promised_at"]
    assert kept, "a day that staff promised since stands too"


def test_reports_that_the_notice_is_about_no_more_lose_its_day_and_keep_it_when_all_is_over(
    client: TestClient, desk: Desk, database: str
) -> None:
    report = reported(client, COAST, "lampione spento", category="lamp-out")
    day = (datetime.now(ROME) + timedelta(days=9)).date()
    dating = {"groups": ["lighting"], "applies_to_reports": True, "expected_on": day.isoformat()}
    now = desk.published(**dating)

    def shown() -> Any:
        return client.get(f"/api/v1/reports/{report['number']}").json()

    eventually(lambda: shown()["promised_at"])
    for elsewhere in (
        {"applies_to_reports": False},
        {"area": {"drawn": [{"geometry": around(INLAND.lon, INLAND.lat)}]}},
        {"groups": ["green"]},
    ):
        now = desk.done("PUT", f"/{now['id']}", now["version"], **notice(**dating | elsewhere))
        eventually(lambda: not shown()["promised_at"])
        last = shown()["timeline"][-1]
        assert (last["what"], "non dà più un giorno" in last["note"]) == ("promise_taken_back", True)
        assert desk.done("GET", f"/{now['id']}")["reports"] == 0
        now = desk.done("PUT", f"/{now['id']}", now["version"], **notice(**dating))
        eventually(lambda: shown()["promised_at"])
    desk.act(now, "end")
    wait_for_rest(database)
    assert shown()["promised_at"], "what a notice that has ended promised stands"


def test_whoever_reports_there_is_told_what_is_going_on(client: TestClient, desk: Desk) -> None:
    english = {"it": "Lavori", "en": "Works"}
    public = desk.published(title=english, groups=["lighting"])
    desk.published(title={"it": "Domani"}, starts_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    report = reported(client, COAST, "lampione spento", category="lamp-out")
    assert [(one["number"], one["title"]) for one in report["notices"]] == [(public["number"], english)]
    assert reported(client, COAST, "buca", category="pothole")["notices"] == []
    assert reported(client, INLAND, "lampione spento", category="lamp-out")["notices"] == []
    asked = {"lon": COAST.lon, "lat": COAST.lat, "text": "lampione spento"}
    assert [one["number"] for one in client.post("/api/v1/suggestions", json=asked).json()["notices"]] == [
        public["number"]
    ]
    desk.act(public, "end")
    assert reported(client, COAST, "lampione spento ancora", category="lamp-out")["notices"] == []


def test_only_its_own_office_writes_for_an_office_and_nonsense_is_refused_by_name(
    client: TestClient, desk: Desk, head: Desk, signed_in: Callable[[str], Staffer]
) -> None:
    for fields, field in (
        ({"title": {}}, "title"),
        ({"area": {}}, "area"),
        ({"area": {"drawn": [{"geometry": around(FANO.lon, FANO.lat)}]}}, "area"),
        (
            {
                "area": {
                    "drawn": [{"geometry": {"type": "LineString", "coordinates": [[12.91, 43.91], [12.92, 43.91]]}}]
                }
            },
            "area.drawn",
        ),
        ({"area": {"zones": [{"layer": "pesaro-districts", "code": "nowhere"}]}}, "area.zones"),
        ({"area": {"streets": [{"name": "Via che non c'è"}]}}, "area.streets"),
        ({"groups": ["dragons"]}, "groups"),
        ({"ends_at": "2020-01-01T00:00"}, "ends_at"),
        ({"applies_to_reports": True}, "expected_on"),
        ({"department": "dragons"}, "department"),
    ):
        answer = desk.call("POST", **notice(**fields))
        assert answer.status_code == 422, answer.text
        assert answer.json()["field"] == field, answer.text
    draft = desk.done("POST", **notice())
    assert desk.call("POST", f"/{draft['id']}/publication").status_code == 428
    crew = Desk(signed_in("squadra.roads-coast@pesaro.example.org"))
    assert crew.call("POST", **notice()).status_code == 403
    assert crew.call("GET", f"/{draft['id']}").status_code == 403
    assert desk.call("DELETE", f"/{draft['id']}", draft["version"]).status_code == 204
    assert desk.call("GET", f"/{draft['id']}").status_code == 404


def around(lon: float, lat: float) -> dict[str, Any]:
    west, east, south, north = lon - 0.002, lon + 0.002, lat - 0.002, lat + 0.002
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }
