"""The addresses that are a subscriber's own: their page, and the click that ends what a letter was sent for."""

from __future__ import annotations

from uuid import UUID

from city import links
from city.settings import settings


def key_of(municipality_id: int, subscriber_id: UUID) -> str:
    """What opens the page on which a subscriber keeps the subscriptions."""
    return links.made("subscriber", municipality_id.to_bytes(4) + subscriber_id.bytes)


def page_of(municipality_id: int, subscriber_id: UUID) -> str:
    """That page."""
    return f"{settings().public_url.rstrip('/')}/subscriptions/{key_of(municipality_id, subscriber_id)}"


def end_of(municipality_id: int, delivery_id: UUID, subscriber_id: UUID) -> str:
    """What ends with one click what a letter was sent for (RFC 8058)."""
    token = links.made("unsubscribe", delivery_id.bytes + municipality_id.to_bytes(4) + subscriber_id.bytes)
    return f"{settings().public_url.rstrip('/')}/unsubscribe/{token}"
