"""The map page and the plain pages in a real browser, which reaches no other machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from city.settings import PROJECT
from tests.web.browsing import Watched, faults, on_both_screens

PESARO: Final = (12.9132, 43.9101)
DRAWN: Final = "layer => lampione.map.queryRenderedFeatures({layers: [layer]}).map(feature => feature.properties)"
SPOTS: Final = """
() => {
  const map = lampione.map
  const frame = map.getCanvas().getBoundingClientRect()
  return map.queryRenderedFeatures({layers: ["singles"]}).map(({geometry, properties}) => {
    const spot = map.project(geometry.coordinates)
    return [properties.number, spot.x + frame.x, spot.y + frame.y]
  })
}
"""

HOT: Final = """
() => lampione.map.querySourceFeatures("heat", {sourceLayer: "heat"})
  .reduce((sum, {properties}) => sum + properties.count, 0)
"""


@on_both_screens
def test_from_afar_reports_are_clusters_with_their_counts(watched: Watched) -> None:
    page = watched.open("/#9/43.8/12.9")
    clusters = page.evaluate(DRAWN, "clusters")
    assert sum(cluster["count"] for cluster in clusters) > 20
    assert any(cluster["count"] > 1 for cluster in clusters)
    assert page.evaluate(DRAWN, "singles") == []
    assert {"Pesaro", "Urbino"} <= {place["name"] for place in page.evaluate(DRAWN, "municipalities")}


@on_both_screens
def test_the_first_view_holds_all_municipalities(watched: Watched) -> None:
    page = watched.open("/")
    west, south, east, north = httpx.get(f"{watched.served}/tiles/reports.json").json()["bounds"]
    seen = page.evaluate("() => lampione.map.getBounds().toArray().flat()")
    assert seen[0] <= west
    assert seen[1] <= south
    assert east <= seen[2]
    assert north <= seen[3]


@on_both_screens
def test_close_up_a_report_opens_with_a_click_and_closes_with_escape(watched: Watched) -> None:
    page = watched.open("/#14.2/43.912/12.913")
    number, x, y = max(page.evaluate(SPOTS), key=lambda spot: spot[2])
    page.mouse.click(x, y)
    page.wait_for_selector("#report:not([hidden])")
    assert number in page.inner_text("#report-title")
    assert "Ricevuta" in page.inner_text("#report-body")
    assert page.evaluate("() => document.activeElement.id") == "report-title"
    assert page.get_by_role("link", name="Dati aperti di questa segnalazione").get_attribute("href") == (
        f"/api/v1/reports/{number}"
    )
    page.keyboard.press("Escape")
    assert page.is_hidden("#report")


def test_a_cluster_opens_up_with_a_click(watched: Watched) -> None:
    page = watched.open("/#9/43.8/12.9")
    spot = page.evaluate(
        """() => {
          const map = lampione.map
          const frame = map.getCanvas().getBoundingClientRect()
          const all = map.queryRenderedFeatures({layers: ["clusters"]})
          const most = all.reduce((one, other) => (one.properties.count > other.properties.count ? one : other))
          const {x, y} = map.project(most.geometry.coordinates)
          return [x + frame.x, y + frame.y]
        }"""
    )
    page.mouse.click(*spot)
    page.wait_for_function("() => !lampione.map.isMoving() && lampione.map.getZoom() > 10.9")


def test_a_new_report_appears_by_itself(watched: Watched) -> None:
    page = watched.open(f"/#17/{PESARO[1]}/{PESARO[0]}")
    answer = httpx.post(
        f"{watched.served}/api/v1/reports",
        json={
            "lon": PESARO[0],
            "lat": PESARO[1],
            "description": "Lampione spento da ieri sera",
            "category": "lamp-out",
        },
    )
    assert answer.status_code == 201, answer.text
    number = answer.json()["number"]
    page.wait_for_selector(f"#list-reports [data-number='{number}']", timeout=25_000)
    deadline = time.monotonic() + 20
    while number not in {single["number"] for single in page.evaluate(DRAWN, "singles")}:
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)


@on_both_screens
def test_the_list_says_what_the_map_shows_and_opens_it(watched: Watched) -> None:
    page = watched.open("/#14/43.91/12.91")
    first = page.locator("#list-reports button").first
    number = first.get_attribute("data-number")
    first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#report:not([hidden])")
    assert str(number) in page.inner_text("#report-title")
    page.get_by_role("button", name="Chiudi").click()
    assert page.evaluate("() => document.activeElement.dataset.number") == number


def test_a_municipality_is_chosen_and_only_its_reports_are_listed(watched: Watched) -> None:
    page = watched.open("/")
    page.select_option("#municipality", "fano")
    page.wait_for_function("() => !lampione.map.isMoving() && lampione.map.getZoom() > 9")
    page.wait_for_function(
        """() => {
          const places = [...document.querySelectorAll("#list-reports .where")].map(where => where.textContent)
          return places.length > 0 && places.every(place => place.startsWith("Fano"))
        }"""
    )


def test_layers_are_switched_off_and_on(watched: Watched) -> None:
    page = watched.open("/#9/43.8/12.9")
    page.uncheck("#show-reports")
    page.uncheck("#show-zones")
    page.wait_for_function("() => lampione.map.queryRenderedFeatures({layers: ['clusters', 'areas']}).length === 0")
    page.check("#show-reports")
    page.wait_for_function("() => lampione.map.queryRenderedFeatures({layers: ['clusters']}).length > 0")


def test_the_heat_is_shown_month_by_month_and_by_kind(watched: Watched) -> None:
    page = watched.open("/#10/43.85/12.9")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/tiles/heat/" in request.url else None)
    assert page.is_hidden("#heat-month")
    page.check("#show-heat")
    page.wait_for_function("() => lampione.map.queryRenderedFeatures({layers: ['heat']}).length")
    assert asked
    assert not any("from=" in url for url in asked)
    everything = page.evaluate(HOT)
    assert page.inner_text("#heat-said") == "tutti"
    page.select_option("#heat-group", "lighting")
    page.wait_for_function(f"() => ({HOT})() < {everything}")
    page.fill("#heat-month", "0")
    page.wait_for_function(f"() => ({HOT})() === 0")
    assert any("group=lighting&from=" in url for url in asked)
    assert page.inner_text("#heat-said").split()[-1].isdigit()
    page.uncheck("#show-heat")
    page.wait_for_function("() => !lampione.map.queryRenderedFeatures({layers: ['heat']}).length")


def test_the_page_speaks_the_browsers_language_and_switches_in_place(watched: Watched) -> None:
    page = watched.open("/#12/43.91/12.91")
    assert page.get_attribute("html", "lang") == "it"
    assert page.is_visible("text=Ultime segnalazioni")
    page.get_by_role("link", name="English").click()
    page.wait_for_selector("html[lang=en] #map[data-state=idle]")
    assert page.is_visible("text=Latest reports")
    assert urlsplit(page.url).fragment.startswith("12/")


def test_a_machine_without_internet_shows_everything(watched: Watched) -> None:
    watched.page.add_init_script("Object.defineProperty(Navigator.prototype, 'onLine', {get: () => false})")
    page = watched.open("/#9/43.8/12.9")
    assert page.evaluate("() => navigator.onLine") is False
    assert page.evaluate(DRAWN, "clusters")


def test_without_webgl_the_list_still_works(watched: Watched) -> None:
    watched.page.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        "  return kind.startsWith('webgl') ? null : real.call(this, kind, ...more) }"
    )
    watched.page.goto(watched.served)
    watched.page.wait_for_selector("#list-reports button")
    assert "non può disegnare la mappa" in watched.page.inner_text("#trouble")
    watched.complaints.clear()


@on_both_screens
def test_it_fits_the_screen_and_has_no_accessibility_fault(watched: Watched) -> None:
    page = watched.open("/#14.2/43.912/12.913")
    assert faults(page) == []
    page.locator("#list-reports button").first.click()
    page.wait_for_selector("#report:not([hidden])")
    assert faults(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0


@on_both_screens
def test_the_status_page_and_the_error_page_have_no_accessibility_fault(watched: Watched) -> None:
    answer = httpx.post(
        f"{watched.served}/api/v1/reports",
        json={"lon": PESARO[0], "lat": PESARO[1], "description": "Buca profonda davanti alla scuola"},
    )
    status = urlsplit(answer.json()["links"]["status"])
    page = watched.page
    page.goto(f"{watched.served}{status.path}?{status.query}")
    assert "Buca profonda davanti alla scuola" in page.inner_text("main")
    assert faults(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    refused = page.goto(f"{watched.served}{status.path}?token=wrong")
    assert refused is not None
    assert refused.status == 404
    assert faults(page) == []
    watched.complaints.clear()


def test_what_the_browser_loads_names_no_other_machine() -> None:
    for path in [*Path(PROJECT / "web" / "map").iterdir(), PROJECT / "web" / "package-lock.json"]:
        words = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in words, path
        assert "https://" not in words, path
