"""Whether the link of a letter to citizens was opened: when first, and how often. Nothing of who, with what or where.

Only where the settings say so. The address that is opened says itself where it leads on, proven by us: it works without
the delivery, and leads nowhere else. What stands behind the # never reaches us: browsers carry it on by themselves.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, update

from city import links
from city.database import WriteSession
from city.messages.tables import Delivery
from city.settings import settings

NOTED: Final = frozenset({"report", "question_reminder", "tidings", "notice"})
"""The kinds of letters that go to citizens about what happens."""
TOO_SOON: Final = timedelta(seconds=15)
"""Programs that look at mails before people do open every link at once: they are not counted."""

_PURPOSE: Final = "opened"


class Way(NamedTuple):
    """Of whose delivery a link is, and where it leads: a path of ours."""

    municipality_id: int
    delivery_id: UUID
    path: str


def through(delivery: Delivery, link: str) -> str:
    """`link`, leading past us where openings are noted and it leads to us anyway."""
    if not is_noted(delivery.kind, link):
        return link
    base = _base()
    path, mark, fragment = link.removeprefix(base).partition("#")
    named = delivery.municipality_id.to_bytes(4) + delivery.id.bytes + path.encode()
    return f"{base}/l/{links.made(_PURPOSE, named)}{mark}{fragment}"


def is_noted(kind: str, link: str) -> bool:
    """Whether it is noted that this link of such a letter is opened."""
    return settings().note_opened_links and kind in NOTED and link.startswith(f"{_base()}/")


def _base() -> str:
    return settings().public_url.rstrip("/")


def way_of(token: str) -> Way:
    """Where such an address leads. Raises NotFound where we have not made it."""
    named = links.opened(_PURPOSE, token)
    return Way(int.from_bytes(named[:4]), UUID(bytes=named[4:20]), named[20:].decode())


def note(session: WriteSession, way: Way) -> None:
    """Count an opening, unless it was too soon for a person. Harmless where the delivery is forgotten."""
    session.execute(
        update(Delivery)
        .where(
            Delivery.municipality_id == way.municipality_id,
            Delivery.id == way.delivery_id,
            Delivery.sent_at < func.now() - TOO_SOON,
        )
        .values(openings=Delivery.openings + 1, opened_at=func.coalesce(Delivery.opened_at, func.now()))
    )
