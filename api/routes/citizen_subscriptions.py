"""The errand of a citizen who signs in and wants to hear of things: the address is proved, so nothing is confirmed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.access import Citizen
from api.routes.subscriptions import listed, shown
from api.schemas.base import Slug
from api.schemas.subscription import SubscriberOut, SubscriberPut, SubscriptionListed, WishIn
from city import pacing
from city.database import provincial, writing
from city.errors import InvalidInput
from city.messages.subscriptions import own as own_subscriptions
from city.messages.subscriptions import subscribing
from city.registry import view
from city.registry.municipality import MunicipalityView

router = APIRouter(prefix="/api/v1/citizen/subscriptions", tags=["citizen"])

_PACE = pacing.Pace("citizen subscriptions", 60, 30)


@router.get("")
def list_own_subscriptions(citizen: Citizen) -> list[SubscriberOut]:
    """What one has asked for, by municipality, and how one wants to be told there."""
    if citizen.email is None:
        return []
    with provincial() as session:
        found = own_subscriptions.asked_for(session, view.fresh(session).municipalities, citizen.email)
        return [shown(session, one.municipality_id, one, wishes) for one, wishes in found if wishes]


@router.post("", status_code=201)
def subscribe(body: WishIn, citizen: Citizen) -> SubscriptionListed:
    """Ask to hear of something by mail, from now on. To follow a report, name it."""
    if citizen.email is None:
        raise InvalidInput("citizens.address_needed", field="email")
    pacing.take((_PACE, str(citizen.id)))
    with writing(_municipality(body.municipality).id) as session:
        municipality = view.fresh(session).slugs[body.municipality]
        subscription = subscribing.ask(
            session,
            municipality,
            body.wish(),
            address=citizen.email,
            language=citizen.language,
            rhythm=body.rhythm,
            is_proved=True,
        )
        return listed(session, municipality, subscription, citizen.language)


@router.put("/{municipality}")
def change_how(municipality: Slug, body: SubscriberPut, citizen: Citizen) -> SubscriberOut:
    """Change language, rhythm and quiet hours of what one has asked for there."""
    here = _municipality(municipality)
    with writing(here.id) as session:
        subscriber, wishes = own_subscriptions.asked_for_here(session, here.id, citizen.email)
        subscribing.change(session, subscriber, language=body.language, rhythm=body.rhythm, quiet=body.quiet)
        session.flush()
        return shown(session, here.id, subscriber, wishes)


@router.delete("/{municipality}", status_code=204)
def end_all(municipality: Slug, citizen: Citizen) -> None:
    """End all subscriptions there."""
    _end(municipality, citizen, None)


@router.delete("/{municipality}/{subscription_id}", status_code=204)
def end_one(municipality: Slug, subscription_id: Annotated[int, Path(ge=1, lt=2**63)], citizen: Citizen) -> None:
    """End one subscription."""
    _end(municipality, citizen, subscription_id)


def _end(municipality: str, citizen: Citizen, subscription_id: int | None) -> None:
    here = _municipality(municipality)
    with writing(here.id) as session:
        subscriber, _ = own_subscriptions.asked_for_here(session, here.id, citizen.email)
        subscribing.end(session, subscriber, subscription_id)


def _municipality(slug: str) -> MunicipalityView:
    return view.found(lambda registry: registry.municipality(slug))
