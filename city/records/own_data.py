"""All that is held about a citizen in records: for whoever asks what we know of them (GDPR, articles 15 and 20)."""

from __future__ import annotations

from typing import Any

from city.database import ReadSession
from city.records import holding
from city.registry.municipality import Registry
from city.registry.sign_in.citizen_tables import Citizen
from city.reports.tables import Report, Reporter


def reports(session: ReadSession, registry: Registry, citizen: Citizen) -> list[dict[str, Any]]:
    """All own reports as their reporter sees them, oldest first, with the contact given, where it is the citizen's own;
    JSON values.
    """
    ids = session.raw.execute("SELECT municipality_id, report_id FROM reports_of_citizen(%s)", (citizen.id,)).fetchall()
    found = [session.get_one(Report, key) for key in ids]
    return [
        holding.as_seen(session, registry.municipalities[report.municipality_id], report)
        | {"contact": _contact(session, report, citizen)}
        for report in sorted(found, key=lambda report: report.created_at)
    ]


def _contact(session: ReadSession, report: Report, citizen: Citizen) -> dict[str, Any] | None:
    """What was given to be reached by; None where somebody else's address was."""
    reporter = session.get_one(Reporter, (report.municipality_id, report.id))
    if reporter.email and reporter.email.lower() != (citizen.email or "").lower():
        return None
    given = {key: getattr(reporter, key) for key in ("email", "name", "phone", "language")}
    return given | {"app_io": reporter.fiscal_code is not None}
