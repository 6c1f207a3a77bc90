"""The follower's errand: to hear of one report, of an area, of a zone, of everything; without an account."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from api import visitor
from api.schemas.subscription import (
    PushKey,
    SubscriberOut,
    SubscriberPut,
    SubscriptionConfirmed,
    SubscriptionIn,
    SubscriptionListed,
)
from city import pacing
from city.database import ReadSession, reading, writing
from city.errors import InvalidInput
from city.messages import app_io, push
from city.messages.fates import pausing
from city.messages.subscriptions import own_links, subscribing
from city.messages.subscriptions.question import described
from city.messages.subscriptions.tables import Subscriber, Subscription
from city.outside import web_push
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.registry.sign_in import fiscal_codes

router = APIRouter(prefix="/api/v1/subscriptions", tags=["subscriptions"])

_BY_NETWORK = pacing.Pace("subscriptions network", 30, 120)
_BY_ADDRESS = pacing.Pace("subscriptions", 6, 600)

Key = Annotated[str, Path(max_length=100)]


@router.post("", status_code=202)
def subscribe(request: Request, body: SubscriptionIn) -> None:
    """Ask to hear of something, by mail or in a browser.

    Nothing is told before its owner has said yes: from the mail, or with the `confirm` of a message only that browser
    can read. The answer is the same whether or not the address is known.
    """
    municipality = view.found(lambda registry: registry.municipality(body.municipality))
    to = _address(body, municipality)
    network = visitor.network(request)
    by_network = [(_BY_NETWORK, network)] if network else []
    pacing.take((_BY_ADDRESS, f"{municipality.id} {to['address'].lower()}"), *by_network)
    with writing(municipality.id) as session:
        subscribing.ask(
            session,
            view.fresh(session).municipalities[municipality.id],
            body.wish(),
            **to,
            language=body.language,
            rhythm=body.rhythm,
        )


def _address(body: SubscriptionIn, municipality: MunicipalityView) -> dict[str, Any]:
    """Where they want to be told, as `subscribing.ask` takes it. Raises InvalidInput."""
    if body.fiscal_code is not None:
        if body.report is None or not municipality.has_app_io:
            raise InvalidInput(
                "app_io.only_cases" if municipality.has_app_io else "app_io.no_service", field="fiscal_code"
            )
        sealed = fiscal_codes.sealed(body.fiscal_code)
        return {"channel": app_io.CHANNEL, "address": fiscal_codes.alias(body.fiscal_code), "sealed": sealed}
    if body.push is None:
        return {"address": body.email}
    browser = body.push.browser()
    push.check(browser)
    return {"channel": push.CHANNEL, "address": push.address_of(browser), "sealed": push.sealed_browser(browser)}


@router.get("/push")
def find_push_key() -> PushKey:
    """The key with which a browser subscribes to messages of this installation."""
    return PushKey(key=web_push.public_key())


@router.put("/confirmations/{token}")
def confirm(token: Key) -> SubscriptionConfirmed:
    """Say yes, with the token of the mail or message."""
    municipality_id, subscription_id = own_links.to_confirm(token)
    with writing(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        subscription = subscribing.confirm(session, municipality_id, subscription_id)
        subscriber = session.get_one(Subscriber, (municipality_id, subscription.subscriber_id))
        said = listed(session, municipality, subscription, subscriber.language)
        return SubscriptionConfirmed(**said.model_dump(), key=own_links.key_of(municipality_id, subscriber.id))


@router.get("/{token}")
def list_subscriptions(token: Key) -> SubscriberOut:
    """What somebody has asked for, for whoever holds the token of a mail."""
    municipality_id, subscriber_id = own_links.home_of(token)
    with reading(municipality_id) as session:
        return shown(session, municipality_id, *subscribing.subscriber(session, municipality_id, subscriber_id))


@router.put("/{token}")
def change_how(token: Key, body: SubscriberPut) -> SubscriberOut:
    """Change language, rhythm and quiet hours."""
    municipality_id, subscriber_id = own_links.home_of(token)
    with writing(municipality_id) as session:
        subscriber, subscriptions = subscribing.subscriber(session, municipality_id, subscriber_id)
        subscribing.change(session, subscriber, language=body.language, rhythm=body.rhythm, quiet=body.quiet)
        session.flush()
        return shown(session, municipality_id, subscriber, subscriptions)


@router.delete("/{token}", status_code=204)
def end_all(token: Key) -> None:
    """End all subscriptions; the address is forgotten."""
    municipality_id, subscriber_id = own_links.home_of(token)
    with writing(municipality_id) as session:
        subscriber, _ = subscribing.subscriber(session, municipality_id, subscriber_id)
        subscribing.end(session, subscriber, None)


@router.delete("/{token}/{subscription_id}", status_code=204)
def end_one(token: Key, subscription_id: Annotated[int, Path(ge=1, lt=2**63)]) -> None:
    """End one subscription."""
    municipality_id, subscriber_id = own_links.home_of(token)
    with writing(municipality_id) as session:
        subscriber, _ = subscribing.subscriber(session, municipality_id, subscriber_id)
        subscribing.end(session, subscriber, subscription_id)


def shown(
    session: ReadSession,
    municipality_id: int,
    subscriber: Subscriber,
    subscriptions: list[Subscription],
    language: str | None = None,
) -> SubscriberOut:
    """A subscriber as they see themselves, in words of that language; None: in their own."""
    municipality = view.fresh(session).municipalities[municipality_id]
    pause = pausing.paused(session, municipality_id, subscriber.address)
    return SubscriberOut.model_validate(
        {
            "municipality": municipality.slug,
            "language": subscriber.language,
            "rhythm": subscriber.rhythm,
            "quiet_from": subscriber.quiet_from and subscriber.quiet_from.isoformat("minutes"),
            "quiet_until": subscriber.quiet_until and subscriber.quiet_until.isoformat("minutes"),
            "paused_at": pause and pause.paused_at,
            "subscriptions": [
                listed(session, municipality, one, language or subscriber.language) for one in subscriptions
            ],
        }
    )


def listed(
    session: ReadSession, municipality: MunicipalityView, subscription: Subscription, language: str
) -> SubscriptionListed:
    """One subscription, in words too."""
    return SubscriptionListed.model_validate(
        {
            "id": subscription.id,
            "kind": subscription.kind,
            "says": described(session, municipality, subscription, language),
            "groups": subscription.groups,
            "reports": subscription.reports,
            "notices": subscription.notices,
        }
    )
