"""A real browser, which reaches no other machine, and what is asked of every page."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize

from city.settings import PROJECT

AXE: Final = PROJECT / "web" / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 360, "height": 740}
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]
on_both_screens = pytest.mark.parametrize("watched", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])


class Watched:
    """A page, with what it asked of other machines and what it complained of."""

    def __init__(self, context: BrowserContext, served: str) -> None:
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        self.served = served
        self.page = context.new_page()
        self.page.on("request", self._request)
        self.page.on("console", lambda said: self._console(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _request(self, request: Any) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.served).netloc and not request.url.startswith("data:"):
            self.foreign.append(request.url)

    def _console(self, kind: str, sentence: str) -> None:
        # The software renderer tells of its own slowness when a screenshot or the map reads pixels back.
        if kind in {"error", "warning"} and "GPU stall due to ReadPixels" not in sentence:
            self.complaints.append(sentence)

    def open(self, path: str) -> Page:
        """Load a map view and wait until it is drawn and the list is read."""
        self.page.goto(self.served + path)
        self.page.wait_for_selector("#map[data-state=idle]")
        self.page.wait_for_function("() => document.getElementById('list-count').textContent")
        return self.page


def faults(page: Page) -> list[str]:
    page.evaluate(AXE.read_text("utf-8"))
    # Preloading would fetch and inline style sheets, which the page's own policy forbids.
    found = page.evaluate("() => axe.run({preload: false, resultTypes: ['violations']})")
    return [f"{fault['id']}: {node['html'][:120]}" for fault in found["violations"] for node in fault["nodes"]]
