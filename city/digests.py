"""Digests of secrets: of a long random one, and of what could be guessed (an address, a fiscal number, six figures)."""

from __future__ import annotations

import hashlib
import hmac

from city.settings import settings


def digest(token: str) -> bytes:
    """What is kept of a random token (SHA-256): whoever steals it opens nothing."""
    return hashlib.sha256(token.encode()).digest()


def keyed(purpose: str, said: bytes) -> bytes:
    """What only this installation can make of `said`, for one purpose (HMAC-SHA-256)."""
    return hmac.digest(settings().secret.encode(), purpose.encode() + b":" + said, hashlib.sha256)
