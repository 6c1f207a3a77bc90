"""Addresses that are secrets: what they name, and proof (HMAC-SHA-256, 128 bits kept) that this installation made them.

They are made from the installation's secret, so they are kept nowhere and can be given again.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

from city.digests import keyed
from city.errors import NotFound

_PROOF_BYTES: Final = 16
_SHORT_PROOF_BYTES: Final = 10


def made(purpose: str, named: bytes) -> str:
    """The secret part of an address that names `named`, for one purpose only."""
    return base64.urlsafe_b64encode(named + _proof(purpose, named)).decode().rstrip("=")


def opened(purpose: str, token: str) -> bytes:
    """What such an address names. Raises NotFound where we have not made it for this purpose."""
    try:
        raw = base64.urlsafe_b64decode(token.strip() + "=" * (-len(token.strip()) % 4))
    except (ValueError, binascii.Error):
        raise NotFound("problem.link_not_good", field="token") from None
    named, proof = raw[:-_PROOF_BYTES], raw[-_PROOF_BYTES:]
    if len(raw) <= _PROOF_BYTES or not hmac.compare_digest(proof, _proof(purpose, named)):
        raise NotFound("problem.link_not_good", field="token")
    return named


def made_of_letters(purpose: str, named: bytes) -> str:
    """As `made`, of small letters and figures only, proven by 80 bits: mail servers may change capital letters."""
    return base64.b32encode(named + _proof(purpose, named)[:_SHORT_PROOF_BYTES]).decode().rstrip("=").lower()


def opened_of_letters(purpose: str, token: str) -> bytes:
    """What such a token names. Raises NotFound where we have not made it for this purpose."""
    try:
        raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
    except (ValueError, binascii.Error):
        raise NotFound("problem.link_not_good", field="token") from None
    named, proof = raw[:-_SHORT_PROOF_BYTES], raw[-_SHORT_PROOF_BYTES:]
    if len(raw) <= _SHORT_PROOF_BYTES or not hmac.compare_digest(proof, _proof(purpose, named)[:_SHORT_PROOF_BYTES]):
        raise NotFound("problem.link_not_good", field="token")
    return named


def _proof(purpose: str, named: bytes) -> bytes:
    return keyed(purpose, named)[:_PROOF_BYTES]
