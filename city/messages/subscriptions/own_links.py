"""The links that are a subscriber's own: to say yes, to their page, and to end with a click what a letter was sent for.

They are kept nowhere: each is made from the installation's secret.
"""

from __future__ import annotations

from uuid import UUID

from city import links
from city.settings import settings


def confirmation(municipality_id: int, subscription_id: int) -> str:
    """What opens the page on which a wish is confirmed."""
    return links.made("confirm", municipality_id.to_bytes(4) + subscription_id.to_bytes(8))


def to_confirm(token: str) -> tuple[int, int]:
    """Municipality and subscription of a link to confirm. Raises NotFound."""
    named = links.opened("confirm", token)
    return int.from_bytes(named[:4]), int.from_bytes(named[4:])


def key_of(municipality_id: int, subscriber_id: UUID) -> str:
    """What opens the page on which a subscriber keeps the subscriptions."""
    return links.made("subscriber", municipality_id.to_bytes(4) + subscriber_id.bytes)


def home_of(token: str) -> tuple[int, UUID]:
    """Municipality and subscriber of a link to one's subscriptions. Raises NotFound."""
    named = links.opened("subscriber", token)
    return int.from_bytes(named[:4]), UUID(bytes=named[4:])


def page_of(municipality_id: int, subscriber_id: UUID) -> str:
    """That page."""
    return f"{settings().public_url.rstrip('/')}/subscriptions/{key_of(municipality_id, subscriber_id)}"


def end_of(municipality_id: int, delivery_id: UUID, subscriber_id: UUID) -> str:
    """What ends with one click what a letter was sent for (RFC 8058)."""
    token = links.made("unsubscribe", delivery_id.bytes + municipality_id.to_bytes(4) + subscriber_id.bytes)
    return f"{settings().public_url.rstrip('/')}/unsubscribe/{token}"


def to_end(token: str) -> tuple[int, UUID, UUID | None]:
    """Municipality, letter and subscriber of a link to end; one of long ago names no subscriber. Raises NotFound."""
    named = links.opened("unsubscribe", token)
    return int.from_bytes(named[16:20]), UUID(bytes=named[:16]), UUID(bytes=named[20:]) if named[20:] else None
