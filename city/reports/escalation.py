"""Reports whose time runs out climb the ladder: it is noted, and whoever stands on that rung is written to."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select

from city.database import WriteSession
from city.registry.municipality import MunicipalityView
from city.reports import journey
from city.reports.clock import reached, wind
from city.reports.tables import Report
from city.reports.timeline import note_down

CLIMBS: Final = 0x436C69
"""One half of the key of the advisory locks; the other is the municipality's id."""
BATCH: Final = 200
"""Reports in one transaction; what they have to say to one person is one letter."""


def climb(session: WriteSession, municipality: MunicipalityView, now: datetime) -> int:
    """Let the reports that are due, at most `BATCH`, climb to where they stand; how many were looked at.

    Whoever comes while another does the same finds nothing. Reports that somebody is changing have their turn later.
    """
    mine = session.raw.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (CLIMBS, municipality.id)).fetchone()
    if not (mine and mine[0]):
        return 0
    reports = session.scalars(
        select(Report)
        .where(Report.municipality_id == municipality.id, Report.is_open, Report.clock_at <= now)
        .order_by(Report.clock_at, Report.id)
        .limit(BATCH)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    entries = [entry_id for report in reports if (entry_id := _climb(session, municipality, report, now)) is not None]
    if entries:
        journey.letters(session, municipality.id, "escalated", first=min(entries), last=max(entries))
    return len(reports)


def _climb(session: WriteSession, municipality: MunicipalityView, report: Report, now: datetime) -> int | None:
    """The entry that notes it; None where it stands as high as before."""
    before, after = report.escalation, reached(municipality, report, now)
    if after <= before or report.paused_at is not None:
        wind(municipality, report, now)
        return None
    told = dict.fromkeys(audience for rung in municipality.ladder[before:after] for audience in rung.to)
    report.escalation = after
    wind(municipality, report, now)
    details = {"from": before, "to": after, "told": list(told)}
    return note_down(session, report, "escalated", is_public=False, details=details).id


def rewind(session: WriteSession, municipality: MunicipalityView, now: datetime, after: UUID | None) -> UUID | None:
    """Put the next open reports, at most `BATCH`, where they stand on the ladder as it is now, and tell nobody of it.

    For a ladder that has changed: it counts for what happens from now on. The last report's id, None: there was none.
    """
    wanted = select(Report).where(Report.municipality_id == municipality.id, Report.is_open)
    if after is not None:
        wanted = wanted.where(Report.id > after)
    reports = session.scalars(
        wanted.order_by(Report.id)
        .limit(BATCH)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    for report in reports:
        report.escalation = reached(municipality, report, now)
        wind(municipality, report, now)
    return reports[-1].id if reports else None
