"""A report that was handed over is brought to whoever shall have it, by the channel they want; once in effect.

`begin` notes that it is being tried, `bring` does it, `settle` notes what came of it: three transactions, so that a
worker that is killed in between has at most brought the same thing twice, under the same name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select

from city.database import WriteSession
from city.errors import Refused, Unavailable, sentence_of
from city.messages import posting
from city.messages.handovers import calls, letters
from city.messages.tables import Delivery
from city.outside.strangers import NotAllowed
from city.registry.channels.outside_bodies import body_of
from city.registry.municipality import MunicipalityView, Registry
from city.reports import journey
from city.reports.changing import locked
from city.reports.handovers.handing_over import came_back
from city.reports.handovers.tables import ACTIVE, Handover
from city.reports.neighbours import Parcel, note_arrival, pack

GIVE_UP: Final = timedelta(days=2)
"""How long it is tried before the office gets the report back."""


class Outcome(NamedTuple):
    """What kept it from being brought (None: nothing), and whether trying again is of no use."""

    problem: str | None = None
    is_final: bool = False


def begin(session: WriteSession, municipality: MunicipalityView, handover_id: UUID) -> bool:
    """Note that it is about to be tried; whether there is anything to bring."""
    handover = _locked(session, municipality, handover_id)
    if handover is None or handover.state not in ACTIVE:
        return False
    if handover.channel == "mail":
        kind, about = letters.OUTSIDE, letters.about(handover)
        posting.queue(session, municipality, letters.NAME, kind, about)
    elif handover.state != "queued":
        return False
    handover.attempts = min(handover.attempts + 1, 32_000)
    handover.tried_at = handover.tried_at or datetime.now(UTC)
    return True


def bring(session: WriteSession, municipality: MunicipalityView, handover_id: UUID) -> Outcome:
    """Bring it there. The hand-over stays locked while they listen, so that of two jobs the second finds it done."""
    handover = _locked(session, municipality, handover_id)
    if handover is None or handover.state not in ACTIVE or handover.channel == "municipality":
        return Outcome()
    by = _by_mail if handover.channel == "mail" else _by_service
    outcome = by(session, municipality, handover)
    handover.problem = outcome.problem
    if outcome.problem is None and handover.state == "queued":
        handover.state, handover.sent_at = "sent", datetime.now(UTC)
    return outcome


def settle(session: WriteSession, municipality: MunicipalityView, handover_id: UUID, outcome: Outcome) -> bool:
    """Give the report back to the office where it can't be brought, was tried long enough, or its letter came back
    before anybody had read it; whether so.
    """
    handover = session.get(Handover, (municipality.id, handover_id))
    if handover is None:
        return False
    report = locked(session, municipality.id, handover.report_id)
    handover = _locked(session, municipality, handover_id)
    if handover is None or handover.state not in ({"queued", "sent"} if outcome.is_final else {"queued"}):
        return False
    if not outcome.is_final and (handover.tried_at or handover.created_at) > datetime.now(UTC) - GIVE_UP:
        return False
    handover.problem = outcome.problem or handover.problem
    words = sentence_of(handover.problem, municipality.languages[0])
    came_back(session, municipality, report, handover, actor="system", why="failed", words=words)
    return True


def _locked(session: WriteSession, municipality: MunicipalityView, handover_id: UUID) -> Handover | None:
    return session.scalar(
        select(Handover)
        .where(Handover.municipality_id == municipality.id, Handover.id == handover_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _by_service(session: WriteSession, municipality: MunicipalityView, handover: Handover) -> Outcome:
    if handover.state != "queued" or handover.body_owner_id is None or handover.body_id is None:
        return Outcome()
    body = body_of(session, handover.body_owner_id, handover.body_id)
    bring_there = calls.open_there if body.channel == "open311" else calls.post_there
    try:
        bring_there(session, municipality, handover, body)
    except (Refused, NotAllowed) as error:
        return Outcome(error.kept(), is_final=True)
    except Unavailable as error:
        return Outcome(error.kept())
    return Outcome()


def _by_mail(session: WriteSession, municipality: MunicipalityView, handover: Handover) -> Outcome:
    name, about = letters.NAME, letters.about(handover)
    problem = posting.deliver(session, municipality, name, letters.OUTSIDE, about)
    if problem:
        return Outcome(problem)
    session.flush()
    lost = session.scalar(
        select(Delivery)
        .where(
            Delivery.municipality_id == municipality.id,
            Delivery.kind == name,
            Delivery.about == about,
            Delivery.has_failed,
        )
        .limit(1)
    )
    if lost is None:
        return Outcome()
    why = Refused(f"handover.{lost.dropped_for or 'came_back'}", status=lost.status or "-")
    return Outcome(lost.problem or why.kept(), is_final=True)


def parcel(session: WriteSession, here: MunicipalityView, registry: Registry, handover_id: UUID) -> Parcel | None:
    """What goes to another municipality; None where that is not how it goes, or it is there."""
    handover = _locked(session, here, handover_id)
    if handover is None or handover.state != "queued" or handover.to_municipality_id is None:
        return None
    return pack(session, here, registry.municipalities[handover.to_municipality_id], handover)


def arrived(session: WriteSession, here: MunicipalityView, handover_id: UUID, report_id: UUID, number: str) -> None:
    """Note that the other municipality has it, under its own number."""
    handover = _locked(session, here, handover_id)
    if handover is None or handover.their_report_id is not None:
        return
    note_arrival(session, handover, report_id, number)
    if handover.state not in ACTIVE:
        journey.after_calling_back(session, here.id, handover.report_id, handover.id)
    elif handover.state == "queued":
        handover.state, handover.sent_at, handover.problem = "sent", datetime.now(UTC), None
