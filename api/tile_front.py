"""The short way for tiles that were asked for before: past routing and validation, to those kept ready.

What a path and query mean was found out by the route (`api/routes/tiles.py`) and is remembered for as long as the
registry stays the same. All that is left is to catch up with what has changed, and to send.
"""

from __future__ import annotations

import gzip
from collections.abc import Hashable
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

import psycopg
from starlette.types import ASGIApp, Receive, Scope, Send

from api.tile_keeping import TileKeeper
from geo.map_changes import Look
from geo.tile_shelf import Kept
from geo.tiles import Choice, Tile

MEDIA_TYPE: Final = "application/vnd.mapbox-vector-tile"
MOST_KNOWN: Final = 50_000
CACHING: Final = {
    "reports": "public, max-age=0, must-revalidate",
    "heat": "public, max-age=60, stale-while-revalidate=3600",
    "zones": "public, max-age=300, stale-while-revalidate=3600",
    "notices": "public, max-age=0, must-revalidate",
    "hotspots": "public, max-age=300, stale-while-revalidate=3600",
}
_CDN: Final = "public, max-age=1, stale-while-revalidate=60"
"""RFC 9213: a cache in between may be a moment behind; the visitor's own would show yesterday's tile at each return."""

Headers = list[tuple[bytes, bytes]]


class Asked(NamedTuple):
    """Which tile a path and query mean."""

    layer: str
    tile: Tile
    choice: Choice

    def key(self, seen: Look) -> Hashable:
        """Names the tile at its version. Layers of reports change tile by tile; zones as a whole, and with the day;
        published notices with the registry, in which they are held.
        """
        if self.layer == "zones":
            return *self, seen.registry_version, datetime.now(UTC).date()
        if self.layer == "notices":
            return *self, seen.registry_version
        return *self, seen.hotspots_version if self.layer == "hotspots" else None


def _fixed(layer: str) -> Headers:
    return [
        (b"cache-control", CACHING[layer].encode()),
        (b"cdn-cache-control", _CDN.encode()),
        (b"vary", b"Accept-Encoding"),
        (b"access-control-allow-origin", b"*"),
    ]


_FIXED: Final = {layer: _fixed(layer) for layer in CACHING}


def answer(layer: str, kept: Kept, known: bytes, accepted: bytes) -> tuple[int, Headers, bytes]:
    """Status, headers and body for a client that has the versions `known` (If-None-Match) and reads `accepted`."""
    headers = [*_FIXED[layer], (b"etag", kept.tag.encode())]
    if known and is_known(known.decode("latin-1"), kept.tag):
        return 304, headers, b""
    body = kept.body
    if kept.is_zipped and b"gzip" in accepted:
        headers.append((b"content-encoding", b"gzip"))
    elif kept.is_zipped:
        body = gzip.decompress(body)
    headers += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    return 200, headers, body


def is_known(sent: str, tag: str) -> bool:
    """Whether the client has this version already (RFC 9110, 13.1.2: a list, compared weakly, or any version)."""
    return any(known.strip().removeprefix("W/") in {tag, "*"} for known in sent.split(","))


class KnownTiles:
    """Which tile each path and query means, and the registry's version at which that was found out."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], tuple[int, Asked]] = {}

    def __contains__(self, place: tuple[str, bytes]) -> bool:
        return place in self._known

    def at(self, version: int, place: tuple[str, bytes]) -> Asked | None:
        """The tile meant, if it was found out at that version."""
        known_at, asked = self._known.get(place, (-1, None))
        return asked if known_at == version else None

    def learn(self, place: tuple[str, bytes], version: int, asked: Asked) -> None:
        """Remember what was found out."""
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[place] = version, asked


class TileFront:
    """Answers what is known and what is kept ready; all else goes on to the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/tiles/"):
            await self.app(scope, receive, send)
            return
        place = scope["path"], scope["query_string"]
        held = scope["state"]
        known: KnownTiles = held["known_tiles"]
        found = await _ready(held["tiles"], known, place)
        if found is None:
            scope["state"] = {**held, "learn": partial(known.learn, place)}
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"])
        status, headers, body = answer(*found, given.get(b"if-none-match", b""), given.get(b"accept-encoding", b""))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _ready(keeper: TileKeeper, known: KnownTiles, place: tuple[str, bytes]) -> tuple[str, Kept] | None:
    if place not in known:
        return None
    try:
        seen = await keeper.catch_up()
    except (psycopg.Error, OSError):
        return None  # the route will meet the same trouble, and say so
    asked = known.at(seen.registry_version, place)
    kept = asked and keeper.ready(asked.key(seen))
    return (asked.layer, kept) if asked and kept else None
