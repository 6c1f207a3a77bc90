"""The staff's errand with reports in the hands of others: hand over, call back, renew the link."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from uuid import UUID

import orjson
from fastapi import APIRouter, Response

from api.access import IfMatch, Work, Workplace, etag
from api.schemas.desk import DeskReportFull
from api.schemas.handover import CallBackIn, HandoverChoices, HandOverIn, LinkIn, LinkOut
from city.records import handed, worklist
from city.registry import view
from city.registry.staff.people import Right
from city.reports.changing import Desk
from city.reports.handovers import handing_over
from city.reports.handovers.handing_over import Order
from city.reports.handovers.links import link_address

router = APIRouter(prefix="/api/v1/desk", tags=["desk"])


@router.get("/outside-bodies", response_model=HandoverChoices)
def list_outside_bodies(work: Workplace) -> Response:
    """To whom a report can be handed over."""
    work.staff.needs(Right.READ)
    with work.looking() as (session, municipality):
        others = [one for one in view.fresh(session).municipalities.values() if one.id != municipality.id]
        known = [{"slug": one.slug, "name": one.name} for one in sorted(others, key=lambda one: one.name)]
        return _json({"bodies": handed.choices(session, municipality), "municipalities": known})


@router.post("/reports/{report_id}/hand-over", response_model=DeskReportFull)
def hand_over_outside(work: Workplace, report_id: UUID, body: HandOverIn, version: IfMatch) -> Response:
    """Hand the report to an outside body. The citizen keeps the number, and hears from the office as before."""
    order = Order(
        to=body.to,
        reason=body.reason,
        words=body.text,
        shares_contact=body.share_contact,
        respond_by=body.respond_by.astimezone(UTC) if body.respond_by else None,
        link_days=body.link_days,
        although_outside=body.although_outside,
    )
    return _change(work, report_id, lambda desk: handing_over.hand_over(desk, report_id, version, order))


@router.post("/reports/{report_id}/hand-over/call-back", response_model=DeskReportFull)
def call_back(work: Workplace, report_id: UUID, body: CallBackIn, version: IfMatch) -> Response:
    """Take a report back from whoever it was handed to; their link ends."""
    return _change(work, report_id, lambda desk: handing_over.call_back(desk, report_id, version, body.reason))


@router.post("/reports/{report_id}/hand-over/link", response_model=LinkOut)
def renew_link(work: Workplace, report_id: UUID, body: LinkIn, version: IfMatch) -> Response:
    """Make a new link and end the old one; sent by mail where that is how they are reached, and shown only here."""
    with work.desk() as desk:
        token = handing_over.renew_link(desk, report_id, version, body.days)
    return _json({"link": link_address(token) if token else None})


@router.delete("/reports/{report_id}/hand-over/link", status_code=204)
def end_link(work: Workplace, report_id: UUID, version: IfMatch) -> Response:
    """End the link; the report stays in their hands."""
    with work.desk() as desk:
        handing_over.renew_link(desk, report_id, version, None)
    return Response(status_code=204)


def _change(work: Work, report_id: UUID, change: Callable[[Desk], object]) -> Response:
    with work.desk() as desk:
        change(desk)
        desk.session.flush()
        report = worklist.one(desk.session, desk.municipality, desk.staff, report_id, just_changed=True)
    headers = {"ETag": etag(report["version"]), "Cache-Control": "no-store"}
    return Response(orjson.dumps(report), headers=headers, media_type="application/json")


def _json(answer: object) -> Response:
    return Response(orjson.dumps(answer), headers={"Cache-Control": "no-store"}, media_type="application/json")
