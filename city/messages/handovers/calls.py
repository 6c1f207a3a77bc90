"""Hand-overs by HTTP: what an outside body's service is told, and what its answer means."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession
from city.errors import Refused, Unavailable
from city.outside import open311, webhook
from city.registry.channels.allowed_hosts import door
from city.registry.channels.body_tables import OutsideBody
from city.registry.channels.outside_bodies import secret_of
from city.registry.municipality import MunicipalityView
from city.reports import photos
from city.reports.handovers.links import link_address, link_token
from city.reports.handovers.tables import Handover
from city.reports.tables import Photo, Report, Reporter
from city.settings import settings
from city.texts import text

ANY: Final = "*"


def service_of(session: ReadSession, body: OutsideBody) -> open311.Service:
    """How to speak with an Open311 body."""
    return open311.Service(door(session, body.address), body.jurisdiction, secret_of(body))


def open_there(session: ReadSession, municipality: MunicipalityView, handover: Handover, body: OutsideBody) -> None:
    """Open a request there, unless a try before has done so already; their number, or token, is noted.

    Raises Refused, NotAllowed, Unavailable.
    """
    report = session.get_one(Report, (municipality.id, handover.report_id))
    category = municipality.category_ids[report.category_id]
    services = body.services
    code = services.get(category.slug) or services.get(category.group.slug) or services.get(ANY)
    if code is None:
        raise Refused("handover.no_service", category=category.slug)
    service = service_of(session, body)
    if handover.attempts > 1 and handover.tried_at is not None:
        # The worker may have been killed between their answer and our note of it.
        handover.reference = open311.find(service, mark_of(handover), handover.tried_at)
    if handover.reference is None:
        opened = open311.open_request(service, _fields(session, municipality, handover, report, code))
        if opened.refused is not None:
            raise Refused("handover.said_no", status=opened.refused)
        handover.reference, handover.reference_token = opened.reference, opened.token


def mark_of(handover: Handover) -> str:
    """What a request's description is known again by."""
    return f"lampione:{handover.id}"


def _fields(
    session: ReadSession, municipality: MunicipalityView, handover: Handover, report: Report, code: str
) -> dict[str, str]:
    link = _link(handover)
    said = [
        handover.words,
        text("handover.call.number", language=handover.language, number=report.number, name=municipality.name),
    ]
    if link:
        said.append(text("handover.call.link", language=handover.language, link=link))
    fields = {
        "service_code": code,
        "lat": f"{report.lat:.6f}",
        "long": f"{report.lon:.6f}",
        "description": "\n".join([*said, f"[{mark_of(handover)}]"]),
    }
    if report.address:
        fields["address_string"] = report.address
    pictures = _pictures(session, report, handover)
    if pictures:
        fields["media_url"] = pictures[0]
    contact = contact_of(session, report, handover)
    for ours, theirs in (("email", "email"), ("phone", "phone"), ("name", "first_name")):
        if contact.get(ours):
            fields[theirs] = str(contact[ours])
    return fields


def post_there(session: ReadSession, municipality: MunicipalityView, handover: Handover, body: OutsideBody) -> None:
    """Send a signed webhook under the hand-over's id; a reference in the answer is noted.

    Raises Refused, NotAllowed, Unavailable.
    """
    report = session.get_one(Report, (municipality.id, handover.report_id))
    payload = _payload(session, municipality, handover, report)
    answer = webhook.post(door(session, body.address), [secret_of(body) or ""], str(handover.id), payload)
    if answer.is_final:
        raise Refused("handover.said_no", status=answer.status)
    if not answer.is_good:
        raise Unavailable("strangers.silent", problem=f"HTTP {answer.status}")
    handover.reference = webhook.reference_in(answer)


def _payload(
    session: ReadSession, municipality: MunicipalityView, handover: Handover, report: Report
) -> dict[str, Any]:
    category = municipality.category_ids[report.category_id]
    department = municipality.by_id[report.department_id]
    link = _link(handover)
    data: dict[str, Any] = {
        "handover": str(handover.id),
        "number": report.number,
        "municipality": {"slug": municipality.slug, "name": municipality.name, "email": municipality.email},
        "department": {"slug": department.slug, "name": {"it": department.name.it, "en": department.name.en}},
        "category": {"slug": category.slug, "name": {"it": category.name.it, "en": category.name.en}},
        "text": handover.words,
        "place": {"lon": report.lon, "lat": report.lat},
        "address": report.address,
        "photos": _pictures(session, report, handover),
        "respond_by": handover.respond_by.isoformat() if handover.respond_by else None,
        "link": link,
        "answer_to": link.replace("/h/", "/api/v1/handovers/") if link else None,
    }
    contact = contact_of(session, report, handover)
    if contact:
        data["reporter"] = contact
    return {"type": "report.handed_over", "timestamp": handover.created_at.isoformat(), "data": data}


def contact_of(session: ReadSession, report: Report, handover: Handover) -> dict[str, str | None]:
    """Who reported, where the desk has said that they may know."""
    if not handover.shares_contact:
        return {}
    reporter = session.get(Reporter, (report.municipality_id, report.id))
    return {"name": reporter.name, "phone": reporter.phone, "email": reporter.email} if reporter else {}


def _link(handover: Handover) -> str | None:
    return link_address(link_token(handover.id, handover.link_serial)) if handover.link_hash else None


def _pictures(session: ReadSession, report: Report, handover: Handover) -> list[str]:
    """Where the clean copies of the photos can be fetched, as long as the link is good."""
    if handover.link_hash is None:
        return []
    root = f"{settings().public_url.rstrip('/')}/api/v1/handovers/{link_token(handover.id, handover.link_serial)}"
    found: list[UUID] = list(
        session.scalars(
            select(Photo.id)
            .where(
                Photo.municipality_id == report.municipality_id, Photo.report_id == report.id, Photo.state == "ready"
            )
            .order_by(Photo.position)
            .limit(photos.MOST_PHOTOS)
        )
    )
    return [f"{root}/photos/{photo_id}/large" for photo_id in found]
