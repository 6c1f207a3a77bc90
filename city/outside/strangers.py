"""HTTP to addresses that others have typed in: never into our own network, whatever a name resolves to.

The name is resolved once, every address of it is looked at, and the connection goes to one that was looked at. Nothing
is followed (no redirect, no proxy), an answer has a largest size, and everything together a longest time.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpcore

from city.errors import InvalidInput, LampioneError, Unavailable
from city.settings import settings

LARGEST_ANSWER: Final = 1_000_000
LONGEST_ADDRESS: Final = 500
_EMBEDDING: Final = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotAllowed(LampioneError):
    """An address that we never call: trying again is of no use."""


class Door(NamedTuple):
    """Where somebody's service listens; `is_internal`: it may stand in a private network."""

    url: str
    is_internal: bool = False


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    retry_after: str = ""
    """What the header of that name says."""

    @property
    def is_good(self) -> bool:
        """Whether it was taken."""
        return 200 <= self.status < 300  # noqa: PLR2004

    @property
    def is_final(self) -> bool:
        """Whether the same would be refused again."""
        return 300 <= self.status < 500 and self.status not in {408, 409, 421, 423, 425, 429}  # noqa: PLR2004


def check_door(door: Door, *, field: str = "address") -> None:
    """Raises InvalidInput (naming `field`) for an address that is none, or one that we never call.

    A name that cannot be resolved now is let through: it is looked at again whenever it is called.
    """
    try:
        host, port = _parts(door)
        reachable(host, port, is_internal=door.is_internal)
    except NotAllowed as error:
        raise InvalidInput(error.key, field=field, **error.values) from error
    except OSError:
        return


def call(
    method: str, door: Door, path: str = "", *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Answer:
    """The answer of the service. Raises NotAllowed, and Unavailable where none comes in time."""
    _parts(door)
    seconds = settings().slow_outside_seconds
    deadline = time.monotonic() + seconds
    sent = {"User-Agent": "Lampione", "Accept": "application/json", **(headers or {})}
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=_tls(),
                network_backend=_Looking(door.is_internal, deadline),
                max_connections=1,
                max_keepalive_connections=0,
            ) as pool,
            pool.stream(
                method,
                door.url + path,
                headers=list(sent.items()),
                content=body,
                extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)},
            ) as response,
        ):
            data = b""
            for piece in response.iter_stream():
                data += piece
                if len(data) > LARGEST_ANSWER:
                    raise Unavailable("strangers.too_long")
            return Answer(response.status, data, _header(response, b"retry-after"))
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        raise Unavailable("strangers.silent", problem=type(error).__name__) from None


def _header(response: httpcore.Response, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in response.headers if name.lower() == wanted), "")


def reachable(host: str, port: int, *, is_internal: bool) -> list[str]:
    """The addresses of `host`. Raises NotAllowed where we call one of them never, OSError where there is none."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or too long
        raise NotAllowed("strangers.no_address") from error
    found = list(dict.fromkeys(entry[4][0] for entry in entries))
    for address in found:
        if not may_be_called(ipaddress.ip_address(str(address).partition("%")[0]), is_internal=is_internal):
            raise NotAllowed("strangers.not_allowed", host=host)
    if not found:
        raise OSError("no address")
    return [str(address) for address in found]


def may_be_called(address: Address, *, is_internal: bool) -> bool:
    """A private network only where that was allowed; link-local, where clouds keep their secrets, never."""
    if isinstance(address, ipaddress.IPv6Address):
        within = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if within is None and address in _EMBEDDING:
            within = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if within is not None:
            return may_be_called(within, is_internal=is_internal)
        if address.is_site_local:
            return is_internal
    if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
        return False
    return address.is_global or is_internal


def _parts(door: Door) -> tuple[str, int]:
    """Host and port. Raises NotAllowed for what is no address of a service, or would be read on the way."""
    try:
        parts = urlsplit(door.url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise NotAllowed("strangers.no_address") from error
    schemes = {"https", "http"} if door.is_internal else {"https"}
    is_plain = door.url.isascii() and door.url.isprintable() and " " not in door.url
    if parts.scheme not in schemes or not host or not is_plain or len(door.url) > LONGEST_ADDRESS:
        raise NotAllowed("strangers.no_address")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise NotAllowed("strangers.no_address")
    return host, port or (443 if parts.scheme == "https" else 80)


class _Looking(httpcore.NetworkBackend):
    """Connects only to addresses that it has looked at, and no longer than until the deadline."""

    def __init__(self, is_internal: bool, deadline: float) -> None:
        self._is_internal = is_internal
        self._deadline = deadline
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Try the addresses in turn."""
        trouble: Exception | None = None
        for address in reachable(host, port, is_internal=self._is_internal):
            try:
                stream = self._real.connect_tcp(
                    address, port, _left(timeout, self._deadline), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
            else:
                return _Hurried(stream, self._deadline)
        raise trouble or httpcore.ConnectError("no address")


class _Hurried(httpcore.NetworkStream):
    """A connection that ends at the deadline, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes."""
        return self._stream.read(max_bytes, _left(timeout, self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of `buffer`."""
        self._stream.write(buffer, _left(timeout, self._deadline))

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same, in private; the certificate must be of the name that was asked for."""
        private = self._stream.start_tls(ssl_context, server_hostname, _left(timeout, self._deadline))
        return _Hurried(private, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection."""
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, deadline: float) -> float:
    """Seconds that are left. Raises httpcore.TimeoutException where none are."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("too slow in all")
    return left if timeout is None else min(timeout, left)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
