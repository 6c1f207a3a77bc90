"""A mail has come back: to which delivery it belongs, and what follows."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select

from city.database import WriteSession
from city.errors import NotFound
from city.messages.fates import pausing
from city.messages.fates.return_address import Named, named_by
from city.messages.handovers.letters import NAME as HANDOVER
from city.messages.subscriptions import subscribing
from city.messages.tables import Delivery
from city.outside import returned
from city.outside.mail_status import Bounce
from city.outside.returned import Kind
from city.reports import journey


class Heard(NamedTuple):
    """What a mail is, and to which delivery it belongs, if it can prove that it does."""

    kind: Kind
    bounce: Bounce | None
    status: str
    about: Named | None

    @property
    def is_ours(self) -> bool:
        """Whether nobody but us needs it: an answer of a program to a mail of ours."""
        return self.about is not None and self.kind is not Kind.OTHER


def hear(raw: bytes) -> Heard:
    """What a mail says; never raises. Without a proof it says nothing that counts."""
    found = returned.read(raw)
    return Heard(found.kind, found.bounce, found.status, _first_proven(found.tokens))


def _first_proven(tokens: tuple[str, ...]) -> Named | None:
    for token in tokens:
        try:
            return named_by(token)
        except NotFound:
            continue
    return None


def settle(session: WriteSession, heard: Heard) -> None:
    """Note what came back on its delivery; a complaint ends what the mail was sent for. May come twice."""
    if heard.about is None or heard.bounce is None:
        return
    delivery = _locked(session, *heard.about)
    if delivery is None:
        return
    pausing.note(session, delivery, heard.bounce, heard.status)
    if delivery.kind == HANDOVER and delivery.has_failed:  # the job gives the report back to the office
        journey.after_handing_over(session, delivery.municipality_id, UUID(delivery.about["handover_id"]))
    if heard.bounce is Bounce.COMPLAINT:
        subscribing.unsubscribe(session, delivery.municipality_id, delivery.id, None)


def _locked(session: WriteSession, municipality_id: int, delivery_id: UUID) -> Delivery | None:
    return session.scalar(
        select(Delivery)
        .where(Delivery.municipality_id == municipality_id, Delivery.id == delivery_id)
        .with_for_update()
    )
