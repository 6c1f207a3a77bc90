"""Tiles kept ready for whoever asks, and never behind.

Every request waits for a look at what has changed that began after the request came; all who wait at that moment share
one look. So a tile that is kept and has not changed is answered without a thread and without a query for it, and a
report accepted by any process, on any machine, is on the next tile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg
from anyio import to_thread
from psycopg import AsyncConnection

from geo.map_changes import Look, look
from geo.tile_shelf import Kept, Square, TileShelf, packed, squares_around

MEGABYTE: Final = 1 << 20


class Order(NamedTuple):
    """A tile that is wanted: what names it, the ground on which changes spoil it (None: none), how it is made."""

    key: Hashable
    square: Square | None
    make: Callable[[], bytes]


@dataclass(eq=False)
class _Making:
    """A tile being made. If its ground changes meanwhile it is spoiled: shown to those who asked before, not kept."""

    square: Square | None
    done: asyncio.Task[Kept]
    is_spoiled: bool = False


class TileKeeper:
    """The tiles of one process. `connect` opens a connection as the public reader."""

    def __init__(self, connect: Callable[[], Awaitable[AsyncConnection[Any]]], most_megabytes: int) -> None:
        self._connect = connect
        self._shelf = TileShelf(most_megabytes * MEGABYTE)
        self._making: dict[Hashable, _Making] = {}
        self._connection: AsyncConnection[Any] | None = None
        self._seen: Look | None = None
        self._looking: asyncio.Task[None] | None = None
        self._next_look: asyncio.Task[None] | None = None

    async def catch_up(self) -> Look:
        """Wait until everything kept before this call has been seen; the last look. Raises psycopg.Error."""
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_after(self._looking))
        await asyncio.shield(self._next_look)
        assert self._seen is not None
        return self._seen

    def ready(self, key: Hashable) -> Kept | None:
        """The tile, if it is kept. Right only straight after `catch_up`."""
        return self._shelf.get(key)

    async def tile(self, order: Order) -> Kept:
        """The tile: kept, being made for others, or made now, in a thread. Right only straight after `catch_up`."""
        kept = self._shelf.get(order.key)
        if kept is not None:
            return kept
        making = self._making.get(order.key)
        if making is None or making.is_spoiled:
            making = _Making(order.square, asyncio.create_task(_made(order.make)))
            self._making[order.key] = making
            making.done.add_done_callback(lambda _task: self._keep(order.key, making))
        return await asyncio.shield(making.done)

    async def close(self) -> None:
        """Let go of the connection."""
        for task in (self._looking, self._next_look):
            if task is not None:
                task.cancel()
        await self._hang_up()

    def _keep(self, key: Hashable, making: _Making) -> None:
        if self._making.get(key) is making:
            del self._making[key]
        if not making.done.cancelled() and making.done.exception() is None and not making.is_spoiled:
            self._shelf.put(key, making.square, making.done.result())

    async def _look_after(self, former: asyncio.Task[None] | None) -> None:
        if former is not None:
            await asyncio.wait([former])
        self._looking, self._next_look = self._next_look, None
        try:
            if self._connection is None:
                self._connection = await self._connect()
            self._take_in(await look(self._connection, self._seen))
        except (psycopg.Error, OSError):
            # What happens while nobody looks is not known afterwards.
            self._seen = None
            self._forget_all()
            await self._hang_up()
            raise

    def _take_in(self, seen: Look) -> None:
        self._seen = seen
        if seen.cells is None:
            self._forget_all()
        elif seen.cells:
            squares = squares_around(seen.cells)
            self._shelf.spoil(squares)
            for making in self._making.values():
                making.is_spoiled = making.is_spoiled or making.square in squares

    def _forget_all(self) -> None:
        self._shelf.clear()
        for making in self._making.values():
            making.is_spoiled = True

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _made(make: Callable[[], bytes]) -> Kept:
    return await to_thread.run_sync(lambda: packed(make()))
