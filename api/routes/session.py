"""Signing in and out, where one is signed in, the password and the second factor."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Request, Response

from api import visitor
from api.access import Enrolling, Signed, Token
from api.schemas.sign_in import (
    CodeIn,
    FactorBegun,
    FactorOff,
    PaperCodes,
    PasswordIn,
    ResetAsked,
    ResetIn,
    SessionIn,
    SessionOut,
    SignInListed,
    WhoOut,
)
from city import pacing
from city.database import provincial
from city.digests import digest
from city.registry import view
from city.registry.sign_in import second_factor, signing_in
from city.registry.staff import people
from city.reports import journey

router = APIRouter(prefix="/api/v1/session", tags=["session"])


@router.post("", status_code=201)
def sign_in(request: Request, body: SessionIn, response: Response) -> SessionOut:
    """Sign in with e-mail and password, and the code of an authenticator app if one was set up.

    Who fails ten times has to wait; the answer says how long.
    """
    with (
        pacing.failures(*signing_in.paces(body.email, visitor.network(request))),
        provincial() as session,
    ):
        begun = signing_in.sign_in(session, body.email, body.password, body.code, visitor.device(request))
    response.headers["Cache-Control"] = "no-store"
    return SessionOut.of(begun)


@router.get("")
def who_am_i(staff: Enrolling) -> WhoOut:
    """Who is signed in."""
    home = view.newest().municipalities.get(staff.home_id)
    return WhoOut(
        name=staff.name,
        email=staff.email,
        language=staff.language,
        municipality=home.slug if home else None,
        roles=staff.roles,
        rights=staff.rights,
    )


@router.delete("", status_code=204)
def sign_out(_staff: Enrolling, token: Token) -> None:
    """Sign out: the token is good for nothing from now on."""
    with provincial() as session:
        signing_in.sign_out(session, token)


@router.get("/devices")
def list_devices(staff: Signed, token: Token) -> list[SignInListed]:
    """Where one is signed in, newest first."""
    with provincial() as session:
        return [SignInListed.of(one, token) for one in signing_in.devices(session, staff)]


@router.delete("/devices/{sign_in_id}", status_code=204)
def sign_out_there(sign_in_id: UUID, staff: Signed) -> None:
    """Sign out from one of one's devices: a tablet that was lost."""
    with provincial() as session:
        signing_in.revoke(session, staff, sign_in_id)


@router.delete("/devices", status_code=204)
def sign_out_elsewhere(staff: Signed, token: Token) -> None:
    """Sign out everywhere but here."""
    with provincial() as session:
        people.revoke_all(session, staff.home_id, staff.person_id, but=digest(token))


@router.put("/password", status_code=204)
def change_password(request: Request, body: PasswordIn, staff: Signed, token: Token) -> None:
    """Change one's password; all other sign-ins end."""
    with pacing.failures(*signing_in.paces(staff.email, visitor.network(request))), provincial() as session:
        signing_in.change_password(session, staff, token, body.current, body.new)


@router.post("/resets", status_code=202)
def ask_for_new_password(request: Request, body: ResetAsked) -> None:
    """Ask for a link to set a new password, by mail. The answer is the same whether or not the address is known."""
    pacing.take(*signing_in.reset_paces(body.email, visitor.network(request)))
    with provincial() as session:
        reset = signing_in.ask_for_reset(session, body.email)
        if reset is not None:
            journey.after_asking_for_password(session, reset.municipality_id, reset.id)


@router.put("/resets", status_code=204)
def set_new_password(body: ResetIn) -> None:
    """Set a new password with the token of the mail, once. Every sign-in ends; the second factor stays."""
    with provincial() as session:
        signing_in.reset_password(session, body.token, body.new)


@router.post("/second-factor", status_code=201)
def begin_second_factor(staff: Enrolling, response: Response) -> FactorBegun:
    """A new secret for an authenticator app. It counts once a code of it was given."""
    with provincial() as session:
        secret, address = second_factor.begin(session, staff)
    response.headers["Cache-Control"] = "no-store"
    return FactorBegun(secret=secret, address=address)


@router.put("/second-factor")
def confirm_second_factor(
    request: Request, body: CodeIn, staff: Enrolling, token: Token, response: Response
) -> PaperCodes:
    """Give the first code. From now on a code is asked for; the paper codes, for when the phone is lost, are shown this
    once.
    """
    with pacing.failures(*signing_in.paces(staff.email, visitor.network(request))), provincial() as session:
        paper = second_factor.confirm(session, staff, body.code)
        signing_in.complete(session, staff, token)
    response.headers["Cache-Control"] = "no-store"
    return PaperCodes(codes=paper)


@router.delete("/second-factor", status_code=204)
def remove_second_factor(request: Request, body: Annotated[FactorOff, Body()], staff: Signed) -> None:
    """Give the second factor up; the password and a code are asked for."""
    with pacing.failures(*signing_in.paces(staff.email, visitor.network(request))), provincial() as session:
        signing_in.give_up_factor(session, staff, body.password, body.code)
