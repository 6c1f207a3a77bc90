"""What a citizen has asked for and been sent, in all municipalities, by the address that they have proved."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import func, select

from city.database import ReadSession
from city.errors import NotFound
from city.messages.subscriptions import subscribing
from city.messages.subscriptions.tables import Subscriber, Subscription
from city.messages.tables import Delivery
from city.registry.municipality import Registry
from city.reports.tables import Report


def asked_for(
    session: ReadSession, municipality_ids: Collection[int], address: str
) -> list[tuple[Subscriber, list[Subscription]]]:
    """The subscriber with that address in each of these municipalities, and what they have said yes to."""
    found = session.scalars(
        select(Subscriber)
        .where(
            Subscriber.municipality_id.in_(municipality_ids),
            Subscriber.channel == "email",
            func.lower(Subscriber.address) == func.lower(address),
        )
        .order_by(Subscriber.municipality_id)
    )
    return [subscribing.subscriber(session, one.municipality_id, one.id) for one in found]


def asked_for_here(
    session: ReadSession, municipality_id: int, address: str | None
) -> tuple[Subscriber, list[Subscription]]:
    """The same for one municipality. Raises NotFound where nothing is asked for."""
    found = asked_for(session, [municipality_id], address) if address else []
    if not found:
        raise NotFound("subscriptions.gone")
    return found[0]


def letters(session: ReadSession, registry: Registry, addresses: Collection[str]) -> list[dict[str, Any]]:
    """Every letter to one of those addresses (in small letters), newest first, as JSON values; not those to staff about
    their work.
    """
    rows = session.execute(
        select(Delivery, Report.number)
        .outerjoin(Report, (Report.municipality_id == Delivery.municipality_id) & (Report.id == Delivery.report_id))
        .where(func.lower(Delivery.address).in_(addresses), Delivery.person_id.is_(None))
        .order_by(Delivery.created_at.desc(), Delivery.id)
    )
    slugs = {here.id: here.slug for here in registry.municipalities.values()}
    return [
        {
            "municipality": slugs.get(one.municipality_id),
            "kind": one.kind,
            "report": number,
            "channel": one.channel,
            "language": one.language,
            "subject": one.subject,
            "state": one.state,
            "created_at": one.created_at.isoformat(),
            "sent_at": one.sent_at.isoformat() if one.sent_at else None,
        }
        for one, number in rows
    ]
