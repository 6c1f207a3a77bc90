"""A push service on this machine, and browsers behind it: they alone can read what comes (RFC 8291), and it looks at
who signed it (RFC 8292) before it takes it (RFC 8030).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from city.outside import web_push
from city.outside.strangers import Door
from tests.trials import at_work


def text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def bytes_of(words: str) -> bytes:
    return base64.urlsafe_b64decode(words + "=" * (-len(words) % 4))


@dataclass
class Browser:
    """A browser that has subscribed with the installation's `key`, and what it was shown."""

    endpoint: str
    key: str
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))
    messages: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """What the service answers first, before it takes a message."""

    @property
    def subscription(self) -> dict[str, Any]:
        """As `PushSubscription.toJSON()` gives it."""
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": text_of(point), "auth": text_of(self.auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        """Decrypt a message and keep it."""
        content = http_ece.decrypt(body, private_key=self.private, auth_secret=self.auth, version="aes128gcm")
        self.messages.append(json.loads(content))
        self.headers.append(headers)


class PushService(ThreadingHTTPServer):
    """Takes messages for its browsers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.browsers: dict[str, Browser] = {}

    @property
    def host(self) -> str:
        """Its name and port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def browser(self, key: str) -> Browser:
        """A new one, that lets only the holder of `key` write to it."""
        path = f"/push/{len(self.browsers)}-Ab"
        self.browsers[path] = Browser(f"http://{self.host}{path}", key)
        return self.browsers[path]

    def is_signed(self, authorization: str, key: str) -> bool:
        """Whether it comes from whoever has the private part of `key`, for this service, and now."""
        kind, _, rest = authorization.partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        signed, _, signature = parts["t"].rpartition(".")
        header, claims = (json.loads(bytes_of(part)) for part in signed.split("."))
        raw = bytes_of(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes_of(key))
        try:
            point.verify(der, signed.encode(), ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return (
            kind == "vapid"
            and parts["k"] == key
            and header == {"typ": "JWT", "alg": "ES256"}
            and claims["aud"] == f"http://{self.host}"
            and time.time() < claims["exp"] <= time.time() + 86_400
            and claims["sub"] == "mailto:lampione@localhost"
        )


def door_of(browser: web_push.Browser) -> Door:
    """As `push.door_of` gives it, but on this machine."""
    return Door(browser.endpoint, is_internal=True)


class _Handler(BaseHTTPRequestHandler):
    server: PushService

    def do_POST(self) -> None:
        """Take a message, or not."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        browser = self.server.browsers.get(self.path)
        self.send_response(self._status(browser, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _status(self, browser: Browser | None, body: bytes) -> int:
        if browser is None:
            return 404
        if not self.server.is_signed(self.headers["Authorization"], browser.key):
            return 403
        if self.headers["Content-Encoding"] != "aes128gcm" or "TTL" not in self.headers:
            return 400
        if browser.answers:
            return browser.answers.pop(0)
        browser.take(body, {name.lower(): value for name, value in self.headers.items()})
        return 201

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def pushing() -> Iterator[PushService]:
    """A push service that serves."""
    with at_work(PushService()) as server:
        yield server
