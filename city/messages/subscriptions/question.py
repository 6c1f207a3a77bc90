"""The letter that asks the owner of an address whether they want what was asked for."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.messages.letter import Letter
from city.messages.posting import About, Kind
from city.messages.recipients import Recipient
from city.messages.subscriptions import own_links
from city.messages.subscriptions.tables import Subscriber, Subscription
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.reports.tables import Report
from city.settings import settings
from city.texts import text


def described(session: ReadSession, municipality: MunicipalityView, subscription: Subscription, language: str) -> str:
    """What somebody asked for, in a line."""
    say = partial(text, language=language)
    number = session.scalar(
        select(Report.number).where(Report.municipality_id == municipality.id, Report.id == subscription.report_id)
    )
    names = {category.group.slug: category.group.name(language) for category in municipality.categories.values()}
    values: dict[str, Any] = {
        "number": number or "",
        "things": say(f"subscriptions.what_{_things(subscription)}"),
        "municipality": municipality.name,
        "metres": round(subscription.metres or 0),
        "zone": municipality.zone_name(subscription.zone or ""),
    }
    line = say(f"subscriptions.{subscription.kind}", **values)
    if subscription.groups:
        line += ": " + ", ".join(names.get(slug, slug) for slug in subscription.groups)
    return line


def _things(subscription: Subscription) -> str:
    if subscription.reports and subscription.notices:
        return "both"
    return "reports" if subscription.reports else "notices"


def _asked(session: WriteSession, municipality: MunicipalityView, about: About) -> list[Recipient]:
    row = session.execute(
        select(Subscriber.address, Subscriber.language, Subscriber.channel)
        .join(
            Subscription,
            (Subscription.municipality_id == Subscriber.municipality_id)
            & (Subscription.subscriber_id == Subscriber.id),
        )
        .where(Subscription.municipality_id == municipality.id, Subscription.id == about["subscription_id"])
    ).one_or_none()
    return [Recipient(row.address, row.language, channel=row.channel)] if row else []


def _question(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    subscription = session.get(Subscription, (municipality.id, delivery.about["subscription_id"]))
    if subscription is None or subscription.confirmed_at is not None:
        return None
    say = partial(text, language=delivery.language)
    what = described(session, municipality, subscription, delivery.language)
    base = settings().public_url.rstrip("/")
    token = own_links.confirmation(municipality.id, subscription.id)
    return Letter(
        subject=say("subscriptions.confirm_subject", municipality=municipality.name),
        heading=say("subscriptions.confirm_heading"),
        happened=[say("subscriptions.confirm_asked", what=what), say("subscriptions.confirm_otherwise")],
        link=f"{base}/subscriptions/confirm/{token}",
        footer=say("subscriptions.confirm_footer", municipality=municipality.name),
        button=say("subscriptions.confirm_button"),
        confirm=token,
    )


CONFIRMATION: Final = Kind(_asked, _question)
