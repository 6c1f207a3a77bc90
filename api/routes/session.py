"""Signing in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from api.access import Signed, bearer
from api.schemas import SessionIn, SessionOut, WhoOut
from city.database import provincial
from city.registry import people, view

router = APIRouter(prefix="/api/v1/session", tags=["session"])


@router.post("", status_code=201)
def sign_in(body: SessionIn, response: Response) -> SessionOut:
    """Sign in with e-mail and password."""
    with provincial() as session:
        token, staff, expires_at = people.sign_in(session, body.email, body.password)
    response.headers["Cache-Control"] = "no-store"
    return SessionOut(
        token=token, expires_at=expires_at, name=staff.name, roles=sorted({post.role for post in staff.posts})
    )


@router.get("")
def who_am_i(staff: Signed) -> WhoOut:
    """Who is signed in."""
    home = view.newest().municipalities.get(staff.home_id)
    return WhoOut(
        name=staff.name,
        email=staff.email,
        language=staff.language,
        municipality=home.slug if home else None,
        roles=sorted({post.role for post in staff.posts}),
    )


@router.delete("", status_code=204)
def sign_out(_staff: Signed, token: Annotated[str, Depends(bearer)]) -> None:
    """Sign out: the token is good for nothing from now on."""
    with provincial() as session:
        people.sign_out(session, token)
