"""A stream as an answer: `text/event-stream`, on from the id that the client had last, until either has had enough."""

from __future__ import annotations

import asyncio
from typing import Final

from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.streaming import Admission, Stream, Streams, block, chunk_of, end_block, mark
from city.database import reading
from city.position import Position
from city.records import news
from city.records.news import Seen

RETRY: Final = b"retry: 2000\n\n"
"""Milliseconds after which a browser comes back by itself."""


class StreamAnswer(Response):
    """Open a stream and tell what there is to tell, for about `seconds`; 0: what was missed, and no more.

    `last_id`, where it is given, is the id of the last event that the client had. Raises TooManyRequests, Unavailable
    before anything is sent.
    """

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, admission: Admission, last_id: str | None, seconds: int) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._admission, self._last_id, self._seconds = streams, admission, last_id, seconds

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the stream is over."""
        async with self._streams.opened(self._admission, self._seconds) as (stream, position):
            first = await self._first(position)
            task = asyncio.current_task()
            assert task is not None
            stream.stuck = task.cancel
            leaving = asyncio.create_task(_leaving(receive, stream))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": RETRY + first, "more_body": True})
                if not self._seconds:
                    stream.end(end_block("time"))
                while True:
                    await stream.wake.wait()
                    body = stream.take()
                    await send({"type": "http.response.body", "body": body, "more_body": not stream.is_over})
                    if stream.is_over:
                        break
            except asyncio.CancelledError:
                if not stream.is_over:
                    raise
                # A client that reads nothing has been left: the server hangs up.
            finally:
                stream.stuck = None
                leaving.cancel()

    async def _first(self, position: Position) -> bytes:
        """What was missed since the last id, or only where the client stands now."""
        if not self._last_id:
            return mark(position)
        since = Position.read(self._last_id)
        if since is None:
            return block("reset", b"{}", position)
        seen = await to_thread.run_sync(self._missed, since, position)
        told = None if seen.changes is None else list(seen.since(since))
        return chunk_of(told, position, self._admission.sight, self._admission.topic) or mark(position)

    def _missed(self, since: Position, position: Position) -> Seen:
        municipality_id = self._admission.sight.municipality_id
        with reading(municipality_id) as session:
            return news.missed(session.raw, since, position, municipality_id)


async def _leaving(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()
