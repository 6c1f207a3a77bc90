"""A webhook by Standard Webhooks: JSON, signed, under an id that a repeat has again.

https://www.standardwebhooks.com: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64 HMAC-SHA-256>` over
`id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from typing import Any, Final

import orjson

from city.errors import InvalidInput
from city.outside.strangers import Answer, Door, call

PREFIX: Final = "whsec_"
SHORTEST_KEY: Final = 24
_KEY_BYTES: Final = 32
LONGEST_REFERENCE: Final = 100


def new_secret() -> str:
    """A secret as the standard writes it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The bytes that a secret stands for: base64 after `whsec_`, else as it is written. Raises InvalidInput."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else b""
    except binascii.Error as error:
        raise InvalidInput("bodies.secret_needed", field="secret") from error
    key = key or secret.encode()
    if len(key) < SHORTEST_KEY:
        raise InvalidInput("bodies.secret_needed", field="secret")
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """What proves that `body` comes from whoever has the key."""
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def post(door: Door, signed_with: Sequence[str], message_id: str, payload: dict[str, Any]) -> Answer:
    """Send it, signed with each of these secrets. Raises NotAllowed, Unavailable."""
    body, timestamp = orjson.dumps(payload), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(key_of(secret), message_id, timestamp, body) for secret in signed_with),
    }
    return call("POST", door, headers=headers, body=body)


def reference_in(answer: Answer) -> str | None:
    """Their own number, where the answer names one as `reference` or `id`."""
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    for name in ("reference", "id"):
        if isinstance(said, dict) and isinstance(said.get(name), str | int) and str(said[name]).isprintable():
            return str(said[name])[:LONGEST_REFERENCE] or None
    return None
