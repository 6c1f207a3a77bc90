"""Addresses that take nothing: no mail of any kind goes there until somebody says that they do again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert

from city.database import ReadSession, WriteSession
from city.errors import NotFound
from city.messages.tables import Delivery, PausedAddress
from city.outside.mail_status import Bounce
from city.registry.staff.people import Staff
from city.reports.tables import Report, Reporter, TimelineEntry
from city.reports.timeline import note_down

TO_REPORTERS: Final = frozenset({"report", "question_reminder"})
"""The kinds of letters that go to whoever reported."""
SOFT_WITHIN: Final = timedelta(days=7)
SOFT_APART: Final = timedelta(days=1)
MOST_SOFT: Final = 3
"""So many mails given up within those days, the first and the last at least that far apart, are as good as a no."""


def paused(session: ReadSession, municipality_id: int, address: str | None) -> PausedAddress | None:
    """The pause of an address, if it is paused."""
    return session.scalar(
        select(PausedAddress).where(
            PausedAddress.municipality_id == municipality_id, PausedAddress.address == (address or "").lower()
        )
    )


def lift(session: WriteSession, municipality_id: int, address: str) -> None:
    """Write there again: its owner says so, or has shown it. Harmless where it is not paused."""
    _lift(session, None, PausedAddress.municipality_id == municipality_id, PausedAddress.address == address.lower())


def paused_by(session: ReadSession, address: str) -> list[int]:
    """The municipalities that do not write there; for the province's door."""
    return list(session.scalars(select(PausedAddress.municipality_id).where(PausedAddress.address == address.lower())))


def lift_by_id(session: WriteSession, staff: Staff, municipality_id: int, paused_id: int) -> None:
    """As `lift`, by somebody of the staff, who cannot always see the address. Raises NotFound."""
    if not _lift(session, staff, PausedAddress.municipality_id == municipality_id, PausedAddress.id == paused_id):
        raise NotFound("bounces.not_paused", value=paused_id)


def note(session: WriteSession, delivery: Delivery, bounce: Bounce, status: str) -> bool:
    """Note on a locked delivery what came back; whether its address is paused from now on. The same again changes
    nothing, and what is worse stays.
    """
    if delivery.bounce in {bounce.value, Bounce.HARD.value} or (bounce is Bounce.DELAYED and delivery.bounce):
        return False
    delivery.bounce, delivery.status, delivery.bounced_at = bounce.value, status or None, func.now()
    if delivery.state in {"queued", "sent"} and bounce not in {Bounce.DELAYED, Bounce.COMPLAINT}:
        delivery.state = "bounced"
    session.flush()
    if bounce is Bounce.HARD or (bounce is Bounce.SOFT and _is_lasting(session, delivery)):
        return _pause(session, delivery, bounce, status)
    return False


def _lift(session: WriteSession, staff: Staff | None, *which: ColumnElement[bool]) -> bool:
    """Lift these pauses, by `staff` or (None) by the owner; whether there were any.

    Where it was noted that the reporter cannot be reached, it is noted who says now that they can.
    """
    lifted = session.scalars(delete(PausedAddress).where(*which).returning(PausedAddress)).all()
    for pause in lifted:
        for report in session.scalars(_unreachable(pause)).all():
            note_down(session, report, "reachable", staff=staff, actor="citizen", is_public=False)
    return bool(lifted)


def _unreachable(pause: PausedAddress) -> Select[Report]:
    """The reports on which this pause was noted."""
    noted = exists().where(
        TimelineEntry.municipality_id == Report.municipality_id,
        TimelineEntry.report_id == Report.id,
        TimelineEntry.what == "unreachable",
        TimelineEntry.at >= pause.paused_at,
    )
    return (
        select(Report)
        .join(Reporter, (Reporter.municipality_id == Report.municipality_id) & (Reporter.report_id == Report.id))
        .where(Report.municipality_id == pause.municipality_id, func.lower(Reporter.email) == pause.address, noted)
        .order_by(Report.created_at, Report.id)
    )


def _is_lasting(session: ReadSession, delivery: Delivery) -> bool:
    mails, first, last = session.execute(
        select(func.count(), func.min(Delivery.bounced_at), func.max(Delivery.bounced_at)).where(
            Delivery.municipality_id == delivery.municipality_id,
            Delivery.bounced_at > func.now() - SOFT_WITHIN,
            Delivery.bounce == Bounce.SOFT.value,
            Delivery.mailbox == delivery.address.lower(),
        )
    ).one()
    return mails >= MOST_SOFT and first is not None and last is not None and last - first >= SOFT_APART


def _pause(session: WriteSession, delivery: Delivery, bounce: Bounce, status: str) -> bool:
    if not delivery.address:
        return False
    done = session.execute(
        insert(PausedAddress)
        .values(
            municipality_id=delivery.municipality_id,
            address=delivery.address.lower(),
            bounce=bounce.value,
            status=status,
        )
        .on_conflict_do_nothing()
        .returning(PausedAddress.id)
    )
    is_new = done.first() is not None
    if is_new and delivery.kind in TO_REPORTERS and delivery.report_id is not None:
        report = session.get_one(Report, (delivery.municipality_id, delivery.report_id))
        note_down(session, report, "unreachable", is_public=False, details={"status": status})
    return is_new
