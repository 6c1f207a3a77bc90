"""The receipt token: whoever holds it may follow the report without an account.

It is made from the installation's secret and the report's id (HMAC-SHA-256, 128 bits kept), so it can be given again
to a repeated submission and is stored nowhere.
"""

from __future__ import annotations

import base64
import hmac
from functools import cache
from uuid import UUID

from city.settings import settings


def receipt_token(report_id: UUID) -> str:
    """The 26 letters that open this report to its reporter."""
    keyed = _keyed(settings().secret).copy()
    keyed.update(report_id.bytes)
    return base64.b32encode(keyed.digest()[:16]).decode().rstrip("=").lower()


@cache
def _keyed(secret: str) -> hmac.HMAC:
    """The beginning of every token: to make it anew each time costs more than all the rest."""
    return hmac.new(secret.encode(), b"receipt:", "sha256")


def opens(token: str, report_id: UUID) -> bool:
    """Whether `token` is this report's, in constant time."""
    return hmac.compare_digest(token.strip().lower().encode(), receipt_token(report_id).encode())
