"""Sending again what did not arrive: a delivery of its own, and of each one only one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.orm import aliased

from city.database import ReadSession, WriteSession
from city.errors import Conflict, Forbidden, NotFound
from city.messages.fates import pausing
from city.messages.recipients import Recipient, people, reporter
from city.messages.subscriptions.tables import Tiding
from city.messages.tables import Delivery
from city.registry.notice_tables import NoticeTelling
from city.registry.staff.rights import Right
from city.reports import journey
from city.reports.changing import Desk
from city.reports.tables import Report, Reporter

MOST_AT_ONCE: Final = 500


@dataclass
class Sum:
    """What sending again does, or would do."""

    letters: Counter[str] = field(default_factory=Counter)
    """How many of each kind."""
    unreachable: int = 0
    """To addresses that take nothing, or are not known any more: not sent."""
    last: tuple[datetime, UUID] | None = None
    """After which one to go on, where there are more than are sent at once."""


def resend(desk: Desk, delivery_id: UUID) -> Delivery:
    """Send one message again, to where its reader is reached now.

    Raises NotFound, Forbidden; Conflict where it did arrive, was sent again, or its address takes nothing.
    """
    old = desk.session.scalar(
        select(Delivery)
        .where(Delivery.municipality_id == desk.municipality.id, Delivery.id == delivery_id)
        .with_for_update()
    )
    if old is None:
        raise NotFound("resending.not_found", value=str(delivery_id))
    _check(desk, old)
    if not old.has_failed:
        raise Conflict("resending.not_failed")
    if _is_resent(desk.session, old):
        raise Conflict("resending.already")
    to = _reader_now(desk, old)
    if to is None:
        raise Conflict("resending.unreachable")
    return _put_down(desk.session, old, to)


def resend_failed(
    desk: Desk,
    since: datetime,
    until: datetime | None,
    kind: str | None,
    *,
    after: tuple[datetime, UUID] | None = None,
) -> Sum:
    """Send again whatever failed in that time and was not sent again yet, oldest first, MOST_AT_ONCE at most.

    In a transaction that is undone it is a preview. Raises Forbidden.
    """
    desk.staff.needs(Right.DESK)
    repeat = aliased(Delivery)
    wanted = (
        select(Delivery)
        .where(
            Delivery.municipality_id == desk.municipality.id,
            Delivery.created_at >= since,
            Delivery.address != "",
            Delivery.has_failed,
            ~select(repeat.id)
            .where(repeat.municipality_id == Delivery.municipality_id, repeat.resends == Delivery.id)
            .exists(),
        )
        .order_by(Delivery.created_at, Delivery.id)
        .limit(MOST_AT_ONCE + 1)
        .with_for_update(of=Delivery, skip_locked=True)
    )
    if until is not None:
        wanted = wanted.where(Delivery.created_at < until)
    if after is not None:
        wanted = wanted.where(tuple_(Delivery.created_at, Delivery.id) > after)
    if kind is not None:
        wanted = wanted.where(Delivery.kind == kind)
    found: Sequence[Delivery] = desk.session.scalars(wanted).all()
    done = Sum()
    if len(found) > MOST_AT_ONCE:
        done.last = (found[MOST_AT_ONCE - 1].created_at, found[MOST_AT_ONCE - 1].id)
    for old in found[:MOST_AT_ONCE]:
        if not _covers(desk, old):
            continue
        to = _reader_now(desk, old)
        if to is None:
            done.unreachable += 1
        else:
            _put_down(desk.session, old, to)
            done.letters[old.kind] += 1
    return done


def readdress(session: WriteSession, report: Report, email: str) -> None:
    """What waits to be sent to the reporter goes to the corrected address."""
    session.execute(
        update(Delivery)
        .where(
            Delivery.municipality_id == report.municipality_id,
            Delivery.report_id == report.id,
            Delivery.kind.in_(pausing.TO_REPORTERS),
            Delivery.channel == "email",
            Delivery.state == "queued",
        )
        .values(address=email)
    )


def _check(desk: Desk, old: Delivery) -> None:
    desk.staff.needs(Right.DESK)
    if not _covers(desk, old):
        raise Forbidden("people.not_this_report")


def _covers(desk: Desk, old: Delivery) -> bool:
    """Whether they deal with its report; what is about none, whoever deals with all."""
    if old.report_id is None:
        return desk.staff.sight(Right.DESK, desk.municipality).is_whole
    return desk.may(desk.session.get_one(Report, (old.municipality_id, old.report_id)), Right.DESK)


def _is_resent(session: ReadSession, old: Delivery) -> bool:
    repeats = select(Delivery.id).where(Delivery.municipality_id == old.municipality_id, Delivery.resends == old.id)
    return session.scalar(repeats) is not None


def _reader_now(desk: Desk, old: Delivery) -> Recipient | None:
    """Where its reader is reached by now; None where that is not known any more, or takes no mail."""
    to: Recipient | None = Recipient(old.address, old.language, old.person_id, old.channel) if old.address else None
    if old.kind in pausing.TO_REPORTERS:
        to = reporter(desk.municipality, desk.session.get(Reporter, (old.municipality_id, old.report_id)))
    elif old.person_id is not None:
        to = next(iter(people(desk.session, desk.municipality, [old.person_id])), None)
    if to is not None and to.channel == "email" and pausing.paused(desk.session, old.municipality_id, to.address):
        return None
    return to


def _put_down(session: WriteSession, old: Delivery, to: Recipient) -> Delivery:
    new = Delivery(
        municipality_id=old.municipality_id,
        kind=old.kind,
        report_id=old.report_id,
        entry_id=old.entry_id,
        about=old.about,
        once=f"again {old.id}",
        resends=old.id,
        person_id=old.person_id,
        channel=to.channel,
        address=to.address,
        language=to.language,
        subject=old.subject,
        telling_id=old.telling_id,
        due_at=None if old.telling_id is None else func.now(),
    )
    session.add(new)
    session.flush()
    session.execute(
        update(Tiding)
        .where(Tiding.municipality_id == old.municipality_id, Tiding.delivery_id == old.id)
        .values(delivery_id=new.id)
    )
    if old.telling_id is None:
        journey.after_resending(session, new.municipality_id, new.id)
    else:  # whoever sends the letters of that notice sends this one too
        session.execute(
            update(NoticeTelling)
            .where(NoticeTelling.municipality_id == old.municipality_id, NoticeTelling.id == old.telling_id)
            .values(over_at=None)
        )
    return new
