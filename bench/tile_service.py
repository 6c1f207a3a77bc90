"""Tiles over HTTP: cold beside other tile servers on the same database; kept ready beside nginx with the same bytes."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import httpx

from bench.load import press
from bench.results import Result
from geo.tiles import Tile

TIPG_PATH: Final = "/collections/public.report/tiles/WebMercatorQuad/{z}/{x}/{y}"
OUR_PATH: Final = "/tiles/reports/{z}/{x}/{y}.mvt"
ZOOMS: Final = range(5, 19)
LONGEST_SECONDS: Final = 4.0
"""For one server at one zoom; then the tiles asked for so far count."""
SLOW_SECONDS: Final = 120.0
CLIENTS: Final = 32
ROUNDS: Final = 3
ROUND_SECONDS: Final = 1.5
READY_TILES: Final = 200
LEAST_COLD: Final = 1.0


class Server(NamedTuple):
    """A tile server: its name, and its address with {z}, {x}, {y}."""

    name: str
    address: str


def cold(ours: str, peers: Sequence[Server], wanted: Mapping[int, Sequence[Tile]], size: str) -> list[Result]:
    """Median milliseconds of a tile from us, who keep none here, beside each peer, in turn for each tile."""
    servers = [Server("", ours + OUR_PATH), *peers]
    found = []
    with httpx.Client(timeout=SLOW_SECONDS) as client:
        for zoom, tiles in wanted.items():
            for server in servers:
                _milliseconds(client, server, tiles[0])
            seen: list[list[float]] = [[] for _ in servers]
            for tile in tiles:
                for times, server in zip(seen, servers, strict=True):
                    if sum(times) <= LONGEST_SECONDS * 1000:
                        times.append(_milliseconds(client, server, tile))
            mine = statistics.median(seen[0])
            found += [
                Result(f"HTTP cold z{zoom}, {size} / {server.name}", mine, statistics.median(times), "ms", LEAST_COLD)
                for server, times in zip(peers, seen[1:], strict=True)
            ]
    return found


def _milliseconds(client: httpx.Client, server: Server, tile: Tile) -> float:
    address = server.address.format(z=tile.zoom, x=tile.x, y=tile.y)
    begun = time.perf_counter()
    answer = client.get(address)
    took = (time.perf_counter() - begun) * 1000
    if answer.status_code not in {200, 204}:
        answer.raise_for_status()
    return took


def files(ours: str, wanted: Mapping[int, Sequence[Tile]]) -> dict[str, tuple[bytes, str]]:
    """Path → zipped bytes and tag of tiles that show something, as we serve them."""
    found = {}
    with httpx.Client(headers={"Accept-Encoding": "gzip"}) as client:
        for tile in itertools.islice(dict.fromkeys(itertools.chain(*wanted.values())), READY_TILES):
            path = OUR_PATH.format(z=tile.zoom, x=tile.x, y=tile.y)
            with client.stream("GET", ours + path) as answer:
                data = b"".join(answer.iter_raw())
                if answer.headers.get("content-encoding") == "gzip":
                    found[path] = data, answer.headers["etag"]
    return found


def ready(
    ours: str, nginx: str, kept: Mapping[str, tuple[bytes, str]], nginx_tags: Callable[[str], str]
) -> list[Result]:
    """Answers a second of tiles kept ready, whole and unchanged (304), beside nginx; 32 clients, rounds interleaved."""
    found = []
    for what, status in (("warm", b"200"), ("304", b"304")):
        seen: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for rates, address, tag_of in (
                (seen[0], ours, lambda path: kept[path][1]),
                (seen[1], nginx, nginx_tags),
            ):
                requests = [_get(path, tag_of(path) if what == "304" else "") for path in kept]
                rates.append(
                    press(
                        address, itertools.cycle(requests), clients=CLIENTS, seconds=ROUND_SECONDS, expected=status
                    ).rate
                )
        ours_rate, nginx_rate = (statistics.median(rates) for rates in seen)
        found.append(Result(f"HTTP {what}, {CLIENTS} clients / nginx, same bytes", ours_rate, nginx_rate, "requests/s"))
    return found


def _get(path: str, tag: str) -> bytes:
    known = f"If-None-Match: {tag}\r\n" if tag else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n{known}\r\n".encode()
