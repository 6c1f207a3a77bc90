"""What goes in and out when somebody signs in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, StringConstraints

from api.schemas.base import Line, Strict
from city.digests import digest
from city.registry.sign_in.citizen_tables import CitizenSession
from city.registry.sign_in.signing_in import SignIn
from city.registry.tables import AccessToken

Email = Annotated[Line, StringConstraints(max_length=254)]
Password = Annotated[str, StringConstraints(max_length=200)]
Code = Annotated[Line, StringConstraints(min_length=6, max_length=30)]


class SessionIn(Strict):
    """Who signs in."""

    email: Email
    password: Password
    code: Code | None = None
    """Of the authenticator app, or one of the paper codes."""


class SessionOut(BaseModel):
    """A sign-in. Send the token as `Authorization: Bearer …`."""

    token: str
    expires_at: datetime
    name: str
    roles: list[str]
    must_enrol: bool = False
    """A second factor is wanted, and has to be set up before anything else."""
    sign_out_address: str | None = None
    """Where the browser may go after signing out, to be signed out at the provider too."""

    @classmethod
    def of(cls, begun: SignIn, sign_out_address: str | None = None) -> Self:
        """As shown to whoever has just come in."""
        return cls(
            token=begun.token,
            expires_at=begun.expires_at,
            name=begun.staff.name,
            roles=begun.staff.roles,
            must_enrol=not begun.is_full,
            sign_out_address=sign_out_address,
        )


class WhoOut(BaseModel):
    """Who is signed in."""

    name: str
    email: str
    language: str
    municipality: str | None
    roles: list[str]
    rights: list[str]
    """What one may do with some reports at least."""


class SignInListed(BaseModel):
    """One sign-in of one's own."""

    id: UUID
    device: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    is_this: bool
    """The one that asks."""

    @classmethod
    def of(cls, sign_in: AccessToken | CitizenSession, token: str) -> Self:
        """As shown to whoever asks with `token`."""
        return cls(
            id=sign_in.id,
            device=sign_in.device,
            created_at=sign_in.created_at,
            seen_at=sign_in.seen_at,
            expires_at=sign_in.expires_at,
            is_this=sign_in.token_hash == digest(token),
        )


class PasswordIn(Strict):
    """The password one has, and the one to be."""

    current: Password
    new: Password


class ResetAsked(Strict):
    """Whose password is forgotten."""

    email: Email


class ResetIn(Strict):
    """The token of the mail, and the new password."""

    token: Annotated[Line, StringConstraints(max_length=100)]
    new: Password


class CodeIn(Strict):
    """A code of the authenticator app."""

    code: Code


class FactorOff(Strict):
    """What is asked for to give the second factor up."""

    password: Password
    code: Code


class FactorBegun(BaseModel):
    """What an authenticator app is told."""

    secret: str
    address: str
    """`otpauth:`, to be shown as a QR code."""


class PaperCodes(BaseModel):
    """Each good for one sign-in without the app."""

    codes: list[str]
