"""A report is handed to an outside body, called back, or comes back: the desk's side.

The office stays the one the citizen deals with, under the same number. While a report is `forwarded` one hand-over is
active; whatever takes the report out of that state ends it (a trigger sees to that).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select

from city.database import WriteSession
from city.errors import Conflict, Forbidden, InvalidInput
from city.registry import view
from city.registry.channels.body_tables import OutsideBody
from city.registry.channels.outside_bodies import find_body
from city.registry.municipality import MunicipalityView
from city.registry.staff.people import Right
from city.reports import journey
from city.reports.changing import Desk, enter, tell, touch
from city.reports.checks import cleaned
from city.reports.handovers.links import link_hash, link_token
from city.reports.handovers.tables import ACTIVE, Handover
from city.reports.identity import new_id
from city.reports.lifecycle import Mover, State, check_move
from city.reports.tables import HANDED_OVER, Report
from city.reports.timeline import note_down
from city.texts import text
from geo.place import Place

USUAL_DAYS: Final = 60
"""How long a link is good, unless the desk says otherwise."""
MOST_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Order:
    """What the desk wants handed over: to whom, why (read by the citizen), and how.

    `words` are what they read of the trouble; without any, what the office released, else what the citizen wrote.
    """

    to: str
    reason: str
    words: str | None = None
    shares_contact: bool = False
    respond_by: datetime | None = None
    link_days: int = USUAL_DAYS
    although_outside: str | None = None
    """Why it goes to a municipality in which it does not lie."""


def hand_over(desk: Desk, report_id: UUID, version: int | None, order: Order) -> Report:
    """Hand the report to an outside body or to another municipality; a job brings it there.

    Raises InvalidInput, Conflict where it is over or in somebody's hands, Forbidden where who reported may not be told.
    """
    report = desk.open(report_id, version, Right.DESK)
    here = State(report.state)
    reason = cleaned(order.reason, field="reason")
    check_move(here, State.FORWARDED, Mover.DESK, reason)
    now = datetime.now(UTC)
    if order.respond_by is not None and order.respond_by <= now:
        raise InvalidInput("handover.in_the_past", field="respond_by", value=order.respond_by.isoformat())
    if order.shares_contact and not (desk.may(report, Right.SHARE) and desk.may(report, Right.CONTACT)):
        raise Forbidden("handover.may_not_share", field="share_contact")
    there = view.fresh(desk.session).slugs.get(order.to)
    if there is None:
        handover = _made(desk, report, find_body(desk.session, desk.municipality.id, order.to), order, now)
    else:
        handover = _made_for(desk, report, there, order)
    desk.session.add(handover)
    enter(desk.municipality, report, State.FORWARDED)
    tell(
        desk.session,
        report,
        "forwarded",
        staff=desk.staff,
        here=here,
        to=State.FORWARDED,
        note=reason,
        details=named(handover)
        | {"shares_contact": order.shares_contact, "although_outside": cleaned(order.although_outside, field="text")},
    )
    journey.after_handing_over(desk.session, desk.municipality.id, handover.id)
    return report


def _made(desk: Desk, report: Report, body: OutsideBody, order: Order, now: datetime) -> Handover:
    handover_id = new_id()
    words = cleaned(order.words, field="text")
    return Handover(
        municipality_id=desk.municipality.id,
        id=handover_id,
        report_id=report.id,
        body_owner_id=body.municipality_id,
        body_id=body.id,
        name_it=body.name_it,
        name_en=body.name_en,
        channel=body.channel,
        state="queued",
        words=words or report.public_description or report.description,
        language=body.language,
        needs_check=body.needs_check,
        shares_contact=order.shares_contact,
        respond_by=order.respond_by,
        link_serial=1,
        link_hash=link_hash(link_token(handover_id, 1)),
        link_expires_at=now + timedelta(days=order.link_days),
        person_id=desk.staff.person_id,
    )


def _made_for(desk: Desk, report: Report, there: MunicipalityView, order: Order) -> Handover:
    """A hand-over to another municipality, in which the place lies unless the desk says why not."""
    if there.id == desk.municipality.id:
        raise InvalidInput("handover.to_oneself", field="to", municipality=there.name)
    if report.source == HANDED_OVER:
        raise Conflict("handover.onward", field="to", number=report.number)
    lies_there = there.id in view.fresh(desk.session).boundaries.holding(Place(report.lon, report.lat))
    if not lies_there and cleaned(order.although_outside, field="although_outside") is None:
        raise InvalidInput("handover.outside", field="although_outside", municipality=there.name)
    return Handover(
        municipality_id=desk.municipality.id,
        id=new_id(),
        report_id=report.id,
        to_municipality_id=there.id,
        name_it=text("handover.municipality", language="it", name=there.name),
        name_en=text("handover.municipality", language="en", name=there.name),
        channel="municipality",
        state="queued",
        words=cleaned(order.words, field="text") or report.public_description or report.description,
        language=there.languages[0],
        needs_check=False,
        shares_contact=order.shares_contact,
        respond_by=order.respond_by,
        link_serial=1,
        person_id=desk.staff.person_id,
    )


def named(handover: Handover) -> dict[str, object]:
    """Which hand-over, and who that is: details of a timeline entry."""
    return {"handover": str(handover.id), "body": {"it": handover.name_it, "en": handover.name_en}}


def active_of(session: WriteSession, report: Report) -> Handover | None:
    """The hand-over under way, locked; the report must be locked before."""
    return session.scalar(
        select(Handover)
        .where(
            Handover.municipality_id == report.municipality_id,
            Handover.report_id == report.id,
            Handover.state.in_(ACTIVE),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _needed(desk: Desk, report: Report) -> Handover:
    handover = active_of(desk.session, report)
    if handover is None:
        raise Conflict("handover.none", number=report.number)
    return handover


def call_back(desk: Desk, report_id: UUID, version: int | None, reason: str | None) -> Report:
    """Take the report back into the office, with a reason that the citizen reads. Raises Conflict."""
    report = desk.open(report_id, version, Right.DESK)
    handover = _needed(desk, report)
    reason = cleaned(reason, field="reason")
    check_move(State.FORWARDED, State.ASSIGNED, Mover.DESK, reason)
    was_sent = handover.sent_at is not None
    handover.told_at = datetime.now(UTC) if was_sent else None
    finish(desk.session, handover, "withdrawn")
    enter(desk.municipality, report, State.ASSIGNED)
    tell(
        desk.session,
        report,
        "returned",
        staff=desk.staff,
        here=State.FORWARDED,
        to=State.ASSIGNED,
        note=reason,
        details=named(handover),
    )
    if was_sent:
        journey.after_calling_back(desk.session, desk.municipality.id, report.id, handover.id)
    return report


def renew_link(desk: Desk, report_id: UUID, version: int | None, days: int | None) -> str | None:
    """End the link there is, and (`days`) make a new one that is good that long: it is sent, and given here.

    Raises Conflict where nobody outside has the report.
    """
    report = desk.open(report_id, version, Right.DESK)
    handover = _needed(desk, report)
    if handover.body_id is None:
        raise Conflict("handover.no_link", number=report.number)
    handover.link_serial += 1
    token = link_token(handover.id, handover.link_serial) if days is not None else None
    handover.link_hash = link_hash(token) if token else None
    handover.link_expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    touch(report)
    note_down(
        desk.session,
        report,
        "handover_link",
        staff=desk.staff,
        is_public=False,
        details=named(handover) | {"days": days},
    )
    if token and handover.channel == "mail":
        journey.after_handing_over(desk.session, desk.municipality.id, handover.id)
    return token


def finish(session: WriteSession, handover: Handover, state: str) -> None:
    """The hand-over is over; written before the report moves, so that the trigger finds nothing left to end."""
    handover.state, handover.finished_at = state, datetime.now(UTC)
    session.flush()


def came_back(
    session: WriteSession,
    municipality: MunicipalityView,
    report: Report,
    handover: Handover,
    *,
    actor: str,
    why: str,
    words: str | None,
) -> None:
    """They cannot do it (`why`: refused), or it could not be brought to them (failed): the desk must sort it anew.

    The citizen reads that the office has it again; their words are for the office.
    """
    finish(session, handover, why)
    check_move(State(report.state), State.TRIAGE, Mover.OUTSIDE, why)
    enter(municipality, report, State.TRIAGE)
    report.triage_reason = f"triage.handover_{why}"
    details = named(handover)
    tell(session, report, "returned", actor=actor, here=State.FORWARDED, to=State.TRIAGE, details=details)
    note_down(session, report, f"handover_{why}", actor=actor, is_public=False, note=words, details=details)
    journey.after_coming_back(session, municipality.id, report.id, handover.id, why)
