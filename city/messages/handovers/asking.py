"""Outside bodies are asked how far they are, and the office is told of those that are late.

A chore says which hand-overs are due, in any municipality; a job each asks. They are asked outside of any transaction.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from city.database import ReadSession, WriteSession
from city.errors import Unavailable
from city.messages.handovers.calls import service_of
from city.messages.handovers.sending import GIVE_UP
from city.outside import open311
from city.outside.strangers import NotAllowed
from city.registry.channels.outside_bodies import body_of
from city.registry.municipality import MunicipalityView
from city.reports import journey
from city.reports.changing import locked
from city.reports.handovers.contracting import done
from city.reports.handovers.tables import ACTIVE, Handover
from city.texts import text

EVERY: Final = timedelta(minutes=15)
"""How often a body is asked about one report."""
A_WHILE: Final = timedelta(hours=1)
MOST_AT_ONCE: Final = 200


class Question(NamedTuple):
    """What is asked of whom."""

    service: open311.Service
    reference: str | None
    token: str | None


class Heard(NamedTuple):
    """What they answered: their number, and how far it is."""

    reference: str | None
    seen: open311.Seen | None


def due(session: WriteSession) -> int:
    """Promise to ask whoever has not been asked for a while, in all municipalities; how many."""
    waiting = (Handover.channel == "open311", Handover.state.in_(ACTIVE), Handover.looked_at < func.now() - EVERY)
    found = _noted(session, "looked_at", *waiting)
    for one in found:
        journey.after_waiting(session, one.municipality_id, one.id)
    return len(found)


def remind(session: WriteSession) -> int:
    """Tell offices once of those who have not answered by the date asked for, in all municipalities; how many."""
    late = (Handover.state.in_(ACTIVE), Handover.respond_by < func.now(), Handover.reminded_at.is_(None))
    found = _noted(session, "reminded_at", *late)
    for one in found:
        journey.after_coming_back(session, one.municipality_id, one.report_id, one.id, "late")
    return len(found)


def try_again(session: WriteSession) -> int:
    """Promise a last try for what was tried long enough, should its job have died; how many."""
    stuck = (
        Handover.state == "queued",
        Handover.created_at < func.now() - GIVE_UP,
        Handover.looked_at < func.now() - A_WHILE,
    )
    found = _noted(session, "looked_at", *stuck)
    for one in found:
        journey.after_handing_over(session, one.municipality_id, one.id)
    return len(found)


def say_withdrawn(session: WriteSession) -> int:
    """Tell those who had a report that it is theirs no more, however it has left their hands; how many."""
    untold = (Handover.state == "withdrawn", Handover.told_at.is_(None), Handover.sent_at.is_not(None))
    found = _noted(session, "told_at", *untold)
    for one in found:
        journey.after_calling_back(session, one.municipality_id, one.report_id, one.id)
    return len(found)


def _noted(session: WriteSession, moment: str, *which: ColumnElement[bool]) -> list[Handover]:
    """Those that it is the turn of, with this moment noted on them; such as somebody is at work on wait for the next
    turn.
    """
    found = session.scalars(
        select(Handover)
        .where(*which)
        .order_by(Handover.looked_at)
        .limit(MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    now = datetime.now(UTC)
    for handover in found:
        setattr(handover, moment, now)
    session.flush()
    return list(found)


def question(session: ReadSession, municipality: MunicipalityView, handover_id: UUID) -> Question | None:
    """What is to be asked; None where there is nothing to ask any more."""
    handover = session.get(Handover, (municipality.id, handover_id))
    if handover is None or handover.state not in ("sent", "accepted") or handover.channel != "open311":
        return None
    if handover.body_owner_id is None or handover.body_id is None:
        return None
    body = body_of(session, handover.body_owner_id, handover.body_id)
    return Question(service_of(session, body), handover.reference, handover.reference_token)


def asked(put: Question) -> Heard:
    """What they answer; nothing new where they are silent, for they will be asked again."""
    reference, seen = put.reference, None
    try:
        if reference is None and put.token is not None:
            reference = open311.number_of(put.service, put.token)
        if reference is not None:
            seen = open311.look(put.service, reference)
    except (Unavailable, NotAllowed):
        pass
    return Heard(reference, seen)


def hear(session: WriteSession, municipality: MunicipalityView, handover_id: UUID, heard: Heard) -> None:
    """Note what they answered; what they have closed is done."""
    found = session.get(Handover, (municipality.id, handover_id))
    if found is None:
        return
    report = locked(session, municipality.id, found.report_id)
    handover = session.scalar(
        select(Handover)
        .where(Handover.municipality_id == municipality.id, Handover.id == handover_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if handover is None or handover.state not in ACTIVE:
        return
    handover.reference = heard.reference or handover.reference
    if heard.seen is None:
        return
    handover.their_state = heard.seen.status
    if heard.seen.is_closed:
        name = handover.name_en if report.language == "en" else handover.name_it
        words = heard.seen.notes or text("handover.there.solved", language=report.language, body=name)
        done(session, municipality, report, handover, actor="outside", words=words, photos=[])
