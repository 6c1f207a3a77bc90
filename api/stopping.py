"""Knowing that the server is asked to end while its answers still go on.

The server waits for open answers before it tells the application anything; answers that go on for minutes have to hear
of it themselves. So the application listens to the same signals, and passes them on.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType


def when_asked_to_end(call: Callable[[], object]) -> None:
    """Call this in the running loop once the server's process gets SIGTERM or SIGINT; the server gets them as well.

    The server puts back what was there before when it ends. Outside a server's main thread nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        servers = signal.getsignal(number)
        if callable(servers):
            signal.signal(number, _passing_on(servers, lambda: loop.call_soon_threadsafe(call)))


def _passing_on(
    servers: Callable[[int, FrameType | None], object], call: Callable[[], object]
) -> Callable[[int, FrameType | None], None]:
    def heard(number: int, frame: FrameType | None) -> None:
        call()
        servers(number, frame)

    return heard
