"""Letters about what crews did offline: to whoever decided something at the desk that came after the work was done."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from city.database import WriteSession
from city.messages.letter import Letter
from city.messages.posting import About, Kind
from city.messages.recipients import Recipient, office, readers
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.reports.tables import Report, TimelineEntry
from city.texts import text


def _recipients(session: WriteSession, municipality: MunicipalityView, about: About) -> list[Recipient]:
    """Whoever decided, and whoever looks after the report; where nobody does, the office."""
    report = session.get_one(Report, (municipality.id, UUID(about["report_id"])))
    entry = _decision(session, municipality, about)
    concerned = {entry.person_id, report.person_id}
    return readers(session, municipality, concerned, report) or office(session, municipality, report)


def _compose(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter:
    language = delivery.language
    report = session.get_one(Report, (municipality.id, UUID(delivery.about["report_id"])))
    decision = _decision(session, municipality, delivery.about)
    decided = text(f"state.{decision.to_state}", language=language).lower()
    stands = text(f"state.{report.state}", language=language)
    return Letter(
        subject=text("overturned.subject", language=language, number=report.number),
        heading=text("overturned.heading", language=language, number=report.number),
        happened=[
            text(
                "overturned.happened",
                language=language,
                state=decided,
                at=municipality.local(decision.at).strftime("%d/%m/%Y %H:%M"),
            )
        ],
        next_step=text("overturned.next", language=language),
        facts=[
            (text("mail.number", language=language), report.number),
            (text("mail.state", language=language), stands),
        ],
        footer=text("overturned.footer", language=language, municipality=municipality.name),
    )


def _decision(session: WriteSession, municipality: MunicipalityView, about: About) -> TimelineEntry:
    return session.scalars(
        select(TimelineEntry).where(
            TimelineEntry.municipality_id == municipality.id, TimelineEntry.id == about["entry_id"]
        )
    ).one()


OVERTURNED = Kind(_recipients, _compose)
