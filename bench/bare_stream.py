"""The peer of `stream`: the least that asyncio and PostgreSQL can do to tell many clients of a commit.

`NOTIFY` inside the transaction carries the event; whoever is connected gets it as it comes. No rights, no history, no
coming back, no bound.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from fastapi import FastAPI
from starlette.responses import StreamingResponse

URL: Final = "LAMPIONE_BENCH_URL"
"""The environment variable that names the database."""
CHANNEL: Final = "bare_stream"
TABLE_SQL: Final = "CREATE TABLE IF NOT EXISTS bare_change (id bigserial PRIMARY KEY, note text NOT NULL)"


def change(connection: psycopg.Connection[tuple[object, ...]], number: int) -> None:
    """Keep a row, and tell of it, in one transaction. The connection is in autocommit."""
    with connection.transaction():
        connection.execute("INSERT INTO bare_change (note) VALUES ('Visto.')")
        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f'{{"version":{number},"state":"in_progress"}}'))


def create_app() -> FastAPI:
    """The peer; uvicorn serves it with the very options of the real one."""
    listening: set[asyncio.Queue[bytes]] = set()

    async def watch() -> None:
        connection = await psycopg.AsyncConnection.connect(os.environ[URL], autocommit=True)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            async for heard in connection.notifies():
                event = b"event: report\ndata: " + heard.payload.encode() + b"\n\n"
                for queue in listening:
                    queue.put_nowait(event)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(watch())
        yield
        watching.cancel()

    app = FastAPI(lifespan=life)

    async def events() -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        listening.add(queue)
        try:
            yield b": \n\n"
            while True:
                yield await queue.get()
        finally:
            listening.discard(queue)

    @app.get("/stream")
    async def listen() -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream")

    @app.get("/health/ready")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    return app
