"""Tiles kept ready in memory, and which of them a change on the ground spoils."""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Iterable
from typing import Final, NamedTuple

from geo.place import PYRAMID_LEVEL, morton
from geo.tiles import DEEPEST_ZOOM, Tile

SMALLEST_ZIPPED: Final = 200
"""Bytes of a tile from which on zipping it saves anything."""
OVERHEAD: Final = 600
"""Bytes that keeping a tile costs beside the tile itself."""


class Kept(NamedTuple):
    """A tile as it is sent, and the strong entity tag of its content."""

    tag: str
    body: bytes
    is_zipped: bool


def packed(data: bytes) -> Kept:
    """A tile made ready to be sent. Its tag is of its content: whoever makes the same tile gives it the same tag."""
    tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    if len(data) < SMALLEST_ZIPPED:
        return Kept(tag, data, is_zipped=False)
    return Kept(tag, gzip.compress(data, compresslevel=6, mtime=0), is_zipped=True)


Square = tuple[int, int]
"""Zoom, and Morton key at that zoom."""


def square_of(tile: Tile) -> Square:
    """The square of ground that a tile shows."""
    return tile.zoom, morton(tile.x, tile.y)


class TileShelf:
    """At most `most_bytes` of tiles by key; the ones longest not asked for go first. For one thread only."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, tuple[Square | None, Kept]] = OrderedDict()
        self._on: defaultdict[Square, set[Hashable]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> Kept | None:
        """The tile of `key`, if it is here."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[1]

    def put(self, key: Hashable, square: Square | None, kept: Kept) -> None:
        """Keep a tile; a change in `square` spoils it (None: none does)."""
        self._drop(key)
        self._kept[key] = square, kept
        self._bytes += len(kept.body) + OVERHEAD
        if square is not None:
            self._on[square].add(key)
        while self._bytes > self._most and self._kept:
            self._drop(next(iter(self._kept)))

    def spoil(self, squares: Iterable[Square]) -> None:
        """Forget the tiles of these squares."""
        for square in squares:
            for key in list(self._on.get(square, ())):
                self._drop(key)

    def clear(self) -> None:
        """Forget all tiles."""
        self._kept.clear()
        self._on.clear()
        self._bytes = 0

    def _drop(self, key: Hashable) -> None:
        square, kept = self._kept.pop(key, (None, None))
        if kept is None:
            return
        self._bytes -= len(kept.body) + OVERHEAD
        if square is not None:
            keys = self._on[square]
            keys.discard(key)
            if not keys:
                del self._on[square]


def squares_around(cells: Iterable[int]) -> set[Square]:
    """The squares of every zoom that hold these cells (Morton keys of the finest level)."""
    return {(zoom, cell >> 2 * (PYRAMID_LEVEL - zoom)) for cell in cells for zoom in range(DEEPEST_ZOOM + 1)}
