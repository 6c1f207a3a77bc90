"""Correcting how the reporter is reached: staff have heard of a slip of the pen, and mail did not arrive."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from city.errors import Conflict
from city.registry.staff.rights import Right
from city.reports.changing import Desk, touch
from city.reports.tables import Report, Reporter
from city.reports.timeline import note_down


def correct_email(desk: Desk, report_id: UUID, version: int | None, email: str) -> Report:
    """Write to another address from now on. History says that and by whom, and not which.

    Raises Conflict where the reporter has given none: nobody is written to who did not ask for it.
    """
    report = desk.open(report_id, version, Right.DESK)
    desk.check(report, Right.CONTACT)
    reporter = desk.session.scalar(
        select(Reporter)
        .where(Reporter.municipality_id == report.municipality_id, Reporter.report_id == report.id)
        .with_for_update()
    )
    if reporter is None or not reporter.email:
        raise Conflict("resending.no_email", field="email", number=report.number)
    if reporter.email == email:
        return report
    reporter.email = email
    touch(report)
    note_down(desk.session, report, "contact_corrected", staff=desk.staff, is_public=False)
    return report
