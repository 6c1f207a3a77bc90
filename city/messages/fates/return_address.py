"""Where a mail comes back to: an address of its own, which proves that it is about this delivery.

The proof is made from the installation's secret. It stands in the envelope's sender and in the Message-ID, which
servers quote when they give a mail back; whoever has not seen that very mail cannot make one.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

from city import links
from city.messages.tables import Delivery
from city.settings import settings

_PURPOSE: Final = "bounce"
_UUID_BYTES: Final = 16


class Named(NamedTuple):
    """A delivery, and whose."""

    municipality_id: int
    delivery_id: UUID


def token(delivery: Delivery) -> str:
    """The proof, 48 letters and figures."""
    return links.made_of_letters(_PURPOSE, delivery.id.bytes + delivery.municipality_id.to_bytes(4))


def named_by(proof: str) -> Named:
    """The delivery that a token proves. Raises NotFound where it is none of ours."""
    named = links.opened_of_letters(_PURPOSE, proof)
    return Named(int.from_bytes(named[_UUID_BYTES:]), UUID(bytes=named[:_UUID_BYTES]))


def sender(delivery: Delivery) -> str | None:
    """The envelope's sender; None where the settings name no address for it: the letter's own sender."""
    name, _, domain = settings().bounce_address.partition("@")
    return f"{name}+{token(delivery)}@{domain}" if name else None
