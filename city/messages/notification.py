"""The reporter hears of every public change: one mail for all that has happened since the last one.

Which entries a mail tells of is read from the timeline when it is written, so a job that runs twice, or twice at once,
finds nothing left to tell. The mail's words are not kept: the delivery says which entries it told.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select

from city.database import ReadSession, WriteSession
from city.messages import recipients
from city.messages.letter import Letter
from city.messages.news import compose, subject
from city.messages.posting import post
from city.messages.quiet import reporter_due
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.reports.tables import HANDED_OVER, Report, Reporter, TimelineEntry


def queue(session: WriteSession, municipality: MunicipalityView, report_id: UUID) -> UUID | None:
    """Put down that the reporter is to be told what has happened since the last mail; None where nothing has.

    The reporter's row stays locked to the end of the transaction: of two jobs at once, the second finds nothing.
    """
    reporter = _reporter(session, municipality, report_id)
    to = recipients.reporter(municipality, reporter)
    if to is None:
        return None
    entries = untold(session, municipality, report_id)
    if not entries:
        return None
    report = session.get_one(Report, (municipality.id, report_id))
    if report.source == HANDED_OVER:
        return None  # whoever handed it over goes on writing to the reporter
    delivery = Delivery(
        municipality_id=municipality.id,
        report_id=report_id,
        entry_id=entries[-1].id,
        channel=to.channel,
        address=to.address,
        language=to.language,
        subject=subject(report, entries, to.language),
    )
    session.add(delivery)
    session.flush()
    return delivery.id


def put_off_until(session: WriteSession, municipality: MunicipalityView, report_id: UUID) -> datetime | None:
    """Until when what is new waits, because the reporter is not to be disturbed now; the receipt never does."""
    entries = untold(session, municipality, report_id)
    if not entries or entries[0].what == "received":
        return None
    due = reporter_due(session, municipality, report_id, entries[0].at)
    return due if due is not None and due > datetime.now(UTC) else None


def untold(session: ReadSession, municipality: MunicipalityView, report_id: UUID) -> list[TimelineEntry]:
    """The public entries of which no mail has told yet, in order."""
    told = session.scalar(
        select(func.max(Delivery.entry_id)).where(
            Delivery.municipality_id == municipality.id, Delivery.report_id == report_id
        )
    )
    return _entries(session, municipality, report_id, after=told or 0)


def deliver(session: WriteSession, municipality: MunicipalityView, report_id: UUID) -> str | None:
    """Send what is queued for this report, once; what kept it from being sent, or None.

    The deliveries stay locked while the mail server listens; the Message-ID is the delivery's, so that even a mail
    repeated after a crash in that moment is known as the same one.
    """
    waiting = session.scalars(
        select(Delivery)
        .where(
            Delivery.municipality_id == municipality.id,
            Delivery.report_id == report_id,
            Delivery.kind == "report",
            Delivery.state == "queued",
        )
        .order_by(Delivery.entry_id)
        .with_for_update()
    ).all()
    for delivery in waiting:
        # One after the other: what happened later is not told before what happened first.
        if problem := post(session, municipality, [delivery], letter):
            return problem
    return None


def _reporter(session: WriteSession, municipality: MunicipalityView, report_id: UUID) -> Reporter | None:
    return session.scalar(
        select(Reporter)
        .where(Reporter.municipality_id == municipality.id, Reporter.report_id == report_id)
        .with_for_update()
    )


def _entries(
    session: ReadSession, municipality: MunicipalityView, report_id: UUID, *, after: int, upto: int | None = None
) -> list[TimelineEntry]:
    wanted = select(TimelineEntry).where(
        TimelineEntry.municipality_id == municipality.id,
        TimelineEntry.report_id == report_id,
        TimelineEntry.is_public,
        ~TimelineEntry.details.has_key("told_by"),
        TimelineEntry.id > after,
    )
    if upto is not None:
        wanted = wanted.where(TimelineEntry.id <= upto)
    return list(session.scalars(wanted.order_by(TimelineEntry.id)))


def letter(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter:
    """The letter that tells the reporter of the delivery's entry, and of all since the delivery before."""
    report = session.get_one(Report, (delivery.municipality_id, delivery.report_id))
    before = session.scalar(
        select(func.max(Delivery.entry_id)).where(
            Delivery.municipality_id == delivery.municipality_id,
            Delivery.report_id == delivery.report_id,
            Delivery.entry_id < delivery.entry_id,
        )
    )
    entries = _entries(session, municipality, report.id, after=before or 0, upto=delivery.entry_id)
    return compose(session, municipality, report, entries, delivery.language)
