"""The receipt token: whoever holds it may follow the report without an account.

It is made from the installation's secret and the report's id (HMAC-SHA-256, 128 bits kept), so it can be given again
to a repeated submission and is stored nowhere.
"""

from __future__ import annotations

import base64
import hmac
from uuid import UUID

from city.settings import settings


def receipt_token(report_id: UUID) -> str:
    """The 26 letters that open this report to its reporter."""
    digest = hmac.digest(settings().secret.encode(), b"receipt:" + report_id.bytes, "sha256")
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def opens(token: str, report_id: UUID) -> bool:
    """Whether `token` is this report's, in constant time."""
    return hmac.compare_digest(token.strip().lower().encode(), receipt_token(report_id).encode())
