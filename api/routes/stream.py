"""Whoever watches: live changes of reports and figures as server-sent events, for desk, crew and dashboard."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel

from api.access import Signed, Token, bearer, work_of
from api.schemas.base import Slug
from api.stream_answer import StreamAnswer
from api.streaming import LONGEST_SECONDS, Admission, Topic
from city.database import provincial
from city.digests import digest
from city.registry import view
from city.registry.municipality import Registry
from city.registry.sign_in import signing_in, tickets
from city.registry.staff.people import Right, Staff


class TicketOut(BaseModel):
    """Opens one stream of live changes, until that moment: `GET /api/v1/stream?ticket=…`."""

    ticket: str
    expires_at: datetime


router = APIRouter(prefix="/api/v1/stream", tags=["stream"])


@router.post("/tickets", status_code=201)
def make_ticket(staff: Signed, token: Token, response: Response) -> TicketOut:
    """A ticket for `GET /api/v1/stream?ticket=…`, good for one minute and one stream."""
    with provincial() as session:
        ticket, expires_at = tickets.issue(session, staff, token)
    response.headers["Cache-Control"] = "no-store"
    return TicketOut(ticket=ticket, expires_at=expires_at)


@router.get("", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def listen(
    request: Request,
    ticket: Annotated[str | None, Query(max_length=100, description="Of POST /api/v1/stream/tickets")] = None,
    municipality: Annotated[Slug | None, Query(description="For those who work in several")] = None,
    topic: Annotated[Topic, Query(description="reports: each change; figures: that some have changed")] = "reports",
    last_event_id: Annotated[str | None, Query(max_length=12_000, description="As the header Last-Event-ID")] = None,
    last_event_id_header: Annotated[str | None, Header(alias="Last-Event-ID", max_length=12_000)] = None,
    seconds: Annotated[
        int, Query(ge=0, le=LONGEST_SECONDS, description="When to end at the latest; 0: tell what was missed, and end")
    ] = LONGEST_SECONDS,
) -> Response:
    """What happens to the reports that one may read, as it happens. Who: a ticket, or a bearer token.

    Events: `report` (something happened to it), `gone` (a report that one may have on a list can be somebody else's by
    now), `figures` (of the topic figures), `reset` (too much was missed: read the lists anew), `end` (ask for another
    ticket and come back). The id of the last event leads on from there, for ten minutes.
    """
    admission = await to_thread.run_sync(_admitted, request, ticket, municipality, topic)
    return StreamAnswer(request.state.streams, admission, last_event_id_header or last_event_id, seconds)


def _admitted(request: Request, ticket: str | None, municipality: str | None, topic: Topic) -> Admission:
    with provincial() as session:
        if ticket is not None:
            staff, token_hash = tickets.redeem(session, ticket)
        else:
            token = bearer(request)
            staff, token_hash = signing_in.signed_in(session, token), digest(token)
    here = view.held().municipalities[work_of(staff, municipality).municipality_id]
    staff.needs(Right.READ)
    return Admission(staff, token_hash, staff.sight(Right.READ, here), topic)


def over(admissions: Collection[Admission]) -> set[Admission]:
    """Which of these are good no more: the sign-in is over, or its rights have become others."""
    with provincial() as session:
        signed = signing_in.still_signed_in(session, {admission.token_hash for admission in admissions})
        registry = view.fresh(session)
    return {
        admission for admission in admissions if not _is_good(admission, signed.get(admission.token_hash), registry)
    }


def _is_good(admission: Admission, staff: Staff | None, registry: Registry) -> bool:
    here = registry.municipalities.get(admission.sight.municipality_id)
    if staff is None or here is None or not staff.works_in(here.id) or not staff.posts_with(Right.READ):
        return False
    return staff.sight(Right.READ, here) == admission.sight
