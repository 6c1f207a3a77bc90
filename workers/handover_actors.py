"""The jobs of hand-overs and of child jobs. Open, call the station, done."""

from __future__ import annotations

from uuid import UUID

import dramatiq

from city.database import provincial, reading, writing
from city.errors import Unavailable
from city.messages.handovers import asking, sending
from city.registry import view
from city.reports import neighbours
from city.reports.handovers import children
from city.reports.neighbours import Parcel


@dramatiq.actor(max_retries=60)
def send_handover(municipality_id: int, handover_id: str) -> None:
    """Bring a report to whoever it was handed over to."""
    with writing(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        if not sending.begin(session, municipality, UUID(handover_id)):
            return
    with writing(municipality_id) as session:
        parcel = sending.parcel(session, municipality, view.fresh(session), UUID(handover_id))
    if parcel is not None:
        _bring_next_door(parcel)
        return
    with writing(municipality_id) as session:
        outcome = sending.bring(session, municipality, UUID(handover_id))
    if outcome.problem:
        with writing(municipality_id) as session:
            is_over = sending.settle(session, municipality, UUID(handover_id), outcome)
        if not (is_over or outcome.is_final):
            raise Unavailable("handover.silent", problem=outcome.problem)


def _bring_next_door(parcel: Parcel) -> None:
    """Make a report of it in the other municipality, then note here that it is there."""
    with writing(parcel.to_id) as session:
        there = view.fresh(session).municipalities[parcel.to_id]
        report_id, number = neighbours.take_in(session, there, parcel)
    with writing(parcel.from_id) as session:
        here = view.fresh(session).municipalities[parcel.from_id]
        sending.arrived(session, here, parcel.handover_id, report_id, number)


@dramatiq.actor
def mirror_handover(municipality_id: int, report_id: str) -> None:
    """Tell the municipality that handed a report over what has become of it here."""
    with provincial() as session:
        echo = neighbours.listen(session, municipality_id, UUID(report_id))
    if echo is None:
        return
    with writing(echo.municipality_id) as session:
        here = view.fresh(session).municipalities[echo.municipality_id]
        neighbours.tell_here(session, here, echo)


@dramatiq.actor
def call_back_handover(municipality_id: int, handover_id: str) -> None:
    """Tell another municipality that a report it has was taken back."""
    with reading(municipality_id) as session:
        here = view.fresh(session).municipalities[municipality_id]
        what = neighbours.lent(session, here, UUID(handover_id))
    if what is None:
        return
    with writing(what.to_id) as session:
        there = view.fresh(session).municipalities[what.to_id]
        neighbours.say_called_back(session, there, what)


@dramatiq.actor
def look_after_children(municipality_id: int, report_id: str) -> None:
    """See whether all parts of a report's work are over."""
    with writing(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        children.look_after(session, municipality, UUID(report_id))


@dramatiq.actor
def ask_handover(municipality_id: int, handover_id: str) -> None:
    """Ask an outside body how far a report is."""
    with reading(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        put = asking.question(session, municipality, UUID(handover_id))
    if put is None:
        return
    heard = asking.asked(put)
    with writing(municipality_id) as session:
        asking.hear(session, municipality, UUID(handover_id), heard)
