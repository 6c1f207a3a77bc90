"""The open streams of one process: one look at the database for all of them, ten times a second or when the bell rings.

A stream costs neither a thread nor a connection: it sleeps until a look has found something for it. What waits for a
slow client is bounded; a client that does not keep up is told to read anew, and its stream ends. Every stream ends by
itself after some minutes, with its sign-in, when its rights change, and when the process ends; the client comes back
with the id of the last event and misses nothing. While nobody listens, nobody looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import psycopg
import structlog
from anyio import to_thread
from psycopg import AsyncConnection

from city.errors import TooManyRequests, Unavailable
from city.position import Position
from city.records import news
from city.records.news import Change, Seen
from city.registry import view
from city.registry.staff.rights import Sight, Staff

Topic = Literal["reports", "figures"]
Told = tuple[Change, Position]
"""A change, and the position of whoever has been told it."""
Why = Literal["time", "rights", "slow", "changes", "server"]

MOST_OF_ONE: Final = 8
"""Streams of one person on one process: some windows, and those that have just been left."""
MOST_WAITING_BYTES: Final = 256 * 1024
LONGEST_SECONDS: Final = 300
LOOK_SECONDS: Final = 0.1
SHORTEST_REST_SECONDS: Final = 0.025
LONGEST_REST_SECONDS: Final = 0.15
REST_TIMES: Final = 8
"""Rest so many times as long as telling kept the processor busy: most of its time belongs to those who ask."""
LONGEST_LOOK_SECONDS: Final = 12.0
HEARTBEAT_SECONDS: Final = 15.0
RIGHTS_SECONDS: Final = 10.0
FIGURES_SECONDS: Final = 3.0
STUCK_SECONDS: Final = 10.0
"""How long a client that reads nothing may hold up the end of its stream."""
READY_SECONDS: Final = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Admission:
    """Who listens, to what, and with which sign-in (the digest of its token)."""

    staff: Staff
    token_hash: bytes
    sight: Sight
    topic: Topic


@dataclass(eq=False, slots=True)
class Stream:
    """What waits for one client."""

    admission: Admission
    ends_at: float
    is_over: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stuck: Callable[[], object] | None = None
    """Called when a client has not taken the end in time."""
    _waiting: deque[bytes] = field(default_factory=deque)
    _size: int = 0
    _figures: bytes = b""
    _quiet_until: float = 0.0

    def offer(self, chunk: bytes, position: Position) -> None:
        """Let it have this; where too much is waiting already, it is told to read anew, and ends."""
        if self.is_over:
            return
        if self.admission.topic == "figures":
            self._figures = chunk
        elif self._size and self._size + len(chunk) > MOST_WAITING_BYTES:
            self.restart("slow", position)
        else:
            self._add(chunk)

    def tend(self, now: float, heartbeat: bytes) -> None:
        """What time brings: figures have changed, at most so often; a heartbeat, if it is given; the end."""
        if self.is_over:
            return
        if self._figures and now >= self._quiet_until:
            self._add(self._figures)
            self._figures, self._quiet_until = b"", now + FIGURES_SECONDS
        if now >= self.ends_at:
            self.end(end_block("time"))
        elif heartbeat and not self._size:
            self._add(heartbeat)

    def restart(self, why: Why, position: Position) -> None:
        """Everything may have changed: the client is to read anew and to come back."""
        self._waiting.clear()
        self.end(block("reset", b"{}", position) + end_block(why))

    def end(self, last: bytes = b"") -> None:
        """Say this last, and nothing more. A client that does not even take that is left."""
        if self.is_over:
            return
        self._add(last)
        self.is_over = True
        if self.stuck is not None:
            asyncio.get_running_loop().call_later(STUCK_SECONDS, self._leave)

    def take(self) -> bytes:
        """All that is waiting."""
        taken = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        self.wake.clear()
        return taken

    def _leave(self) -> None:
        if self.stuck is not None:
            self.stuck()

    def _add(self, chunk: bytes) -> None:
        self._waiting.append(chunk)
        self._size += len(chunk)
        self.wake.set()


def block(event: str, data: bytes, position: Position) -> bytes:
    """One event as it goes over the wire."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(position).encode(), event.encode(), data)


def mark(position: Position) -> bytes:
    """No event, but the id from which the client will go on; it serves as the heartbeat too."""
    return b": \nid: %b\n\n" % str(position).encode()


def end_block(why: Why) -> bytes:
    """The last event: why the stream ends. The client goes on from where it was."""
    return b'event: end\ndata: {"why":"%b"}\n\n' % why.encode()


def chunk_of(told: Sequence[Told] | None, position: Position, sight: Sight, topic: Topic) -> bytes:
    """What those with this sight are told of these changes (None: too many), `position` being after all of them.

    b"" where that is nothing.
    """
    if told is None:
        return block("figures" if topic == "figures" else "reset", b"{}", position)
    municipality = view.held().municipalities.get(sight.municipality_id)
    if municipality is None:
        return b""
    messages = [
        (*message, there)
        for change, there in told
        if (message := news.message(change, sight, municipality)) is not None
    ]
    if not messages:
        return b""
    if topic == "figures":
        return block("figures", b'{"municipality":"%b"}' % municipality.slug.encode(), position)
    blocks = [block(event, data, there) for event, data, there in messages[:-1]]
    event, data, _ = messages[-1]
    return b"".join([*blocks, block(event, data, position)])


