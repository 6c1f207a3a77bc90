"""The worker that shows messages while no page is open, in a real browser: it is given what our server has sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Worker

from city.messages import push
from tests.push_service import PushService, door_of, pushing
from tests.stories.telling import COAST, reported, wait_for_rest
from tests.trials import eventually
from tests.web.browsing import DESKTOP

SUBSCRIPTIONS: Final = "/api/v1/subscriptions"
REGISTER: Final = """
async () => {
  await navigator.serviceWorker.register("/static/push.js")
  const active = async () => (await navigator.serviceWorker.getRegistration("/static/"))?.active
  while (!(await active())) await new Promise(go => setTimeout(go, 20))
}
"""
SHOWN: Final = """
async () => {
  const registration = await navigator.serviceWorker.getRegistration("/static/")
  const shown = await registration.getNotifications()
  return shown.map(({title, body, tag, lang, icon, data}) => ({title, body, tag, lang, icon, link: data.link}))
}
"""
CLICK: Final = """
async tag => {
  const led = []
  clients.openWindow = link => { led.push(link); return Promise.resolve(null) }
  const [notification] = await self.registration.getNotifications({tag})
  self.dispatchEvent(new NotificationEvent("notificationclick", {notification}))
  return led
}
"""
"""Only a person's own click may open a window: whether one is asked for is what can be seen without."""

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker_program() -> str:
    return "tests.push_worker"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[PushService]:
    monkeypatch.setattr(push, "door_of", door_of)
    with pushing() as found:
        yield found


@pytest.fixture
def context(browser: Browser, live: str) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport=DESKTOP, locale="it-IT")
    opened.set_default_timeout(30_000)
    opened.grant_permissions(["notifications"], origin=live)
    yield opened
    opened.close()


class Phone:
    """A page that has registered the worker, and a push service that brings it messages."""

    def __init__(self, context: BrowserContext, live: str) -> None:
        self.live = live
        self.page: Page = context.new_page()
        self.page.goto(live + "/subscriptions/none")
        self.registrations: list[str] = []
        self.session: CDPSession = context.new_cdp_session(self.page)
        self.session.on("ServiceWorker.workerRegistrationUpdated", self._registered)
        self.session.send("ServiceWorker.enable")
        self.page.evaluate(REGISTER)
        self.worker: Worker = context.service_workers[0]

    def _registered(self, said: dict[str, Any]) -> None:
        self.registrations += [one["registrationId"] for one in said["registrations"] if not one["isDeleted"]]

    def gets(self, message: dict[str, Any]) -> None:
        to = {"origin": self.live, "registrationId": eventually(lambda: self.registrations)[-1]}
        self.session.send("ServiceWorker.deliverPushMessage", to | {"data": orjson.dumps(message).decode()})

    def shown(self) -> list[dict[str, Any]]:
        return list(self.page.evaluate(SHOWN))


def test_the_worker_says_yes_by_itself_shows_the_news_and_leads_there(
    client: TestClient, service: PushService, database: str, context: BrowserContext, live: str
) -> None:
    browser = service.browser(client.get(f"{SUBSCRIPTIONS}/push").json()["key"])
    circle = {"lon": COAST.lon, "lat": COAST.lat, "metres": 300}
    body = {"municipality": "pesaro", "push": browser.subscription, "language": "it", **circle}
    answer = client.post(SUBSCRIPTIONS, json=body)
    assert answer.status_code == 202, answer.text
    question = eventually(lambda: browser.messages)[0]
    reported(client, COAST, "lampione spento", category="lamp-out")
    wait_for_rest(database)
    assert len(browser.messages) == 1

    phone = Phone(context, live)
    phone.gets(question)
    [yes] = eventually(phone.shown)
    assert yes["title"] == "✓"
    assert yes["body"].startswith("Le segnalazioni e gli avvisi entro 300 m"), "what it has said yes to"

    report = reported(client, COAST, "lampione spento", category="lamp-out")
    told = eventually(lambda: browser.messages[1:])[0]
    phone.gets(told)
    news = eventually(lambda: [one for one in phone.shown() if one["tag"] == told["tag"]])[0]
    assert report["number"] in news["title"]
    assert (news["title"], news["body"], news["lang"]) == (told["title"], told["body"], "it")
    assert news["icon"].endswith("/static/lampione.svg")
    assert phone.worker.evaluate(CLICK, told["tag"]) == [told["link"]]
    eventually(lambda: [one["title"] for one in phone.shown()] == ["✓"])


def test_a_worker_whose_yes_is_not_taken_asks_its_person(context: BrowserContext, live: str) -> None:
    phone = Phone(context, live)
    asked = {"title": "Manca solo una conferma", "body": "Vuole?", "language": "it", "confirm": "wrong"}
    phone.gets(asked | {"link": f"{live}/subscriptions/confirm/wrong"})
    [question] = eventually(phone.shown)
    assert (question["title"], question["body"]) == ("Manca solo una conferma", "Vuole?")
    assert phone.worker.evaluate(CLICK, "") == [f"{live}/subscriptions/confirm/wrong"]
