"""Secrets of others that we must be able to read again: sealed with a key made from the installation's secret.

Whoever has the database alone cannot read them. A new `LAMPIONE_SECRET` makes them unreadable, as it does old links.
"""

from __future__ import annotations

import secrets
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from city.errors import Unavailable
from city.settings import settings

_NONCE = 12


def sealed(secret: str, purpose: str) -> bytes:
    """`secret`, readable only with this installation's secret and for the same purpose (AES-256-GCM)."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _key(settings().secret).encrypt(nonce, secret.encode(), purpose.encode())


def unsealed(kept: bytes, purpose: str) -> str:
    """What was sealed. Raises Unavailable where the installation's secret is another one now."""
    try:
        return _key(settings().secret).decrypt(kept[:_NONCE], kept[_NONCE:], purpose.encode()).decode()
    except InvalidTag as error:
        raise Unavailable("problem.sealed_by_other") from error


@cache
def _key(secret: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"lampione sealing").derive(secret.encode()))
