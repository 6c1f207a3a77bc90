"""The letter that brings the monthly report: in short what it says, and the report itself on paper."""

from __future__ import annotations

from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import select

from city.database import ReadSession
from city.errors import sentence_of
from city.messages.letter import Attachment, Letter
from city.messages.posting import once
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.registry.schedule_tables import ReportSchedule
from city.settings import settings
from city.texts import text

KIND: Final = "monthly_report"


def about(schedule_id: int, month: date) -> dict[str, Any]:
    """What the letters of a schedule's month are about."""
    return {"schedule_id": schedule_id, "month": f"{month:%Y-%m}"}


def letter(
    municipality: MunicipalityView,
    *,
    month: str,
    title: str,
    sentences: list[str],
    pdf: bytes,
    language: str,
    is_public: bool,
) -> Letter:
    """The letter of a month (YYYY-MM). Where all of it is public, with a link to the page."""
    said = {"municipality": municipality.name}
    asked = {"municipality": municipality.slug, "month": month, "language": language}
    page = f"{settings().public_url.rstrip('/')}/api/v1/insight/report.html?{urlencode(asked)}"
    return Letter(
        subject=title,
        heading=title,
        happened=sentences,
        next_step=text(f"schedules.{'attached' if is_public else 'attached_internal'}", language=language),
        link=page if is_public else "",
        footer=text("schedules.footer", language=language, **said),
        button=text("schedules.button", language=language),
        attachments=[Attachment(f"{municipality.slug}-{month}.pdf", "application/pdf", pdf)],
    )


def fates(session: ReadSession, schedule: ReportSchedule, language: str) -> list[dict[str, Any]]:
    """What became of the letters of a schedule's last month."""
    names = [once(KIND, about(schedule.id, schedule.noted_month), address) for address in schedule.recipients]
    found = session.scalars(
        select(Delivery)
        .where(Delivery.municipality_id == schedule.municipality_id, Delivery.once.in_(names))
        .order_by(Delivery.address)
    )
    return [
        {
            "address": delivery.address,
            "state": delivery.state,
            "attempts": delivery.attempts,
            "problem": sentence_of(delivery.problem, language),
            "sent_at": delivery.sent_at,
        }
        for delivery in found
    ]
