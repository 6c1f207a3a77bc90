"""Asking to hear of something, saying yes to it, changing one's mind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final
from uuid import UUID

from geoalchemy2.shape import to_shape
from shapely import is_valid, is_valid_reason
from shapely.geometry.base import BaseGeometry
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from city.database import ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.messages.drawing import AREAS, drawn
from city.messages.fates import pausing
from city.messages.subscriptions.matching import EVERYWHERE, NOTICES, REPORTS, zone_number
from city.messages.subscriptions.tables import Subscriber, Subscription, SubscriptionCell
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.registry.tables import Municipality
from city.reports import journey
from city.reports.hearing import check_quiet
from city.reports.tables import Report
from geo.covers import Cover, circle, covering_cells
from geo.nearby import extended_wkb, square_of
from geo.place import Place

CONFIRM_WITHIN: Final = timedelta(days=2)
MOST_EACH: Final = 30
LEAST_METRES, MOST_METRES = 50.0, 20_000.0
MOST_CORNERS: Final = 500


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to hear of: one report, a circle, a polygon (GeoJSON), a zone, or (none) everything."""

    report: str | None = None
    place: Place | None = None
    metres: float | None = None
    polygon: str | None = None
    zone: str | None = None
    """`layer/code`."""
    groups: Sequence[str] | None = None
    reports: bool = True
    notices: bool = True


def ask(
    session: WriteSession,
    municipality: MunicipalityView,
    wish: Wish,
    *,
    address: str,
    language: str,
    rhythm: str,
    channel: str = "email",
    sealed: bytes | None = None,
    is_proved: bool = False,
) -> Subscription:
    """Note a wish and write to the address by its channel: nothing is told before its owner has said yes.

    Where whoever asks has proved that the address is theirs, that is the yes.
    Raises InvalidInput, NotFound; Conflict where the address has enough already.
    """
    wish = replace(wish, groups=municipality.known_groups(wish.groups))
    found = _checked(session, municipality, wish)
    session.execute(
        insert(Subscriber)
        .values(
            municipality_id=municipality.id,
            channel=channel,
            address=address,
            sealed=sealed,
            language=language,
            rhythm=rhythm,
        )
        .on_conflict_do_nothing()
    )
    subscriber = session.scalars(
        select(Subscriber)
        .where(
            Subscriber.municipality_id == municipality.id,
            Subscriber.channel == channel,
            func.lower(Subscriber.address) == address.lower(),
        )
        .with_for_update()
    ).one()
    known = _subscriptions(session, subscriber)
    subscription = next(
        (one for one in known if found.report_id is not None and one.report_id == found.report_id), None
    )
    if subscription is None and len(known) >= MOST_EACH:
        raise Conflict("subscriptions.enough", field=channel, most=MOST_EACH)
    if subscription is None:
        subscription = _noted(session, subscriber, wish, found)
    elif subscription.confirmed_at is not None:
        return subscription
    if is_proved:
        return confirm(session, municipality.id, subscription.id)
    journey.letters(session, municipality.id, "subscription", subscription_id=subscription.id)
    return subscription


@dataclass(frozen=True, slots=True)
class _Found:
    kind: str
    area: BaseGeometry | None = None
    report_id: UUID | None = None


def _noted(session: WriteSession, subscriber: Subscriber, wish: Wish, found: _Found) -> Subscription:
    subscription = Subscription(
        municipality_id=subscriber.municipality_id,
        subscriber_id=subscriber.id,
        kind=found.kind,
        report_id=found.report_id,
        lon=wish.place.lon if wish.place else None,
        lat=wish.place.lat if wish.place else None,
        metres=wish.metres if found.kind == "circle" else None,
        shape=extended_wkb(found.area) if found.kind == "polygon" and found.area is not None else None,
        zone=wish.zone,
        groups=[*wish.groups] if wish.groups else None,
        reports=wish.reports,
        notices=wish.notices,
    )
    session.add(subscription)
    session.flush()
    return subscription


def _checked(session: ReadSession, municipality: MunicipalityView, wish: Wish) -> _Found:
    if not (wish.reports or wish.notices):
        raise InvalidInput("subscriptions.of_nothing", field="reports")
    if wish.report is not None:
        report_id = session.scalar(
            select(Report.id).where(
                Report.municipality_id == municipality.id, Report.number == wish.report, Report.is_public
            )
        )
        if report_id is None:
            raise NotFound("reports.not_found", value=wish.report)
        return _Found("report", report_id=report_id)
    if wish.zone is not None:
        if municipality.zone_in_force(wish.zone, municipality.today()) is None:
            raise InvalidInput("subscriptions.no_zone", field="zone", value=wish.zone)
        return _Found("zone")
    if wish.polygon is not None:
        return _Found("polygon", area=_polygon(wish.polygon))
    if wish.place is not None:
        metres = wish.metres or 0.0
        if not LEAST_METRES <= metres <= MOST_METRES:
            raise InvalidInput("subscriptions.metres", field="metres", least=int(LEAST_METRES), most=int(MOST_METRES))
        return _Found("circle")
    return _Found("municipality")


def _polygon(geojson: str) -> BaseGeometry:
    area = drawn(geojson, AREAS, field="polygon", most_corners=MOST_CORNERS)
    if not is_valid(area):
        raise InvalidInput("subscriptions.polygon_crosses", field="polygon", problem=is_valid_reason(area))
    return area


