"""Letters of every kind but the reporter's: who gets them is found, each is put down once, composed when it is sent.

A kind says two things: to whom its letters go, and what they say. Both read the rows as they are then; a job carries
ids only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert

from city.database import ReadSession, WriteSession
from city.errors import Refused, Unavailable
from city.messages import mail_pace
from city.messages.channels import CHANNELS
from city.messages.fates import pausing
from city.messages.letter import Letter, message_id
from city.messages.recipients import Recipient
from city.messages.tables import Delivery
from city.outside.mail_status import judged
from city.registry.municipality import MunicipalityView
from city.reports import hearing

About = Mapping[str, Any]
"""What a letter is about: ids and other short values, as a job carries them. `report_id` names its report, if any."""


TO_MANY: Final = frozenset({"notice", "tidings"})
"""The kinds of letters that give way to what somebody waits for."""

Compose = Callable[[WriteSession, MunicipalityView, Delivery], Letter | None]
"""What a delivery says; None where there is nothing to say any more: it is then not sent."""


class Kind(NamedTuple):
    """A kind of letter."""

    recipients: Callable[[WriteSession, MunicipalityView, About], Iterable[Recipient]]
    compose: Compose
    due: Callable[[WriteSession, MunicipalityView, About], datetime | None] | None = None
    """From when on it may be sent, where it is not sent at once."""


def once(name: str, about: About, address: str) -> str:
    """Kind, what it is about, and to whom."""
    return f"{name} {orjson.dumps(about, option=orjson.OPT_SORT_KEYS).decode()} {address.lower()}"


def queue(session: WriteSession, municipality: MunicipalityView, name: str, kind: Kind, about: About) -> None:
    """Put down a letter for each who is to get one; those put down before stay as they are."""
    report_id = about.get("report_id")
    rows = [
        {
            "municipality_id": municipality.id,
            "kind": name,
            "report_id": UUID(report_id) if report_id else None,
            "about": dict(about),
            "once": once(name, about, to.address),
            "person_id": to.person_id,
            "channel": to.channel,
            "address": to.address,
            "language": to.language,
            "subject": "",
        }
        for to in kind.recipients(session, municipality, about)
    ]
    if rows:
        session.execute(insert(Delivery).on_conflict_do_nothing(), rows)


def put_off_until(session: WriteSession, municipality: MunicipalityView, kind: Kind, about: About) -> datetime | None:
    """Until when letters of this wait, because their reader is not to be disturbed now."""
    due = kind.due(session, municipality, about) if kind.due else None
    return due if due is not None and due > datetime.now(UTC) else None


def queued(session: ReadSession, municipality: MunicipalityView, name: str, about: About) -> list[UUID]:
    """The letters put down of this that are not sent yet."""
    return list(session.scalars(_waiting(municipality, name, about).with_only_columns(Delivery.id)))


def deliver(
    session: WriteSession,
    municipality: MunicipalityView,
    name: str,
    kind: Kind,
    about: About,
    *,
    only: UUID | None = None,
) -> str | None:
    """Send what is put down of this (or `only` one of them), each once; what kept it from being sent, or None.

    One a transaction keeps what was sent before a worker dies.
    """
    wanted = _waiting(municipality, name, about)
    if only is not None:
        wanted = wanted.where(Delivery.id == only)
    return post(session, municipality, session.scalars(wanted.with_for_update()).all(), kind.compose)


def deliver_again(
    session: WriteSession, municipality: MunicipalityView, delivery_id: UUID, compose: Mapping[str, Compose]
) -> str | None:
    """Send this one, of whichever kind, unless it was sent; what kept it from being sent, or None."""
    waiting = session.scalars(
        select(Delivery)
        .where(Delivery.municipality_id == municipality.id, Delivery.id == delivery_id, Delivery.state == "queued")
        .with_for_update()
    ).all()
    if not waiting:
        return None
    with mail_pace.turn() as turn:
        if waiting[0].channel == "email" and waiting[0].kind in TO_MANY and not turn.may_mail():
            return Unavailable("mail.paced").kept()
        return post(session, municipality, waiting, compose[waiting[0].kind])


def _waiting(municipality: MunicipalityView, name: str, about: About) -> Select[Delivery]:
    return (
        select(Delivery)
        .where(
            Delivery.municipality_id == municipality.id,
            Delivery.kind == name,
            Delivery.about == dict(about),
            Delivery.state == "queued",
        )
        .order_by(Delivery.id)
    )


def post(
    session: WriteSession, municipality: MunicipalityView, waiting: Iterable[Delivery], compose: Compose
) -> str | None:
    """Send locked deliveries, each by its channel; what kept one from being sent, or None.

    Each is written down as sent before it is handed over, so that nothing but the commit is left to do afterwards. They
    stay locked while the mail server listens; the Message-ID is the delivery's, so that even a mail repeated after
    a crash in that moment is known as the same one. A letter for which something is not to be had now stays in
    the queue with the problem noted, and holds up no other. What its reader can end is not sent where they have.
    """
    problem = None
    for delivery in waiting:
        if delivery.channel == "email" and pausing.paused(session, municipality.id, delivery.address):
            _drop(delivery, "paused")
            continue
        delivery.attempts += 1
        try:
            letter = compose(session, municipality, delivery)
            if letter is None:
                _drop(delivery, "moot")
                continue
            if letter.unsubscribe and _is_muted(session, delivery):
                _drop(delivery, "muted")
                continue
            delivery.subject, delivery.receipt = letter.subject, message_id(delivery)
            delivery.state, delivery.sent_at, delivery.problem = "sent", datetime.now(UTC), None
            session.flush()
            delivery.receipt = CHANNELS[delivery.channel](session, municipality, delivery, letter)
        except Refused as error:
            delivery.state, delivery.sent_at, delivery.receipt = "refused", None, None
            delivery.problem = error.kept()
            if status := error.values.get("status"):
                pausing.note(session, delivery, judged(str(status)), str(status))
        except Unavailable as error:
            delivery.state, delivery.sent_at, delivery.receipt = "queued", None, None
            problem = delivery.problem = error.kept()
    return problem


def _is_muted(session: ReadSession, delivery: Delivery) -> bool:
    """Whether it is to a reporter who wants to hear no more of the report."""
    if delivery.kind not in pausing.TO_REPORTERS or delivery.report_id is None:
        return False
    return hearing.is_muted(session, delivery.municipality_id, delivery.report_id)


def _drop(delivery: Delivery, why: str) -> None:
    delivery.state, delivery.dropped_for, delivery.problem = "dropped", why, None
