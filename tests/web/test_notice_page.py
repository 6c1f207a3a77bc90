"""The page of a notice in a real browser, from the letter that leads there, in both languages."""

from __future__ import annotations

from typing import Final

from fastapi.testclient import TestClient

from tests.stories.telling import URP, SignIn, html, plain
from tests.stories.test_notices import AROUND, Desk
from tests.stories.test_subscriptions import CIRCLE, subscribed
from tests.trials import Postbox, eventually
from tests.web.browsing import Watched
from tests.web.test_pages import BRUNO, opened, pytestmark, sound, visited

TOO_WIDE: Final = "() => document.documentElement.scrollWidth - innerWidth"

__all__ = ["pytestmark", "visited"]


def test_a_reader_learns_what_where_and_until_when_and_that_it_no_longer_holds(
    client: TestClient, visited: Watched, postbox: Postbox, signed_in: SignIn
) -> None:
    subscribed(client, postbox, BRUNO, **CIRCLE)
    desk = Desk(signed_in(URP))
    zone = {"layer": "pesaro-districts", "code": "centro-mare"}
    public = desk.published(
        title={"it": "Lavori in viale Trieste", "en": "Works in viale Trieste"},
        text={"it": "Si rifanno i lampioni.\nLa strada resta aperta.", "en": "New lamps.\nThe road stays open."},
        area={"zones": [zone], "drawn": [{"geometry": AROUND}]},
        link="https://example.org/lavori-in-viale-trieste/un-indirizzo-molto-lungo-che-non-ci-sta-su-un-telefono",
    )
    mail = eventually(lambda: postbox.to(BRUNO))[0]
    visited.page.set_content(html(mail))
    assert visited.page.evaluate(TOO_WIDE) <= 0, "the letter, too, fits the screen"
    page = opened(visited, plain(mail), "/notices/")
    sound(page)
    assert page.inner_text("h1") == "Works in viale Trieste", "in the language of the letter, not of the browser"
    page.get_by_role("link", name="Italiano").click()
    page.wait_for_url("**language=it")
    sound(page)
    assert page.inner_text("h1") == "Lavori in viale Trieste"
    assert "Centro e Mare; e l'area segnata sulla mappa" in page.inner_text("dt:has-text('Dove') + dd")
    place = page.get_by_role("link", name="Sulla mappa").get_attribute("href")
    assert place is not None
    assert "/?language=it#15/43." in place
    titles = "() => lampione.map.queryRenderedFeatures({layers: ['notices']}).map(one => one.properties.title_it)"
    shown = visited.open(place.removeprefix("http://lampione.test"))
    assert "Lavori in viale Trieste" in shown.evaluate(titles)
    shown.uncheck("#show-notices")
    shown.wait_for_function(f"() => !({titles})().length")
    shown.check("#show-notices")
    shown.wait_for_function(f"() => ({titles})().length")
    middle = "lampione.map.queryRenderedFeatures({layers: ['notice-titles']})[0]?.geometry.coordinates"
    at = shown.wait_for_function(f"() => {{ const at = {middle}; return at && lampione.map.project(at) }}").json_value()
    shown.locator("#map canvas").click(position={"x": at["x"], "y": at["y"]})
    shown.wait_for_url("**/notices/*language=it")
    assert page.inner_text("h1") == "Lavori in viale Trieste"

    desk.act(public, "withdrawal", reason="Il materiale non è arrivato.")
    page.reload()
    sound(page)
    first = page.locator("main p").first.inner_text()
    assert first == "Questo avviso non vale più. È stato ritirato per questo motivo: Il materiale non è arrivato."
