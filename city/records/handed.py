"""What may be seen of hand-overs: by the desk all, by whoever has a link what is needed to do the work."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession
from city.errors import NotFound, sentence_of
from city.registry.channels.outside_bodies import bodies_of
from city.registry.municipality import MunicipalityView
from city.reports.handovers.contracting import Opened, check_live
from city.reports.handovers.links import link_hash
from city.reports.handovers.tables import ACTIVE, Handover
from city.reports.tables import Photo, Report, TimelineEntry
from city.settings import settings


def of_report(session: ReadSession, municipality_id: int, report_id: UUID, language: str) -> list[dict[str, Any]]:
    """The hand-overs of a report as JSON values, newest first; no link's secret is among it."""
    found = session.scalars(
        select(Handover)
        .where(Handover.municipality_id == municipality_id, Handover.report_id == report_id)
        .order_by(Handover.created_at.desc(), Handover.id.desc())
    )
    return [
        {
            "id": str(one.id),
            "name": {"it": one.name_it, "en": one.name_en},
            "channel": one.channel,
            "state": one.state,
            "text": one.words,
            "shares_contact": one.shares_contact,
            "needs_check": one.needs_check,
            "respond_by": _iso(one.respond_by),
            "link_expires_at": _iso(one.link_expires_at),
            "reference": one.reference,
            "their_state": one.their_state,
            "attempts": one.attempts,
            "problem": sentence_of(one.problem, language),
            "created_at": _iso(one.created_at),
            "sent_at": _iso(one.sent_at),
            "accepted_at": _iso(one.accepted_at),
            "finished_at": _iso(one.finished_at),
        }
        for one in found
    ]


def now_with(session: ReadSession, report: Report) -> dict[str, str] | None:
    """The name of who outside has the report at this moment."""
    row = session.execute(
        select(Handover.name_it, Handover.name_en).where(
            Handover.municipality_id == report.municipality_id,
            Handover.report_id == report.id,
            Handover.state.in_(ACTIVE),
        )
    ).one_or_none()
    return {"it": row.name_it, "en": row.name_en} if row else None


def choices(session: ReadSession, municipality: MunicipalityView) -> list[dict[str, Any]]:
    """To whom the desk can hand a report."""
    return [
        {
            "slug": body.slug,
            "name": {"it": body.name_it, "en": body.name_en},
            "channel": body.channel,
            "contact": body.contact,
            "needs_check": body.needs_check,
        }
        for body in bodies_of(session, municipality.id)
        if body.is_active
    ]


def by_link(session: ReadSession, municipality: MunicipalityView, link: Opened, token: str) -> dict[str, Any]:
    """What whoever has the link reads: what is to be done and where, never who reported. Raises NotFound, Gone."""
    handover = session.get(Handover, (municipality.id, link.handover_id))
    if handover is None or handover.link_hash != link_hash(token):
        raise NotFound("handover.no_such_link")
    report = session.get_one(Report, (municipality.id, handover.report_id))
    check_live(municipality, report, handover)
    assert handover.link_expires_at is not None
    category = municipality.category_ids[report.category_id]
    department = municipality.by_id[report.department_id]
    return {
        "number": report.number,
        "state": handover.state,
        "is_open": handover.state in ACTIVE,
        "municipality": {"slug": municipality.slug, "name": municipality.name},
        "department": {"it": department.name.it, "en": department.name.en},
        "office_email": municipality.email,
        "name": {"it": handover.name_it, "en": handover.name_en},
        "category": {"it": category.name.it, "en": category.name.en},
        "text": handover.words,
        "place": {"lon": report.lon, "lat": report.lat},
        "address": report.address,
        "map": f"{settings().public_url.rstrip('/')}/#17/{report.lat:.6f}/{report.lon:.6f}",
        "photos": [str(photo_id) for photo_id in _photos(session, report)],
        "said": _said(session, report, handover),
        "respond_by": _iso(handover.respond_by),
        "handed_over_at": _iso(handover.created_at),
        "expires_at": _iso(handover.link_expires_at),
    }


def _said(session: ReadSession, report: Report, handover: Handover) -> str | None:
    """Their own last words."""
    return session.scalar(
        select(TimelineEntry.note)
        .where(
            TimelineEntry.municipality_id == report.municipality_id,
            TimelineEntry.report_id == report.id,
            TimelineEntry.actor == "contractor",
            TimelineEntry.details["handover"].astext == str(handover.id),
            TimelineEntry.note.is_not(None),
        )
        .order_by(TimelineEntry.id.desc())
        .limit(1)
    )


def _photos(session: ReadSession, report: Report) -> list[UUID]:
    return list(
        session.scalars(
            select(Photo.id)
            .where(
                Photo.municipality_id == report.municipality_id, Photo.report_id == report.id, Photo.state == "ready"
            )
            .order_by(Photo.position)
        )
    )


def holds_photo(session: ReadSession, municipality: MunicipalityView, link: Opened, token: str, photo_id: UUID) -> None:
    """Raises NotFound where the link shows no such photo, Gone where it shows nothing any more."""
    if str(photo_id) not in by_link(session, municipality, link, token)["photos"]:
        raise NotFound("reports.photo_not_found", value=str(photo_id))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
