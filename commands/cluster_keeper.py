"""A small process that keeps one PostgreSQL server for as long as somebody uses it, and not a moment longer.

`python -I -S cluster_keeper.py LOCK SOCKETS COMMAND…` runs COMMAND (the server) and waits for an exclusive lock on the
file LOCK. Everybody who uses the server holds a shared lock on that file, so the keeper gets its own when the last user
has gone, in whatever way: the kernel gives back the locks of a process that was killed. Then the server is told to shut
down, and SOCKETS, the directory of its socket, is removed. Were the keeper itself killed, COMMAND asks the kernel for
the same signal (`setpriv --pdeathsig`).

It imports nothing of the project: it stays as small as a Python process can be.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from typing import Final

PATIENCE_SECONDS: Final = 60


def keep(lock_path: str, socket_directory: str, command: list[str]) -> int:
    """Run the server until nobody uses it; its exit code."""
    # A terminal's Ctrl-C is for the command in front of it, which still needs the database to end well.
    os.setsid()
    lock = os.open(lock_path, os.O_RDWR)
    # The server is started from the main thread: the kernel's death signal follows the thread, not the process.
    server = subprocess.Popen(command)
    threading.Thread(target=_end_when_unused, args=(lock, server), daemon=True).start()
    ended = server.wait()
    with contextlib.suppress(OSError):
        os.rmdir(socket_directory)  # noqa: PTH106 - pathlib would double the size of this process
    return ended


def _end_when_unused(lock: int, server: subprocess.Popen[bytes]) -> None:
    fcntl.flock(lock, fcntl.LOCK_EX)
    server.send_signal(signal.SIGINT)
    try:
        server.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)


if __name__ == "__main__":
    # The lock is held until this process is gone, so that a newcomer starts a server only after the old one's end.
    sys.exit(keep(sys.argv[1], sys.argv[2], sys.argv[3:]))
