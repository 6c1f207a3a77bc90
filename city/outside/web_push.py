"""Web Push: a message for one browser, by way of its maker's push service, which cannot read it.

Encrypted for the browser (RFC 8291), signed by this installation (VAPID, RFC 8292), sent (RFC 8030). The signing key is
made from the installation's secret, as links and seals are: every machine has the same, and nothing more is to be kept.
A new `LAMPIONE_SECRET` is a new key, and ends the subscriptions of all browsers, whose sealed keys nobody could open
any more either; a browser sees that our public key is another one, and asks again.
"""

from __future__ import annotations

import base64
import binascii
import time
from email.utils import parseaddr
from functools import cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from city.errors import InvalidInput
from city.outside.strangers import Answer, Door, call
from city.settings import settings

MOST_BYTES: Final = 3_993
"""Of a message before it is encrypted: what every push service takes (RFC 8291, 4)."""
SIGNED_FOR_SECONDS: Final = 12 * 3600
_AUTH_BYTES: Final = 16


class Browser(NamedTuple):
    """Where a browser is reached, its public key and the secret it shares with us, as it gives them (base64url)."""

    endpoint: str
    p256dh: str
    auth: str


class Parcel(NamedTuple):
    """What is sent: `topic` names what a later one replaces while the browser is away."""

    content: bytes
    seconds_to_live: int
    topic: str = ""
    urgency: str = "normal"


def check_keys(browser: Browser) -> None:
    """Raises InvalidInput where they are no keys of a browser."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _bytes(browser.p256dh))
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("push.no_key", field="push.keys.p256dh") from error
    try:
        secret = _bytes(browser.auth)
    except (ValueError, binascii.Error):
        secret = b""
    if len(secret) != _AUTH_BYTES:
        raise InvalidInput("push.no_secret", field="push.keys.auth")


def public_key() -> str:
    """What a browser wants to know before it subscribes (`applicationServerKey`)."""
    return _text(_point(_signing_key(settings().secret)))


def post(door: Door, browser: Browser, parcel: Parcel) -> Answer:
    """Give it to the push service. Raises NotAllowed, Unavailable where it is silent."""
    headers = {
        "Authorization": f"vapid t={_proof(browser.endpoint)}, k={public_key()}",
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(parcel.seconds_to_live),
        "Urgency": parcel.urgency,
        **({"Topic": parcel.topic} if parcel.topic else {}),
    }
    return call("POST", door, headers=headers, body=encrypted(browser, parcel.content))


def encrypted(
    browser: Browser, content: bytes, *, key: ec.EllipticCurvePrivateKey | None = None, salt: bytes | None = None
) -> bytes:
    """`content` that only the browser can read; under a key of this message's own, unless one is given."""
    sealed: bytes = http_ece.encrypt(
        content,
        salt=salt,
        private_key=key or ec.generate_private_key(ec.SECP256R1()),
        dh=_bytes(browser.p256dh),
        auth_secret=_bytes(browser.auth),
        version="aes128gcm",
    )
    return sealed


def _proof(endpoint: str) -> str:
    """That it comes from us, for this push service and half a day only."""
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time()) + SIGNED_FOR_SECONDS,
        "sub": f"mailto:{parseaddr(settings().mail_from)[1]}",
    }
    return jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, ECKey(_signing_key(settings().secret), None, None))


@cache
def _signing_key(secret: str) -> ec.EllipticCurvePrivateKey:
    """48 bytes of the secret, taken into the group's order: the bias is far below what could ever be seen."""
    drawn = HKDF(SHA256(), 48, salt=None, info=b"lampione vapid").derive(secret.encode())
    order = ec.SECP256R1().group_order
    return ec.derive_private_key(int.from_bytes(drawn) % (order - 1) + 1, ec.SECP256R1())


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _bytes(words: str) -> bytes:
    padded = words + "=" * (-len(words) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
