"""What goes in and out when a citizen signs in and looks after what is theirs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, StringConstraints

from api.schemas.base import Line, MunicipalityOut, Named, PlaceOut, Strict
from api.schemas.receipt import HolderReport
from api.schemas.subscription import SubscriberOut
from city.registry.sign_in.citizen_tables import Citizen
from city.registry.sign_in.citizens import CitizenSignIn
from city.reports.lifecycle import State

Email = Annotated[
    Line, StringConstraints(max_length=254, pattern=r"^[!-?A-~]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z0-9-]{2,63}$")
]
"""In plain letters: others can become somebody else's address when they are made small."""
Language = Literal["it", "en"]


class CodeAsked(Strict):
    """Where a code is to be sent, and the language of the mail (else the browser's)."""

    email: Email
    language: Language | None = None


class CodeSent(BaseModel):
    """What the browser keeps until the code is typed in. Whoever has the mail but not the handle cannot use it."""

    handle: str
    expires_at: datetime


class CodeGiven(Strict):
    """The handle, and the six digits of the mail."""

    handle: Annotated[Line, StringConstraints(min_length=1, max_length=100)]
    code: Annotated[Line, StringConstraints(min_length=6, max_length=20)]


class CitizenOut(BaseModel):
    """A citizen as they see themselves."""

    email: str | None
    name: str | None
    language: Language
    has_fiscal_number: bool

    @classmethod
    def of(cls, citizen: Citizen, **more: Any) -> Self:
        """As shown to themselves."""
        facts: dict[str, Any] = {"email": citizen.email, "name": citizen.name, "language": citizen.language}
        return cls(**facts, has_fiscal_number=citizen.fiscal_digest is not None, **more)


class CitizenSession(CitizenOut):
    """A sign-in. Send the token as `Authorization: Bearer …`."""

    token: str
    expires_at: datetime
    sign_out_address: str | None = None
    """Where the browser may go after signing out, to be signed out at the provider too."""

    @classmethod
    def of_sign_in(cls, begun: CitizenSignIn, sign_out_address: str | None = None) -> Self:
        """As shown to whoever has just come in."""
        return cls.of(begun.citizen, token=begun.token, expires_at=begun.expires_at, sign_out_address=sign_out_address)


class CitizenPut(Strict):
    """How a citizen wants to be called and written to."""

    name: Annotated[Line, StringConstraints(max_length=120)] | None
    language: Language


class OwnReport(BaseModel):
    """One of one's own reports in a list; `is_asked`: the office waits for an answer."""

    id: UUID
    number: str
    state: State
    is_open: bool
    is_asked: bool
    municipality: MunicipalityOut
    category: str
    category_name: Named
    description: str
    address: str | None
    place: PlaceOut
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    promised_at: datetime | None


class OwnReports(BaseModel):
    """Own reports, newest first; `next` is the cursor of the next page."""

    reports: list[OwnReport]
    next: str | None


class HeldCitizen(BaseModel):
    """The account."""

    email: str | None
    name: str | None
    language: Language
    fiscal_number: str | None
    created_at: datetime
    seen_at: datetime


class HeldSignIn(BaseModel):
    """A sign-in, perhaps over."""

    device: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class HeldContact(BaseModel):
    """What was given with a report to be reached by; `app_io`: a fiscal code too, to be answered there."""

    email: str | None
    name: str | None
    phone: str | None
    language: str
    app_io: bool


class HeldReport(HolderReport):
    """An own report as its reporter sees it."""

    contact: HeldContact | None
    """None where it is somebody else's address."""


class HeldLetter(BaseModel):
    """A letter to the address, and what became of it."""

    municipality: str | None
    kind: str
    report: str | None
    channel: str
    language: str
    subject: str
    state: str
    created_at: datetime
    sent_at: datetime | None


class CitizenData(BaseModel):
    """All that is held about a citizen."""

    citizen: HeldCitizen
    sign_ins: list[HeldSignIn]
    reports: list[HeldReport]
    subscriptions: list[SubscriberOut]
    letters: list[HeldLetter]