def confirm(session: WriteSession, municipality_id: int, subscription_id: int) -> Subscription:
    """The owner of the address says yes; saying it again changes nothing. Raises NotFound where it was too late."""
    subscription = session.get(Subscription, (municipality_id, subscription_id), with_for_update=True)
    if subscription is None:
        raise NotFound("subscriptions.gone")
    if subscription.confirmed_at is None:
        subscription.confirmed_at = datetime.now(UTC)
        session.add_all(_cells(subscription))
        session.execute(
            update(Municipality)
            .where(Municipality.id == municipality_id, ~Municipality.has_subscribers)
            .values(has_subscribers=True)
        )
    return subscription


def _cells(subscription: Subscription) -> list[SubscriptionCell]:
    """Where the subscription is to be found."""
    square = None
    if subscription.kind == "report":
        return []
    if subscription.kind == "zone" and subscription.zone is not None:
        cells = [Cover(zone_number(subscription.zone), is_inside=True)]
    elif subscription.kind == "polygon" and subscription.shape is not None:
        cells = covering_cells(to_shape(subscription.shape))
    elif subscription.lon is not None and subscription.lat is not None and subscription.metres is not None:
        cells = covering_cells(circle(Place(subscription.lon, subscription.lat), subscription.metres))
        square = square_of(subscription.metres)
    else:
        cells = [Cover(EVERYWHERE, is_inside=True)]
    return [
        SubscriptionCell(
            municipality_id=subscription.municipality_id,
            cell=cell.cell,
            subscription_id=subscription.id,
            subscriber_id=subscription.subscriber_id,
            is_inside=cell.is_inside,
            wishes=REPORTS * subscription.reports + NOTICES * subscription.notices,
            lon=subscription.lon if square and not cell.is_inside else None,
            lat=subscription.lat if square and not cell.is_inside else None,
            square=square if not cell.is_inside else None,
            groups=subscription.groups,
        )
        for cell in cells
    ]


def wished(session: ReadSession, municipality_id: int, subscription_id: int) -> Subscription:
    """A wish, confirmed or not. Raises NotFound."""
    subscription = session.get(Subscription, (municipality_id, subscription_id))
    if subscription is None:
        raise NotFound("subscriptions.gone")
    return subscription


def subscriber(
    session: ReadSession, municipality_id: int, subscriber_id: UUID
) -> tuple[Subscriber, list[Subscription]]:
    """A subscriber and what they have said yes to. Raises NotFound."""
    found = session.get(Subscriber, (municipality_id, subscriber_id))
    if found is None:
        raise NotFound("subscriptions.gone")
    return found, [one for one in _subscriptions(session, found) if one.confirmed_at is not None]


def change(
    session: WriteSession, found: Subscriber, *, language: str, rhythm: str, quiet: tuple[time, time] | None
) -> None:
    """How somebody wants to be told from now on; if the address was paused, it is so no more.

    Raises InvalidInput where the quiet hours are none.
    """
    check_quiet(quiet)
    found.language, found.rhythm = language, rhythm
    found.quiet_from, found.quiet_until = quiet or (None, None)
    pausing.lift(session, found.municipality_id, found.address)


def end(session: WriteSession, found: Subscriber, subscription_id: int | None) -> None:
    """End one subscription, or (None) all: the address is then forgotten. Harmless where it has ended."""
    ended = delete(Subscription).where(
        Subscription.municipality_id == found.municipality_id, Subscription.subscriber_id == found.id
    )
    if subscription_id is not None:
        ended = ended.where(Subscription.id == subscription_id)
    session.execute(ended)
    if not _subscriptions(session, found):
        session.delete(found)
        session.flush()


def unsubscribe(session: WriteSession, municipality_id: int, delivery_id: UUID, subscriber_id: UUID | None) -> None:
    """End what a mail was sent for (RFC 8058); where the mail is forgotten, all that its reader has asked for.

    Harmless where it has ended.
    """
    delivery = session.get(Delivery, (municipality_id, delivery_id))
    if delivery is not None and "subscriber" in delivery.about:
        subscriber_id = UUID(delivery.about["subscriber"])
    found = session.get(Subscriber, (municipality_id, subscriber_id)) if subscriber_id else None
    if found is None:
        return
    for subscription_id in delivery.about.get("subscriptions", []) if delivery else [None]:
        end(session, found, subscription_id)


def forget_unconfirmed(session: WriteSession) -> None:
    """Forget wishes that nobody said yes to in two days, and addresses without any."""
    session.execute(
        delete(Subscription).where(
            Subscription.confirmed_at.is_(None), Subscription.created_at < datetime.now(UTC) - CONFIRM_WITHIN
        )
    )
    session.execute(
        delete(Subscriber).where(
            Subscriber.created_at < datetime.now(UTC) - CONFIRM_WITHIN,
            ~select(Subscription.id)
            .where(
                Subscription.municipality_id == Subscriber.municipality_id, Subscription.subscriber_id == Subscriber.id
            )
            .exists(),
        )
    )


def _subscriptions(session: ReadSession, found: Subscriber) -> list[Subscription]:
    return list(
        session.scalars(
            select(Subscription)
            .where(Subscription.municipality_id == found.municipality_id, Subscription.subscriber_id == found.id)
            .order_by(Subscription.id)
        )
    )
