"""The plain pages that letters lead to, in a real browser: what a reporter and a subscriber do there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page

from tests.stories.telling import COAST, URP, SignIn, as_holder, plain, reported, wait_for_receipt, wait_for_rest
from tests.trials import Postbox, eventually
from tests.web.browsing import DESKTOP, PHONE, Watched, faults

ANNA: Final = "anna@example.org"
BRUNO: Final = "bruno@example.org"
COLOURS: Final = (
    "button => { const {color, backgroundColor} = getComputedStyle(button); return color + backgroundColor }"
)
"""What a button looks like."""

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def visited(browser: Browser, live: str, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A browser before the server of the stories, in which the links of its letters are opened."""
    context = browser.new_context(viewport=request.param, locale="it-IT")
    context.set_default_timeout(30_000)
    made = Watched(context, live)
    yield made
    context.close()
    assert made.foreign == []
    assert made.complaints == []


def opened(visited: Watched, words: str, start: str) -> Page:
    """The page that a letter's link leads to."""
    found = re.search(rf"http://lampione\.test({start}\S+)", words)
    assert found is not None, words
    visited.page.goto(visited.served + found[1])
    return visited.page


def sound(page: Page) -> None:
    """It fits the screen and everybody can use it."""
    assert faults(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_reporter_ends_the_letters_and_wants_them_again(
    client: TestClient, visited: Watched, postbox: Postbox, signed_in: SignIn, database: str
) -> None:
    report = reported(client, COAST, "lampione spento davanti al civico 12", category="lamp-out", email=ANNA)
    wait_for_receipt(postbox, report, ANNA)
    clerk = signed_in(URP)
    words = {"text": "Arriviamo domani.", "is_public": True}
    clerk.change("POST", report["id"], "updates", words)
    mail = eventually(lambda: postbox.to(ANNA)[1:])[0]

    page = opened(visited, plain(mail), "/r/[^/]+/mute/")
    sound(page)
    page.get_by_role("button", name="Basta messaggi").click()
    assert "non Le scriviamo più" in page.inner_text("[role=status]")
    assert as_holder(client, report)["messages"]["is_muted"] is True
    page.get_by_role("button", name="Voglio di nuovo i messaggi").click()
    assert "Le scriviamo di nuovo" in page.inner_text("[role=status]")
    assert as_holder(client, report)["messages"]["is_muted"] is False

    page = opened(visited, plain(mail), r"/r/[^/\s]+\?token=")
    sound(page)
    page.get_by_role("button", name="Non voglio più messaggi su questa segnalazione").click()
    assert "Non Le scriviamo più." in page.inner_text("#messages")
    clerk.change("POST", report["id"], "updates", words)
    wait_for_rest(database)
    assert len(postbox.to(ANNA)) == 2
    page.get_by_role("button", name="Voglio di nuovo i messaggi").click()
    page.get_by_text("Cambia quando e come Le scriviamo").click()
    page.get_by_label("Quando scrivere").select_option("daily")
    page.get_by_label("Non scrivere dalle").fill("21:00")
    page.get_by_label("alle", exact=True).fill("07:30")
    sound(page)
    page.get_by_role("button", name="Salva").click()
    assert "una volta al giorno" in page.inner_text("#messages")
    kept = as_holder(client, report)["messages"]
    assert (kept["rhythm"], kept["quiet_from"], kept["quiet_until"]) == ("daily", "21:00", "07:30")
    page.get_by_role("link", name="English").click()
    assert "once a day at most" in page.inner_text("#messages")
    page.get_by_role("button", name="I want no more messages about this report").click()
    assert "We write no more." in page.inner_text("#messages"), "the page stays English"


def test_a_subscriber_tells_the_buttons_apart(client: TestClient, visited: Watched, postbox: Postbox) -> None:
    for wish in ({"lon": COAST.lon, "lat": COAST.lat, "metres": 300}, {}):
        body: dict[str, Any] = {"municipality": "pesaro", "email": BRUNO, **wish}
        assert client.post("/api/v1/subscriptions", json=body).status_code == 202
        page = opened(visited, plain(eventually(lambda: postbox.to(BRUNO))[0]), "/subscriptions/confirm/")
        sound(page)
        page.get_by_role("button", name="Confermo").click()
        postbox.messages.clear()
    reported(client, COAST, "buca", category="pothole")
    page = opened(visited, plain(eventually(lambda: postbox.to(BRUNO))[0]), "/subscriptions/")
    sound(page)
    names = ("Salva", "Non mi interessa più", "Cancella tutto e dimentica il mio indirizzo")
    looks = [page.get_by_role("button", name=name).first.evaluate(COLOURS) for name in names]
    assert len(set(looks)) == len(names)
    page.get_by_role("button", name="Salva").click()
    assert page.inner_text("[role=status]") == "Salvato."
    page.get_by_role("link", name="English").click()
    assert page.get_by_role("button", name="I want no more of it").count() == 2
    page.get_by_role("button", name="Save").click()
    assert page.inner_text("[role=status]") == "Saved."
    page.get_by_role("button", name="End all").click()
    sound(page)
    assert "we write no more" in page.inner_text("main")


def test_what_went_wrong_is_said_in_words_apart(client: TestClient, visited: Watched) -> None:
    report = reported(client, COAST, "buca", category="pothole", email=ANNA)
    for path in (f"/r/{report['number']}?token=wrong", "/subscriptions/wrong", "/unsubscribe/wrong", "/notices/none"):
        visited.page.goto(visited.served + path)
        sound(visited.page)
        assert visited.page.get_by_role("heading").inner_text() == "Non trovato"
        assert "Mappa delle segnalazioni · English" in visited.page.inner_text("main")
        visited.page.get_by_role("link", name="English").click()
        assert visited.page.get_by_role("heading").inner_text() == "Not found"
        visited.complaints.clear()
