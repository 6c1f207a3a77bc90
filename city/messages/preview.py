"""The very mail that the reporter would get for a change: made by making it, in a transaction that is always undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select

from city.messages import recipients
from city.messages.news import OUTCOMES, compose
from city.messages.notification import untold
from city.reports.changing import Desk, duplicates_of, locked
from city.reports.tables import Reporter, TimelineEntry

HIDDEN_TOKEN: Final = "•" * 26
"""Stands for the receipt token: whoever works at the desk must not open the report as its reporter."""


def preview(desk: Desk, report_id: UUID, change: Callable[[Desk, int], object]) -> dict[str, Any]:
    """What the reporter would read if this change were made to the report as it is now, and how many others would hear.

    `mail` is None where the reporter gave no address or would not be told. `desk` must be one whose work is undone.
    Raises whatever the change itself raises.
    """
    report = locked(desk.session, desk.municipality.id, report_id)
    others = [one.id for one in duplicates_of(desk.session, report)]
    before = _last_entry(desk)
    change(desk, report.version)
    desk.session.flush()
    return {"mail": _mail(desk, report_id), "others": _told(desk, others, after=before)}


def _last_entry(desk: Desk) -> int:
    newest = desk.session.scalar(
        select(func.max(TimelineEntry.id)).where(TimelineEntry.municipality_id == desk.municipality.id)
    )
    return newest or 0


def _mail(desk: Desk, report_id: UUID) -> dict[str, Any] | None:
    reporter = desk.session.get(Reporter, (desk.municipality.id, report_id))
    if reporter is None or recipients.reporter(desk.municipality, reporter) is None:
        return None
    entries = untold(desk.session, desk.municipality, report_id)
    if not entries:
        return None
    report = locked(desk.session, desk.municipality.id, report_id)
    letter = compose(desk.session, desk.municipality, report, entries, reporter.language, token=HIDDEN_TOKEN)
    if letter.unsubscribe and reporter.muted_at is not None:
        return None
    return {
        "language": reporter.language,
        "subject": letter.subject,
        "text": letter.plain(),
        "html": letter.page(reporter.language),
    }


def _told(desk: Desk, report_ids: list[UUID], *, after: int) -> int:
    """How many reporters of those reports would get a mail too, because theirs is joined to this one."""
    return (
        desk.session.scalar(
            select(func.count(func.distinct(Reporter.report_id)))
            .join(
                TimelineEntry,
                (TimelineEntry.municipality_id == Reporter.municipality_id)
                & (TimelineEntry.report_id == Reporter.report_id),
            )
            .where(
                Reporter.municipality_id == desk.municipality.id,
                Reporter.report_id.in_(report_ids),
                (Reporter.email != "") | Reporter.fiscal_code.is_not(None),
                Reporter.muted_at.is_(None) | TimelineEntry.to_state.in_(OUTCOMES),
                TimelineEntry.id > after,
                TimelineEntry.is_public,
                ~TimelineEntry.details.has_key("told_by"),
            )
        )
        or 0
    )
