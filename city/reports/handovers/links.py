"""The link by which somebody without an account says what has become of a report in their hands.

Its secret is made from the installation's own, the hand-over's id and the link's serial (HMAC-SHA-256, 160 bits), so
that a letter sent again holds the same one; kept is only its SHA-256, by which it is found.
"""

from __future__ import annotations

import base64
from uuid import UUID

from city.digests import digest, keyed
from city.settings import settings


def link_token(handover_id: UUID, serial: int) -> str:
    """The 32 letters that open this hand-over to whoever has it."""
    proof = keyed("handover", handover_id.bytes + serial.to_bytes(4))
    return base64.b32encode(proof[:20]).decode().lower()


def link_hash(token: str) -> bytes:
    """What is kept of it."""
    return digest(token.strip().lower())


def link_address(token: str) -> str:
    """The page it opens."""
    return f"{settings().public_url.rstrip('/')}/h/{token}"
