"""Tiles kept ready: answered without a query where nothing has changed, and never behind where something has."""

from __future__ import annotations

import asyncio
import gzip
import math
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mapbox_vector_tile
import psycopg
import pytest
from fastapi.testclient import TestClient

from api.routes import tiles
from api.tile_keeping import Order, TileKeeper
from city.database import provincial, watching
from city.records.insight import hotspots
from city.registry import view
from geo import map_changes, pyramid
from geo.place import Place
from geo.tile_shelf import OVERHEAD, Kept, TileShelf, packed, square_of
from geo.tiles import Tile
from tests.trials import visiting

HERE = Place(12.9135, 43.9098)
ELSEWHERE = Place(11.8768, 45.4064)


def path(zoom: int, place: Place = HERE, layer: str = "reports") -> str:
    tile = Tile.at(place, zoom)
    return f"/tiles/{layer}/{tile.zoom}/{tile.x}/{tile.y}.mvt"


def send(client: TestClient, place: Place = HERE, **more: Any) -> dict[str, Any]:
    body = {"lon": place.lon, "lat": place.lat, "description": "Lampione spento", "category": "lamp-out"} | more
    answer = client.post("/api/v1/reports", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def count(answer: Any, layer: str = "reports") -> int:
    if not answer.content:
        return 0
    found = mapbox_vector_tile.decode(answer.content)[layer]["features"]
    return sum(feature["properties"]["count"] for feature in found)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a tile of each layer was really made."""
    counted: Counter[str] = Counter()

    def counting(layer: str, make: Callable[..., bytes]) -> Callable[..., bytes]:
        def call(*given: Any) -> bytes:
            counted[layer] += 1
            return make(*given)

        return call

    for layer, make in list(tiles._MAKERS.items()):
        monkeypatch.setitem(tiles._MAKERS, layer, counting(layer, make))
    return counted


def test_a_tile_on_which_nothing_changed_costs_no_query(client: TestClient, made: Counter[str]) -> None:
    send(client)
    first = client.get(path(12))
    again = client.get(path(12))
    known = client.get(path(12), headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, known.status_code) == (200, 200, 304)
    assert first.content == again.content
    assert made == {"reports": 1}


def test_only_tiles_on_the_ground_that_changed_are_made_anew(client: TestClient, made: Counter[str]) -> None:
    send(client)
    send(client, ELSEWHERE)
    asked = [path(3), path(12), path(12, ELSEWHERE), path(12, layer="heat")]
    before = [client.get(one) for one in asked]
    made.clear()
    send(client)
    after = [client.get(one) for one in asked]
    assert made == {"reports": 2, "heat": 1}
    assert [count(one, layer) for one, layer in zip(after, ("reports",) * 3 + ("heat",), strict=True)] == [3, 2, 1, 2]
    assert after[2].headers["etag"] == before[2].headers["etag"]


def test_folding_spoils_no_tile(client: TestClient, made: Counter[str], database: str) -> None:
    send(client)
    client.get(path(9))
    with psycopg.connect(database) as admin:
        while pyramid.fold(admin):
            pass
    assert count(client.get(path(9))) == 1
    assert made == {"reports": 1}


def test_what_another_process_did_is_on_the_next_tile(client: TestClient, database: str) -> None:
    number = send(client)["number"]
    assert count(client.get(path(15))) == 1
    with psycopg.connect(database) as other:
        other.execute("UPDATE report SET state = 'resolved', is_open = false WHERE number = %s", (number,))
        other.commit()
        pyramid.fold(other)
    assert count(client.get(path(15))) == 0
    assert count(client.get(path(15, layer="heat")), "heat") == 1


def test_a_transaction_that_took_long_is_seen_when_it_is_kept(client: TestClient, database: str) -> None:
    """Its changes are older than others that were seen and folded already."""
    first, second = send(client)["number"], send(client)["number"]
    close = "UPDATE report SET state = 'closed', is_open = false WHERE number = %s"
    with psycopg.connect(database) as slow, psycopg.connect(database) as quick:
        slow.execute(close, (first,))
        quick.execute(close, (second,))
        quick.commit()
        assert count(client.get(path(8))) == 1
        pyramid.fold(quick)
        quick.commit()
        assert count(client.get(path(8))) == 1
        slow.commit()
        assert count(client.get(path(8))) == 0


def test_a_rebuild_makes_everything_anew(client: TestClient, made: Counter[str], database: str) -> None:
    send(client)
    client.get(path(9))
    with psycopg.connect(database) as admin:
        pyramid.rebuild(admin)
    assert count(client.get(path(9))) == 1
    assert made == {"reports": 2}


def test_more_changes_than_are_worth_telling_apart(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_changes, "MOST_CELLS", 2)
    client.get(path(9))
    for expected in (1, 2, 3, 4):
        send(client)
        assert count(client.get(path(9))) == expected


def test_no_reader_is_ever_behind(client: TestClient) -> None:
    """Many readers and writers at once: whoever has the answer to a report finds it on the next tile."""
    lock = threading.Lock()
    answered: list[str] = []

    def write() -> None:
        for _ in range(8):
            number = send(client)["number"]
            with lock:
                answered.append(number)

    def read() -> None:
        for zoom in (14, 15, 16) * 6:
            with lock:
                known = list(answered)
            found = client.get(path(zoom))
            features = mapbox_vector_tile.decode(found.content)["reports"]["features"] if found.content else []
            assert {feature["properties"]["number"] for feature in features}.issuperset(known)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work) for work in (write, read, read, write, read, read)]:
            done.result()


def test_filters_of_the_map(client: TestClient) -> None:
    send(client)
    send(client, category="pothole", description="Buca")
    for query, wanted in (
        ({}, 2),
        ({"group": "lighting"}, 1),
        ({"group": ["lighting", "roads"]}, 2),
        ({"group": "green"}, 0),
        ({"state": "todo"}, 2),
        ({"state": ["doing", "done"]}, 0),
        ({"from": "2020-01"}, 2),
        ({"to": "2020-01"}, 0),
        ({"municipality": "pesaro", "from": "2020-01", "to": "2099-12"}, 2),
        ({"municipality": "padova"}, 0),
    ):
        for zoom in (4, 9, 13, 14, 16):
            for layer in ("reports", "heat"):
                answer = client.get(path(zoom, layer=layer), params=query)
                assert count(answer, layer) == wanted, (query, zoom, layer)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"group": "nothing"}, "group"),
        ({"department": "illuminazione"}, "municipality"),
        ({"municipality": "pesaro", "department": "nobody"}, "department"),
        ({"from": "2026-13"}, "from"),
        ({"from": "2026-05", "to": "2026-04"}, "to"),
        ({"state": "finished"}, "state"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_its_name(client: TestClient, query: dict[str, str], field: str) -> None:
    answer = client.get(path(9), params=query)
    assert answer.status_code == 422, answer.text
    said = answer.json()
    named = [said["field"]] if "field" in said else [error["field"] for error in said["errors"]]
    assert any(one.startswith(field) for one in named), answer.text


def test_a_category_that_is_coarse_is_shown_by_cells_only(
    client: TestClient, signed_in: Callable[[str], Any], own_registry: str
) -> None:
    with psycopg.connect(own_registry) as admin:
        admin.execute("UPDATE category SET privacy = 'coarse' WHERE slug = 'lamp-out'")
    with visiting() as visitor:
        sent = send(visitor)
        assert sent["is_public"] is False
        assert visitor.get(f"/api/v1/reports/{sent['number']}").status_code == 404
        for zoom in (5, 13, 14, 15):
            # The middle of the cell may lie on the next tile, as it is some hundred metres away.
            middle = middle_of_cell(HERE)
            found = mapbox_vector_tile.decode(visitor.get(path(zoom, middle)).content)["reports"]["features"]
            ((properties),) = [feature["properties"] for feature in found]
            assert properties["count"] == 1
            assert "number" not in properties
        with psycopg.connect(own_registry) as admin:
            exact = admin.execute("SELECT cell FROM report").fetchone()
            assert exact not in admin.execute("SELECT cell FROM tile_delta").fetchall()


def middle_of_cell(place: Place) -> Place:
    x, y = (((part >> 9) + 0.5) / (1 << 15) for part in place.cell())
    return Place(x * 360 - 180, math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y)))))


def test_the_descriptions_name_the_filter(client: TestClient) -> None:
    described = client.get(
        "/tiles/heat.json", params={"municipality": "pesaro", "group": "roads", "from": "2026-01"}
    ).json()
    assert described["tiles"] == [
        "http://lampione.test/tiles/heat/{z}/{x}/{y}.mvt?municipality=pesaro&from=2026-01&group=roads"
    ]
    assert described["vector_layers"] == [{"id": "heat", "fields": {"count": "Number", "open": "Number"}}]


def test_tiles_say_how_long_they_may_be_kept(client: TestClient) -> None:
    for layer, kept in (
        ("reports", "public, max-age=0, must-revalidate"),
        ("heat", "public, max-age=60, stale-while-revalidate=3600"),
        ("zones", "public, max-age=300, stale-while-revalidate=3600"),
    ):
        headers = client.get(path(9, layer=layer)).headers
        assert headers["cache-control"] == kept
        assert headers["cdn-cache-control"] == "public, max-age=1, stale-while-revalidate=60"


def test_who_cannot_unzip_gets_it_plain(client: TestClient) -> None:
    plain = client.get(path(8, layer="zones"), headers={"Accept-Encoding": "identity"})
    zipped = client.get(path(8, layer="zones"), headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert plain.content == zipped.content


# --- the keeper by itself


@pytest.fixture
def running(database: str) -> Callable[..., Any]:
    return asyncio.run


def order(make: Callable[[], bytes], key: str = "one") -> Order:
    return Order(key, square_of(Tile.at(HERE, 12)), make)


def test_who_asks_for_the_same_tile_at_once_waits_for_one_making(running: Callable[..., Any]) -> None:
    calls: Counter[str] = Counter()

    def make() -> bytes:
        calls["made"] += 1
        threading.Event().wait(0.1)
        return b"tile"

    async def story() -> None:
        keeper = TileKeeper(watching, 1)
        await keeper.catch_up()
        found = await asyncio.gather(*(keeper.tile(order(make)) for _ in range(5)))
        assert {kept.body for kept in found} == {b"tile"}
        await keeper.close()

    running(story())
    assert calls == {"made": 1}


def test_a_tile_spoiled_while_it_is_made_is_not_kept(running: Callable[..., Any], client: TestClient) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> bytes:
        begun.set()
        go_on.wait(10)
        return b"old"

    async def story() -> None:
        keeper = TileKeeper(watching, 1)
        await keeper.catch_up()
        first = asyncio.create_task(keeper.tile(order(slowly)))
        await asyncio.to_thread(begun.wait, 10)
        await asyncio.to_thread(send, client)
        await keeper.catch_up()
        second = asyncio.create_task(keeper.tile(order(lambda: b"new")))
        assert (await second).body == b"new"
        go_on.set()
        assert (await first).body == b"old"
        assert (await keeper.tile(order(lambda: b"newer"))).body == b"new"
        await keeper.close()

    running(story())


def test_after_a_lost_connection_nothing_that_was_kept_is_trusted(
    running: Callable[..., Any], database: str, client: TestClient
) -> None:
    async def story() -> None:
        keeper = TileKeeper(watching, 1)
        await keeper.catch_up()
        await keeper.tile(order(lambda: b"before"))
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'lampione tiles' AND datname = current_database()"
            )
        with pytest.raises(psycopg.Error):
            await keeper.catch_up()
        await keeper.catch_up()
        assert (await keeper.tile(order(lambda: b"after"))).body == b"after"
        await keeper.close()

    running(story())


def test_a_making_that_fails_fails_for_all_who_wait_and_for_nobody_later(running: Callable[..., Any]) -> None:
    def fail() -> bytes:
        raise RuntimeError

    async def story() -> None:
        keeper = TileKeeper(watching, 1)
        await keeper.catch_up()
        found = await asyncio.gather(*(keeper.tile(order(fail)) for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in found] == [RuntimeError] * 3
        assert (await keeper.tile(order(lambda: b"well"))).body == b"well"
        await keeper.close()

    running(story())


def test_a_shelf_holds_no_more_than_it_may() -> None:
    shelf = TileShelf(3 * (OVERHEAD + 10))
    for number in range(5):
        shelf.put(number, (0, 0), Kept(str(number), bytes(10), is_zipped=False))
        shelf.get(0)
    assert [key for key in range(5) if shelf.get(key)] == [0, 3, 4]
    shelf.put(9, None, packed(b"x" * 100_000))
    shelf.spoil([(0, 0)])
    assert [key for key in (0, 3, 4, 9) if shelf.get(key)] == [9]
    shelf.clear()
    assert len(shelf) == 0


def test_a_tile_that_is_packed_has_the_tag_of_its_content() -> None:
    one, other = packed(b"a" * 1000), packed(b"b" * 1000)
    assert one.is_zipped
    assert gzip.decompress(one.body) == b"a" * 1000
    assert one.tag == packed(b"a" * 1000).tag != other.tag


def test_hot_spots_are_drawn_as_soon_as_they_are_found(client: TestClient, made: Counter[str]) -> None:
    chance = random.Random(5)
    for _ in range(40):
        send(client, Place(HERE.lon + chance.gauss(0, 0.0003), HERE.lat + chance.gauss(0, 0.0003)))
    pesaro = view.load().municipality("pesaro").id
    elsewhere = [Place(HERE.lon + chance.uniform(-0.06, 0.02), HERE.lat + chance.uniform(-0.05, 0)) for _ in range(200)]
    for place in [place for place in elsewhere if view.held().boundaries.holding(place) == [pesaro]][:60]:
        send(client, place)
    one = path(12, layer="hotspots")
    assert client.get(one, params={"municipality": "pesaro"}).content == b""
    with provincial() as session:
        assert hotspots.renew(session, pesaro)
    found = mapbox_vector_tile.decode(client.get(one, params={"municipality": "pesaro"}).content)["hotspots"][
        "features"
    ]
    assert found
    assert all(feature["properties"]["count"] >= 5 and feature["properties"]["q"] <= 0.05 for feature in found)
    assert client.get(one, params={"municipality": "padova"}).content == b""
    assert made == {"hotspots": 3}


def test_a_tile_that_cannot_be_is_refused_however_large_its_numbers_are(client: TestClient) -> None:
    for column in (8, 2**64):
        answer = client.get(f"/tiles/reports/3/{column}/0.mvt")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
