"""An outside geocoder is understood in both its dialects, and costs nothing when it is in trouble."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from city.errors import Unavailable
from city.outside.address_finder import HttpFinder, NoFinder
from geo.cells import Bounds
from geo.place import Place
from tests.geocoder import Geocoder, geocoding

BOUNDS = Bounds(12.8, 43.8, 13.1, 44.0)


@pytest.fixture
def server() -> Iterator[Geocoder]:
    with geocoding() as running:
        yield running


def ask(finder: HttpFinder | NoFinder, query: str = "via roma 1") -> list[str]:
    return [found.label for found in finder.find(query, BOUNDS, 5, "it")]


def test_nominatim_is_understood(server: Geocoder) -> None:
    server.answer = [
        {
            "display_name": "Via Roma 1,\nPesaro",
            "lon": "12.9",
            "lat": "43.9",
            "address": {"road": "Via Roma", "house_number": "1", "postcode": "61121"},
        }
    ]
    (found,) = HttpFinder(f"{server.address}/search", 2).find("via roma 1", BOUNDS, 5, "it")
    assert found == ("Via Roma 1,Pesaro", Place(12.9, 43.9), "Via Roma", "1", "61121")
    assert server.asked[0]["viewbox"] == "12.80000,43.80000,13.10000,44.00000"
    assert server.asked[0]["bounded"] == "1"


def test_photon_is_understood(server: Geocoder) -> None:
    server.answer = {
        "type": "FeatureCollection",
        "features": [
            {
                "geometry": {"type": "Point", "coordinates": [12.9, 43.9]},
                "properties": {"street": "Via Roma", "housenumber": "1", "city": "Pesaro", "postcode": "61121"},
            }
        ],
    }
    (found,) = HttpFinder(f"{server.address}/api", 2).find("via roma 1", BOUNDS, 5, "it")
    assert (found.label, found.street, found.number) == ("Via Roma 1, Pesaro", "Via Roma", "1")
    assert server.asked[0]["bbox"] == "12.80000,43.80000,13.10000,44.00000"


def test_what_is_not_understood_is_left_out(server: Geocoder) -> None:
    server.trouble = "odd"
    assert ask(HttpFinder(f"{server.address}/search", 2)) == []


@pytest.mark.parametrize("trouble", ["error", "rubbish", "html", "redirect", "huge", "null"])
def test_trouble_is_told_and_it_rests(server: Geocoder, trouble: str) -> None:
    finder = HttpFinder(f"{server.address}/search", 2)
    server.trouble = trouble
    with pytest.raises(Unavailable) as told:
        ask(finder, "via segreta 7")
    assert "segreta" not in str(told.value)
    server.trouble = None
    with pytest.raises(Unavailable):
        ask(finder)
    assert len(server.asked) == 1


def test_nobody_there_is_told(server: Geocoder) -> None:
    with pytest.raises(Unavailable):
        ask(HttpFinder("http://127.0.0.1:1/search", 2))
    assert server.asked == []


@pytest.mark.parametrize("trouble", ["hang", "drip"])
def test_it_is_not_waited_for_longer_than_allowed(server: Geocoder, trouble: str) -> None:
    server.trouble = trouble
    server.answer = ["x" * 400]
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        ask(HttpFinder(f"{server.address}/search", 0.5))
    assert time.monotonic() - begun < 10, "a drip of 40 s and a wait of 20 s are not sat out"


def test_only_few_wait_for_it_at_once(server: Geocoder) -> None:
    server.trouble = "hang"
    finder = HttpFinder(f"{server.address}/search", 3)
    waiting = [threading.Thread(target=_ignoring, args=(finder,)) for _ in range(2)]
    for thread in waiting:
        thread.start()
    while len(server.asked) < 2:
        time.sleep(0.01)
    with pytest.raises(Unavailable):
        ask(finder)
    assert len(server.asked) == 2
    server.freed.set()
    for thread in waiting:
        thread.join(10)


def _ignoring(finder: HttpFinder) -> None:
    with pytest.raises(Unavailable):
        ask(finder)


def test_the_local_twin_finds_nothing() -> None:
    assert ask(NoFinder()) == []
