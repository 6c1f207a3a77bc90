"""Stories of those who are told in their browser, by way of a push service that cannot read what it carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient

from city.messages import push
from tests.push_service import Browser, PushService, door_of, pushing
from tests.stories.outside_world import allowed
from tests.stories.telling import COAST, FANO, URP, counted, east_of, reported, wait_for_rest
from tests.stories.test_notices import Desk, notice, settled
from tests.trials import Staffer, eventually

SUBSCRIPTIONS: Final = "/api/v1/subscriptions"
CIRCLE: Final = {"lon": COAST.lon, "lat": COAST.lat, "metres": 300}

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker_program() -> str:
    return "tests.push_worker"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[PushService]:
    monkeypatch.setattr(push, "door_of", door_of)
    with pushing() as found:
        yield found


def asked(client: TestClient, browser: Browser, **wish: Any) -> httpx.Response:
    body = {"municipality": "pesaro", "push": browser.subscription, "language": "en", **wish}
    return client.post(SUBSCRIPTIONS, json=body)


def subscribed(client: TestClient, service: PushService, **wish: Any) -> tuple[Browser, str]:
    """A browser whose worker has said yes, and the key it was given."""
    browser = service.browser(client.get(f"{SUBSCRIPTIONS}/push").json()["key"])
    answer = asked(client, browser, **wish)
    assert answer.status_code == 202, answer.text
    question = eventually(lambda: browser.messages)[0]
    said = client.put(f"{SUBSCRIPTIONS}/confirmations/{question['confirm']}")
    assert said.status_code == 200, said.text
    browser.messages.clear()
    browser.headers.clear()
    return browser, said.json()["key"]


def aged(database: str) -> None:
    """A day and more goes by for all letters that wait."""
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET created_at = created_at - interval '25 hours' WHERE state = 'queued'")
        admin.execute("UPDATE job SET visible_at = now()")


def deliveries(database: str) -> list[tuple[str, str | None]]:
    with psycopg.connect(database) as admin:
        return admin.execute(
            "SELECT state, problem FROM delivery WHERE channel = 'push' ORDER BY created_at"
        ).fetchall()


def test_a_browser_hears_nothing_before_it_has_said_yes_and_then_what_it_asked_for(
    client: TestClient, service: PushService, database: str, signed_in: Callable[[str], Staffer]
) -> None:
    browser = service.browser(client.get(f"{SUBSCRIPTIONS}/push").json()["key"])
    assert asked(client, browser, **CIRCLE, groups=["lighting"]).status_code == 202
    question = eventually(lambda: browser.messages)[0]
    assert "within 300 m" in question["body"]
    assert question["title"] == "Just one confirmation"
    assert question["language"] == "en"
    reported(client, COAST, "lampione spento", category="lamp-out")
    wait_for_rest(database)
    assert len(browser.messages) == 1, "it has not said yes"

    said = client.put(f"{SUBSCRIPTIONS}/confirmations/{question['confirm']}").json()
    near = reported(client, east_of(COAST, 250), "lampione spento", category="lamp-out", email="anna@example.org")
    told = eventually(lambda: browser.messages[1:])[0]
    assert near["number"] in told["title"]
    assert near["number"] in told["body"]
    assert "lampione spento" not in told["body"], "what the citizen wrote is not public"
    assert "confirm" not in told
    assert told["link"].startswith("http://lampione.test/#17/43.9")
    reported(client, FANO, "lampione spento", category="lamp-out", email="anna@example.org")
    reported(client, COAST, "buca", category="pothole")
    wait_for_rest(database)
    assert len(browser.messages) == 2

    clerk = signed_in(URP)
    clerk.change("POST", near["id"], "moves", {"to": "in_progress"})
    clerk.change("POST", near["id"], "moves", {"to": "resolved", "reason": "Lampada cambiata."})
    solved = eventually(lambda: browser.messages[2:])[0]
    assert "Lampada cambiata." in solved["body"]
    assert solved["tag"] == told["tag"], "on the lock screen it takes the earlier one's place"
    first, last = browser.headers[1:]
    assert first["topic"] == last["topic"] == told["tag"]
    assert first["urgency"] == "normal"
    assert first["ttl"] == "86400"

    kept = client.get(f"{SUBSCRIPTIONS}/{said['key']}").json()
    assert [one["kind"] for one in kept["subscriptions"]] == ["circle"]
    assert client.delete(f"{SUBSCRIPTIONS}/{said['key']}").status_code == 204
    assert counted(database, "subscriber") == 0


def test_a_notice_comes_once_and_its_change_takes_its_place(
    client: TestClient, service: PushService, database: str, signed_in: Callable[[str], Staffer]
) -> None:
    browser, _ = subscribed(client, service, **CIRCLE)
    gone, _ = subscribed(client, service, **CIRCLE)
    gone.answers = [410]
    desk = Desk(signed_in(URP))
    public = desk.published()
    told = eventually(lambda: browser.messages)[0]
    assert told["title"] == "Notice: Lavori in viale Trieste"
    assert "Si rifanno i lampioni." in told["body"]
    assert "When: from " in told["body"]
    settled(desk, public)
    assert counted(database, "subscriber") == 1, "the browser that has gone away is forgotten"
    what = {"tell": True, "what_changed": "Si comincia dopo."}
    desk.done("PUT", f"/{public['id']}", public["version"], **notice(), **what)
    changed = eventually(lambda: browser.messages[1:])[0]
    assert "Si comincia dopo." in changed["body"]
    assert changed["tag"] == told["tag"]
    wait_for_rest(database)
    assert len(browser.messages) == 2


def test_one_click_ends_what_a_message_told(client: TestClient, service: PushService, database: str) -> None:
    browser, _ = subscribed(client, service, **CIRCLE)
    reported(client, COAST, "lampione spento", category="lamp-out")
    told = eventually(lambda: browser.messages)[0]
    client.post(told["unsubscribe"].removeprefix("http://lampione.test"))
    assert counted(database, "subscriber") == 0


def test_the_daily_rhythm_holds_for_browsers_too(client: TestClient, service: PushService, database: str) -> None:
    browser, key = subscribed(client, service, **CIRCLE)
    client.put(f"{SUBSCRIPTIONS}/{key}", json={"language": "it", "rhythm": "daily"})
    for category in ("lamp-out", "pothole"):
        reported(client, COAST, "guasto", category=category)
    wait_for_rest(database)
    assert not browser.messages
    with psycopg.connect(database) as admin:
        due = admin.execute("SELECT min(due_at) FROM tiding").fetchone()
        admin.execute("UPDATE tiding SET due_at = now()")
    assert due is not None
    assert due[0] > datetime.now(UTC) - timedelta(minutes=1)
    told = eventually(lambda: browser.messages)[0]
    assert told["title"] == "2 segnalazioni: notizie"
    assert browser.headers[0]["urgency"] == "low"
    assert "topic" not in browser.headers[0], "tomorrow's digest must not replace today's"


def test_a_browser_that_has_gone_away_is_forgotten(client: TestClient, service: PushService, database: str) -> None:
    gone, _ = subscribed(client, service, **CIRCLE)
    there, _ = subscribed(client, service, **CIRCLE)
    gone.answers = [410]
    reported(client, COAST, "lampione spento", category="lamp-out")
    eventually(lambda: there.messages)
    wait_for_rest(database)
    assert counted(database, "subscriber") == 1
    assert counted(database, "subscription") == 1
    assert not gone.messages


def test_a_push_service_in_trouble_is_asked_again_and_holds_up_no_other_browser(
    client: TestClient, service: PushService, database: str
) -> None:
    first, _ = subscribed(client, service, **CIRCLE)
    other, _ = subscribed(client, service, **CIRCLE)
    first.answers = [503, 429]
    reported(client, COAST, "lampione spento", category="lamp-out")
    eventually(lambda: other.messages)
    for _ in range(2):
        eventually(lambda: [one for one in deliveries(database) if one[1]])
        with psycopg.connect(database) as admin:
            admin.execute("UPDATE job SET visible_at = now()")
    eventually(lambda: first.messages)
    assert len(other.messages) == 1


def test_what_could_not_be_brought_in_a_day_is_not_news_any_more(
    client: TestClient, service: PushService, database: str
) -> None:
    browser, _ = subscribed(client, service, **CIRCLE)
    browser.answers = [503] * 9
    reported(client, COAST, "lampione spento", category="lamp-out")
    eventually(lambda: [one for one in deliveries(database) if one[0] == "queued" and one[1]])
    aged(database)
    eventually(lambda: [one for one in deliveries(database) if one[0] == "refused"])
    assert counted(database, "subscriber") == 1


def test_what_is_too_much_for_a_push_service_is_said_in_fewer_words(
    client: TestClient, service: PushService, database: str
) -> None:
    browser, key = subscribed(client, service, **CIRCLE)
    client.put(f"{SUBSCRIPTIONS}/{key}", json={"language": "it", "rhythm": "daily"})
    browser.answers = [413]
    for category in ("lamp-out", "pothole"):
        reported(client, COAST, "guasto", category=category)
    wait_for_rest(database)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE tiding SET due_at = now()")
    told = eventually(lambda: browser.messages)[0]
    assert len(told["body"]) == 120
    assert told["body"].endswith("…")


def test_nobody_makes_us_knock_at_a_door_in_our_own_network(client: TestClient, database: str) -> None:
    with pushing() as service, allowed(database, service.host):
        browser = service.browser(client.get(f"{SUBSCRIPTIONS}/push").json()["key"])
        answer = asked(client, browser, **CIRCLE)
    assert (answer.status_code, answer.json()["field"]) == (422, "push.endpoint"), "allowed to ours, not to strangers"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"keys": {"p256dh": "BAAA", "auth": browser.subscription["keys"]["auth"]}}, "push.keys.p256dh"),
        ({"keys": {"p256dh": browser.subscription["keys"]["p256dh"], "auth": "c2hvcnQ"}}, "push.keys.auth"),
        ({"endpoint": "https://169.254.169.254/latest"}, "push.endpoint"),
    ]
    for change, field in wrong:
        body = {"municipality": "pesaro", "push": browser.subscription | change}
        answer = client.post(SUBSCRIPTIONS, json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    both = {"municipality": "pesaro", "push": browser.subscription, "email": "anna@example.org"}
    assert "one thing only" in client.post(SUBSCRIPTIONS, json=both).json()["detail"]
    assert client.post(SUBSCRIPTIONS, json={"municipality": "pesaro"}).status_code == 422
    assert counted(database, "subscriber") == 0
