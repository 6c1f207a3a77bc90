"""The browser of the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tests.web.browsing import DESKTOP, FLAGS, Watched


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as player:
        opened = player.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def watched(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Watched]:
    screen: ViewportSize = getattr(request, "param", DESKTOP)
    context = browser.new_context(viewport=screen, locale="it-IT")
    context.set_default_timeout(30_000)
    made = Watched(context, served)
    yield made
    context.close()
    assert made.foreign == []
    assert made.complaints == []
