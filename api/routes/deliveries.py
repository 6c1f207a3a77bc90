"""The staff's errand with messages: what became of them, sending them again, who cannot be reached."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Response

from api.access import IfMatch, Workplace, etag
from api.schemas.base import Line, Moment
from api.schemas.delivery import (
    DeliveryPage,
    Email,
    EmailIn,
    KindName,
    PausedPage,
    ResendIn,
    ResentOut,
    State,
)
from api.schemas.desk import DeliveryOut, DeskReportFull
from city.messages.fates import pausing, resending
from city.outside.mail_status import Bounce
from city.records import contact as looks
from city.records import deliveries, worklist
from city.records.contact import Why
from city.records.deliveries import LogFilter
from city.records.publication import make_cursor, read_cursor
from city.registry.staff.rights import Right
from city.reports import contact
from city.reports.identity import public_number

router = APIRouter(prefix="/api/v1/desk", tags=["desk"])


@router.get("/deliveries", response_model=DeliveryPage, response_model_exclude_unset=True)
def list_deliveries(
    work: Workplace,
    state: Annotated[State | None, Query()] = None,
    bounce: Annotated[Bounce | None, Query()] = None,
    kind: Annotated[KindName | None, Query()] = None,
    channel: Annotated[KindName | None, Query()] = None,
    report: Annotated[Line | None, Query(max_length=40, description="a report's number")] = None,
    address: Annotated[Email | None, Query(description="only for those who may see addresses")] = None,
    since: Annotated[Moment | None, Query()] = None,
    until: Annotated[Moment | None, Query()] = None,
    counts: Annotated[bool, Query(description="count them by fate too")] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """What became of messages, newest first: of those about reports one deals with; of all, who deals with all."""
    number = public_number(report) if report is not None else None
    chosen = LogFilter(state, bounce, kind, channel, number, address, since, until)
    with work.desk() as desk:
        page = deliveries.log(desk.session, desk.municipality, desk.staff, chosen, limit=limit, cursor=cursor)
        if counts:
            page["counts"] = deliveries.counts(desk.session, desk.municipality, desk.staff, chosen)
        if address is not None:
            # Who asks for an address is told what its owner has reported: that is a look at contact data.
            found = [UUID(one["report"]["id"]) for one in page["deliveries"] if one["report"]]
            looks.shown(desk.session, desk.municipality, desk.staff, found, Why.LIST)
    return _json(page)


@router.post("/deliveries/{delivery_id}/resend", response_model=DeliveryOut, status_code=201)
def resend(work: Workplace, delivery_id: UUID) -> Response:
    """Send a message that did not arrive once more, to where its reader is reached now; each only once."""
    with work.desk() as desk:
        new = resending.resend(desk, delivery_id)
        seen = deliveries.one(desk.session, desk.municipality, new.id, desk.staff.language)
    return _json(seen, 201)


@router.post("/deliveries/resend")
def resend_failed(work: Workplace, body: ResendIn) -> ResentOut:
    """Send all that did not arrive in some time once more, at most 500 at once; what was sent again stays sent."""
    after = read_cursor(body.cursor) if body.cursor else None
    with work.trial() if body.preview else work.desk() as desk:
        done = resending.resend_failed(desk, body.since, body.until, body.kind, after=after)
    following = make_cursor(dict(zip(("created_at", "id"), done.last, strict=True))) if done.last else None
    return ResentOut(letters=dict(done.letters), unreachable=done.unreachable, next=following)


@router.put("/reports/{report_id}/reporter/email", response_model=DeskReportFull)
def correct_email(work: Workplace, report_id: UUID, body: EmailIn, version: IfMatch) -> Response:
    """Correct the reporter's address: what waits and what comes goes there; what was lost can be sent again."""
    with work.desk() as desk:
        report = contact.correct_email(desk, report_id, version, body.email)
        resending.readdress(desk.session, report, body.email)
        desk.session.flush()
        seen = worklist.one(desk.session, desk.municipality, desk.staff, report_id, just_changed=True)
    return _json(seen, headers={"ETag": etag(seen["version"])})


@router.get("/paused-addresses", response_model=PausedPage)
def list_paused(
    work: Workplace,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Response:
    """Addresses that take no mail, newest first: nothing is sent there until the pause is lifted."""
    with work.looking() as (session, municipality):
        return _json(deliveries.pauses(session, municipality, work.staff, limit=limit, after=after))


@router.delete("/paused-addresses/{paused_id}", status_code=204)
def lift_pause(work: Workplace, paused_id: Annotated[int, Path(ge=1, lt=2**63)]) -> Response:
    """Write to an address again; the history of the report whose reporter could not be reached says who wanted so."""
    with work.desk() as desk:
        desk.staff.needs(Right.DESK)
        pausing.lift_by_id(desk.session, desk.staff, desk.municipality.id, paused_id)
    return Response(status_code=204)


def _json(answer: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    told = {"Cache-Control": "no-store", **(headers or {})}
    return Response(orjson.dumps(answer), status, headers=told, media_type="application/json")