class Streams:
    """The streams of one process, at most `most`.

    `connect` opens a connection that sees every municipality. `rights` says, in a thread, which of these admissions
    are good no more.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[AsyncConnection[Any]]],
        rights: Callable[[Collection[Admission]], Collection[Admission]],
        most: int,
    ) -> None:
        self._connect, self._rights, self._most = connect, rights, most
        self._streams: set[Stream] = set()
        self._listening: Counter[int] = Counter()
        """How many streams, those still being opened too, listen to a municipality."""
        self._of: Counter[tuple[int, int]] = Counter()
        self._position: Position | None = None
        self._waiting: list[asyncio.Future[None]] = []
        """Those who wait for a look that has not begun yet."""
        self._work: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._beaten_at = self._checked_at = 0.0
        self._is_closed = False

    def __len__(self) -> int:
        """How many are open."""
        return len(self._streams)

    @contextlib.asynccontextmanager
    async def opened(self, admission: Admission, seconds: float) -> AsyncIterator[tuple[Stream, Position]]:
        """A stream for the length of the block, and the position from which it hears of whatever is kept.

        Everything kept before the call is before that position. Raises TooManyRequests, Unavailable.
        """
        person = admission.staff.home_id, admission.staff.person_id
        if self._is_closed or self._listening.total() >= self._most:
            raise Unavailable("stream.full")
        if self._of[person] >= MOST_OF_ONE:
            raise TooManyRequests("stream.too_many_of_one", most=MOST_OF_ONE)
        self._of[person] += 1
        self._listening[admission.sight.municipality_id] += 1
        stream = Stream(admission, time.monotonic() + seconds * random.uniform(0.8, 1.0))  # noqa: S311  (no secret)
        try:
            await self._look_from_now()
            # Nothing is awaited between the two: the next look tells this stream all that came after the position.
            position = self._position
            self._streams.add(stream)
            if position is None or self._is_closed:
                raise Unavailable("stream.not_now")
            yield stream, position
        finally:
            self._streams.discard(stream)
            _less(self._of, person)
            _less(self._listening, admission.sight.municipality_id)

    def close(self) -> None:
        """End all streams, and open none from now on."""
        self._is_closed = True
        for stream in list(self._streams):
            stream.end(end_block("server"))

    async def finish(self) -> None:
        """Let go of the connection."""
        self.close()
        for task in (self._work, self._checking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    async def _look_from_now(self) -> None:
        if self._work is None:
            self._work = asyncio.create_task(self._watch())
        looked = asyncio.get_running_loop().create_future()
        self._waiting.append(looked)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await looked
        except TimeoutError:
            raise Unavailable("stream.not_now") from None

    async def _watch(self) -> None:
        while self._listening:
            try:
                await self._watch_connected()
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("stream_look_failed", kind=type(error).__name__)
                self._tend()
                await asyncio.sleep(1)
        self._position, self._work = None, None

    async def _watch_connected(self) -> None:
        connection = await self._connect()
        try:
            await connection.execute(news.LISTEN)
            while self._listening:
                seen, waiting = await self._look(connection)
                begun = time.thread_time()
                self._take_in(seen, waiting)
                self._tend()
                await asyncio.sleep(0)  # now the streams are written
                await asyncio.sleep(0)
                busy = time.thread_time() - begun
                rest = min(max(SHORTEST_REST_SECONDS, REST_TIMES * busy), LONGEST_REST_SECONDS)
                await asyncio.sleep(rest)
                async for _ in connection.notifies(timeout=max(0.0, LOOK_SECONDS - rest), stop_after=1):
                    pass
        finally:
            await connection.close()

    async def _look(self, connection: AsyncConnection[Any]) -> tuple[Seen, list[asyncio.Future[None]]]:
        """What has happened since the last look, and who waits for one that began after they came."""
        waiting, self._waiting = self._waiting, []
        try:
            async with asyncio.timeout(LONGEST_LOOK_SECONDS):
                return await news.look(connection, self._position, self._listening), waiting
        except BaseException:
            self._waiting += waiting
            raise

    def _take_in(self, seen: Seen, waiting: Collection[asyncio.Future[None]]) -> None:
        before, self._position = self._position, seen.position
        if before is not None:
            self._tell(seen, before)
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def _tell(self, seen: Seen, before: Position) -> None:
        if seen.changes is not None and not seen.changes:
            return
        told = None if seen.changes is None else list(seen.since(before))
        chunks: dict[tuple[Sight, Topic], bytes] = {}
        for stream in self._streams:
            kind = stream.admission.sight, stream.admission.topic
            if kind not in chunks:
                chunks[kind] = chunk_of(told, seen.position, *kind)
            if told is None and stream.admission.topic == "reports":
                stream.restart("changes", seen.position)
            elif chunks[kind]:
                stream.offer(chunks[kind], seen.position)

    def _tend(self) -> None:
        now, heartbeat = time.monotonic(), b""
        if self._position is not None and now - self._beaten_at >= HEARTBEAT_SECONDS:
            self._beaten_at, heartbeat = now, mark(self._position)
        for stream in self._streams:
            stream.tend(now, heartbeat)
        if now - self._checked_at >= RIGHTS_SECONDS and (self._checking is None or self._checking.done()):
            self._checked_at = now
            self._checking = asyncio.create_task(self._check_rights())

    async def _check_rights(self) -> None:
        admissions = {stream.admission for stream in self._streams}
        try:
            over = await to_thread.run_sync(self._rights, admissions)
        except Exception as error:  # noqa: BLE001  (whatever it was: it is asked again in a moment)
            log.warning("stream_rights_failed", kind=type(error).__name__)
            return
        for stream in self._streams:
            if stream.admission in over:
                stream.end(end_block("rights"))


def _less(counter: Counter[Any], key: Any) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
