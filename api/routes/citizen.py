"""The errand of a citizen who signs in: one look at all own reports. Nobody has to; receipt tokens go on working."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Request, Response

from api import visitor
from api.access import Citizen, Token
from api.problems import language_of
from api.schemas.base import Slug
from api.schemas.citizen import CitizenOut, CitizenPut, CitizenSession, CodeAsked, CodeGiven, CodeSent, OwnReports
from api.schemas.sign_in import SignInListed
from city import pacing
from city.database import provincial, writing
from city.errors import NotAuthenticated
from city.messages.fates import pausing
from city.records import own_reports
from city.records.own_reports import LARGEST_PAGE, OwnFilter
from city.registry import view
from city.registry.sign_in import citizen_codes, citizen_tables, citizens
from city.reports import journey

router = APIRouter(prefix="/api/v1/citizen", tags=["citizen"])


@router.post("/codes", status_code=202)
def ask_for_code(request: Request, body: CodeAsked, response: Response) -> CodeSent:
    """Ask for a code of six digits by mail, good for ten minutes and once. The answer is the same for every address."""
    pacing.take(*citizen_codes.paces(body.email, visitor.network(request)))
    with provincial() as session:
        asked, handle = citizen_codes.ask(session, body.email, body.language or language_of(request))
        journey.after_asking_for_code(session, asked.id)
    response.headers["Cache-Control"] = "no-store"
    return CodeSent(handle=handle, expires_at=citizen_codes.expires_at(asked))


@router.post("/session", status_code=201)
def sign_in(request: Request, body: CodeGiven, response: Response) -> CitizenSession:
    """Sign in with the code of the mail and the handle that this browser got. Five mistakes, and the code is dead."""
    asked = proved(body)
    with provincial() as session:
        begun = citizens.begin(session, email=asked.email, language=asked.language, device=visitor.device(request))
    response.headers["Cache-Control"] = "no-store"
    return CitizenSession.of_sign_in(begun)


@router.get("/session")
def who_am_i(citizen: Citizen) -> CitizenOut:
    """Who is signed in."""
    return CitizenOut.of(citizen)


@router.delete("/session", status_code=204)
def sign_out(_citizen: Citizen, token: Token) -> None:
    """Sign out: the token is good for nothing from now on."""
    with provincial() as session:
        citizens.sign_out(session, token)


@router.get("/session/devices")
def list_devices(citizen: Citizen, token: Token) -> list[SignInListed]:
    """Where one is signed in, newest first."""
    with provincial() as session:
        return [SignInListed.of(one, token) for one in citizens.devices(session, citizen.id)]


@router.delete("/session/devices/{sign_in_id}", status_code=204)
def sign_out_there(sign_in_id: UUID, citizen: Citizen) -> None:
    """Sign out from one of one's devices."""
    with provincial() as session:
        citizens.revoke(session, citizen.id, sign_in_id)


@router.delete("/session/devices", status_code=204)
def sign_out_elsewhere(citizen: Citizen, token: Token) -> None:
    """Sign out everywhere but here."""
    with provincial() as session:
        citizens.revoke_others(session, citizen.id, token)


@router.put("")
def change(body: CitizenPut, citizen: Citizen) -> CitizenOut:
    """Change name and language."""
    with provincial() as session:
        return CitizenOut.of(citizens.change(session, citizen.id, name=body.name, language=body.language))


@router.put("/email")
def change_email(body: CodeGiven, citizen: Citizen) -> CitizenOut:
    """Take another address, proved by a code that was asked for to it. Reports of the former one stay one's own."""
    asked = proved(body)
    with provincial() as session:
        return CitizenOut.of(citizens.change_email(session, citizen.id, asked.email))


@router.delete("", status_code=204)
def forget_me(citizen: Citizen) -> None:
    """Forget me here: sign-ins, name, address and fiscal number of this account, on all devices.

    The reports stay with the municipalities that deal with them, with the contact that was given for them, and their
    receipt tokens go on working; what was sent while signed in is tied to nobody any more. Subscriptions stay too: they
    end by their own link. Whoever signs in again with the same address begins anew, and finds the reports with it.
    """
    with provincial() as session:
        citizens.forget(session, citizen.id)


@router.get("/reports", response_model=OwnReports)
def list_own_reports(
    citizen: Citizen,
    municipality: Annotated[Slug | None, Query()] = None,
    status: Annotated[Literal["open", "closed"] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """One's own reports in all municipalities, newest first: sent while signed in, or with one's address.

    Each opens at `/api/v1/reports/{number}/receipt` with the same bearer token, and with it goes all that a receipt
    token is good for: to answer, to rate, to withdraw, to reopen, to add photos.
    """
    chosen = OwnFilter(
        view.found(lambda registry: registry.municipality(municipality)) if municipality else None,
        None if status is None else status == "open",
    )
    with provincial() as session:
        return secret(own_reports.page(session, view.fresh(session), citizen.id, chosen, limit=limit, cursor=cursor))


def proved(given: CodeGiven) -> citizen_tables.CitizenCode:
    """What was asked for with this handle, if the code is right: mail does reach that address.

    Raises NotAuthenticated; the try is counted.
    """
    with provincial() as session:
        asked = citizen_codes.redeem(session, given.handle, given.code)
        paused_by = pausing.paused_by(session, asked.email) if asked is not None else []
    if asked is None:
        raise NotAuthenticated("citizens.wrong_code", field="code")
    for municipality_id in paused_by:
        with writing(municipality_id) as session:
            pausing.lift(session, municipality_id, asked.email)
    return asked


def secret(value: Any) -> Response:
    """An answer that is for these eyes only."""
    return Response(orjson.dumps(value), headers={"Cache-Control": "no-store"}, media_type="application/json")
