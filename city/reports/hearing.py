"""How a reporter hears of the own report: at once or once a day, not in quiet hours, in which language, or no more.

Whoever wants to hear no more is told the outcome all the same: it is what they have reported for. Which letter tells
it, `city.messages.news` knows.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import select

from city import links
from city.database import ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.reports import journey
from city.reports.tables import Report, Reporter

Quiet = tuple[time, time] | None
"""From when to when nothing is sent."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a reporter wants to hear of the report."""

    is_muted: bool
    language: str
    rhythm: str
    quiet: Quiet


def check_quiet(quiet: Quiet) -> None:
    """Raises InvalidInput where the quiet hours are none."""
    if quiet is not None and quiet[0] == quiet[1]:
        raise InvalidInput("subscriptions.quiet", field="quiet_until")


def manner_of(session: ReadSession, report: Report) -> dict[str, Any] | None:
    """How the reporter hears of it, JSON values; None where nobody is written to."""
    reporter = session.get(Reporter, (report.municipality_id, report.id))
    if reporter is None or not _is_written_to(reporter):
        return None
    return {
        "is_muted": reporter.muted_at is not None,
        "language": reporter.language,
        "rhythm": reporter.rhythm,
        "quiet_from": reporter.quiet_from and reporter.quiet_from.isoformat("minutes"),
        "quiet_until": reporter.quiet_until and reporter.quiet_until.isoformat("minutes"),
    }


def change(session: WriteSession, report: Report, manner: Manner) -> None:
    """Tell the reporter so from now on. Raises InvalidInput; Conflict where nobody is written to."""
    check_quiet(manner.quiet)
    reporter = _locked(session, report)
    reporter.language, reporter.rhythm = manner.language, manner.rhythm
    reporter.quiet_from, reporter.quiet_until = manner.quiet or (None, None)
    _mute(reporter, is_muted=manner.is_muted)
    journey.after_hearing(session, report.municipality_id, report.id)


def mute(session: WriteSession, report: Report, *, is_muted: bool) -> None:
    """Let the reporter hear no more, or again. What has happened meanwhile is told no more.

    Raises Conflict where nobody is written to.
    """
    _mute(_locked(session, report), is_muted=is_muted)


def is_muted(session: ReadSession, municipality_id: int, report_id: UUID) -> bool:
    """Whether the reporter of this report wants to hear no more of it."""
    found = select(Reporter.muted_at).where(
        Reporter.municipality_id == municipality_id, Reporter.report_id == report_id
    )
    return session.scalar(found) is not None


def mute_token(report_id: UUID) -> str:
    """What lets whoever holds it mute this report's letters, and nothing else."""
    return links.made("mute", report_id.bytes)


def check_mute_token(token: str, report: Report) -> None:
    """Raises NotFound where the token is not of this report."""
    if not hmac.compare_digest(links.opened("mute", token), report.id.bytes):
        raise NotFound("problem.link_not_good", field="token")


def _locked(session: WriteSession, report: Report) -> Reporter:
    reporter = session.scalar(
        select(Reporter)
        .where(Reporter.municipality_id == report.municipality_id, Reporter.report_id == report.id)
        .with_for_update()
    )
    if reporter is None or not _is_written_to(reporter):
        raise Conflict("hearing.nobody", number=report.number)
    return reporter


def _is_written_to(reporter: Reporter) -> bool:
    return bool(reporter.email) or reporter.fiscal_code is not None


def _mute(reporter: Reporter, *, is_muted: bool) -> None:
    if is_muted != (reporter.muted_at is not None):
        reporter.muted_at = datetime.now(UTC) if is_muted else None
