"""A link leads past us only where it leads to us; what stands behind the # is not ours to know."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from city.messages.fates import opening
from city.messages.tables import Delivery
from city.settings import settings

BASE = "https://lampione.example.org"


@pytest.fixture
def delivery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivery]:
    monkeypatch.setenv("LAMPIONE_SECRET", "0" * 32)
    monkeypatch.setenv("LAMPIONE_PUBLIC_URL", BASE + "/")
    monkeypatch.setenv("LAMPIONE_NOTE_OPENED_LINKS", "1")
    settings.cache_clear()
    yield Delivery(id=uuid4(), municipality_id=7, kind="report")
    settings.cache_clear()


@pytest.mark.parametrize("fragment", ["", "#question", "#17/43.9/12.9", "#secret=abc"])
def test_the_fragment_stays_with_the_browser(delivery: Delivery, fragment: str) -> None:
    link = opening.through(delivery, f"{BASE}/r/PS-2026-000001?token=x{fragment}")
    address, mark, kept = link.partition("#")
    assert mark + kept == fragment
    way = opening.way_of(address.removeprefix(f"{BASE}/l/"))
    assert way == (7, delivery.id, "/r/PS-2026-000001?token=x")


@pytest.mark.parametrize("link", ["", "https://elsewhere.example.org/", BASE + ".evil.example/", BASE])
def test_what_leads_elsewhere_is_left_alone(delivery: Delivery, link: str) -> None:
    assert opening.through(delivery, link) == link


def test_letters_to_staff_and_those_that_ask_for_a_yes_are_left_alone(delivery: Delivery) -> None:
    for kind in ("assigned", "subscription", "handover"):
        delivery.kind = kind
        assert opening.through(delivery, f"{BASE}/h/x") == f"{BASE}/h/x"


def test_links_are_as_they_are_where_nobody_wants_to_know(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAMPIONE_NOTE_OPENED_LINKS")
    settings.cache_clear()
    assert opening.through(delivery, f"{BASE}/r/x") == f"{BASE}/r/x"
