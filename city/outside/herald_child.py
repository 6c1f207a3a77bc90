"""The herald: one message comes in by standard input and goes out through Apprise; the exit code says how it went.

Run as a process of its own by `herald`: Apprise is large and slow to load, waits seconds between two calls, and calls
whatever host its address names. Here every connection is looked at when it is made, whatever a name has become
meanwhile and wherever an answer leads; no program is started, no file written, none read but those of the program.
"""

from __future__ import annotations

import ipaddress
import logging
import resource
import socket
import sys
from typing import Any, Final

import orjson

from city.outside.strangers import may_be_called

MEGABYTE: Final = 1024 * 1024
MOST_MEMORY: Final = 1024 * MEGABYTE
MOST_SECONDS: Final = 60
SENT, NOT_TAKEN, NO_ADDRESS, NOT_ALLOWED = 0, 1, 3, 4
"""The exit codes; any other is a failure of our own."""
_FORBIDDEN: Final = ("subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "socket.bind")
_READABLE: Final = (sys.prefix, sys.base_prefix, "/usr/", "/lib", "/etc/ssl/", "/etc/mime.types")
_WRITING: Final = frozenset("wax+")


class Guard:
    """What this process may do. `allowed` hosts, as `name:port`, may stand in a private network; `is_plain`: no other
    host is called at all, since nothing is encrypted on the way.
    """

    def __init__(self, allowed: set[str], *, is_plain: bool) -> None:
        self._allowed = allowed
        self._is_plain = is_plain
        self._known: set[tuple[Any, ...]] = set()
        self.has_refused = False

    def watch(self) -> None:
        """Look at everything from now on; there is no way back."""
        look_up = socket.getaddrinfo

        def looking_up(host: Any, port: Any, *more: Any, **options: Any) -> Any:
            found = look_up(host, port, *more, **options)
            name = host.decode() if isinstance(host, bytes) else str(host)
            if f"[{name}]:{port}" in self._allowed or f"{name.lower()}:{port}" in self._allowed:
                self._known |= {entry[4][:2] for entry in found}
            return found

        socket.getaddrinfo = looking_up
        sys.addaudithook(self._judge)

    def _judge(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"} and not self.may_call(arguments[1]):
            self.has_refused = True
            raise PermissionError(event)
        if event.startswith(_FORBIDDEN) or (event == "open" and not _is_readable(arguments[0], arguments[1])):
            raise PermissionError(event)

    def may_call(self, address: Any) -> bool:
        """Whether a connection may be made to what a socket is told."""
        if not isinstance(address, tuple):
            return False
        try:
            host = ipaddress.ip_address(str(address[0]).partition("%")[0])
        except ValueError:
            return False
        is_known = address[:2] in self._known
        return (is_known or not self._is_plain) and may_be_called(host, is_internal=is_known)


def _is_readable(path: Any, mode: Any) -> bool:
    if isinstance(path, int) or (isinstance(mode, str) and _WRITING & set(mode)):
        return False
    name = path.decode(errors="replace") if isinstance(path, bytes) else str(path)
    return ".." not in name and name.startswith(_READABLE)


def main() -> int:
    """Send one message."""
    for limit, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, MOST_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    told = orjson.loads(sys.stdin.buffer.read())
    import apprise  # noqa: PLC0415  (under the limits)

    logging.disable(logging.CRITICAL)  # it would say what it sends
    asset = apprise.AppriseAsset(app_id="Lampione", async_mode=False)
    target = apprise.Apprise.instantiate(told["url"], asset=asset, suppress_exceptions=True)
    if target is None:
        return NO_ADDRESS
    guard = Guard(set(told["allowed"]), is_plain=told["is_plain"])
    guard.watch()
    is_sent = target.notify(body=told["body"], title=told["title"], notify_type=apprise.NotifyType.INFO)
    if is_sent:
        return SENT
    return NOT_ALLOWED if guard.has_refused else NOT_TAKEN


if __name__ == "__main__":
    sys.exit(main())
