"""The shapes of hand-overs, for the desk, for administrators, and for whoever has a link."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.base import Line, Moment, MunicipalityOut, Named, NamedIn, PlaceOut, Slug, Strict, Words
from city.reports.handovers.handing_over import MOST_DAYS, USUAL_DAYS

Channel = Literal["mail", "open311", "webhook"]
HandoverState = Literal["queued", "sent", "accepted", "refused", "done", "withdrawn", "failed"]
LinkDays = Annotated[int, Field(ge=1, le=MOST_DAYS)]


class HandOverIn(Strict):
    """To whom the report goes (an outside body or a municipality), why (the citizen reads it), and how.

    `text` is what they read of the trouble; without any, what was released, else what the citizen wrote.
    `although_outside` says why it goes to a municipality in which it does not lie.
    """

    to: Slug
    reason: Words
    text: Words | None = None
    share_contact: bool = False
    respond_by: Annotated[Moment, Field(strict=False)] | None = None
    link_days: LinkDays = USUAL_DAYS
    although_outside: Words | None = None


class CallBackIn(Strict):
    """Why the office takes the report back; the citizen reads it."""

    reason: Words


class LinkIn(Strict):
    """How many days a new link is good."""

    days: LinkDays = USUAL_DAYS


class LinkOut(BaseModel):
    """A new link. It is shown only here."""

    link: str | None


class HandoverOut(BaseModel):
    """A hand-over, as the desk sees it."""

    id: UUID
    name: Named
    channel: Literal["mail", "open311", "webhook", "municipality"]
    state: HandoverState
    text: str
    shares_contact: bool
    needs_check: bool
    respond_by: datetime | None
    link_expires_at: datetime | None
    reference: str | None
    their_state: str | None
    attempts: int
    problem: str | None
    created_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    finished_at: datetime | None


class HandoverChoice(BaseModel):
    """Somebody to whom a report can be handed."""

    slug: str
    name: Named
    channel: str
    contact: str | None
    needs_check: bool


class HandoverChoices(BaseModel):
    """To whom a report can be handed."""

    bodies: list[HandoverChoice]
    municipalities: list[MunicipalityOut]


class ActIn(Strict):
    """What whoever has the link says: they take it on, cannot do it (why), or have done it (what)."""

    act: Literal["accept", "refuse", "done"]
    words: Words | None = None


class OpenedHandover(BaseModel):
    """What is to be done and where. Who reported is not told."""

    number: str
    state: HandoverState
    is_open: bool
    municipality: MunicipalityOut
    department: Named
    office_email: str | None
    name: Named
    category: Named
    text: str
    place: PlaceOut
    address: str | None
    map: str
    photos: list[UUID]
    said: str | None
    respond_by: datetime | None
    handed_over_at: datetime
    expires_at: datetime


class BodyPut(Strict):
    """An outside body, as it should be. A `secret` left out stays as it is; an empty one is taken away."""

    name: NamedIn
    channel: Channel
    address: Annotated[Line, StringConstraints(min_length=3, max_length=500)]
    contact: Annotated[Line, StringConstraints(max_length=200)] | None = None
    jurisdiction: Annotated[Line, StringConstraints(max_length=100)] | None = None
    services: Annotated[dict[str, Annotated[Line, StringConstraints(max_length=100)]], Field(max_length=200)] = Field(
        default_factory=dict
    )
    secret: Annotated[Line, StringConstraints(max_length=200)] | None = None
    language: Literal["it", "en"] = "it"
    needs_check: bool = False
    is_active: bool = True


class BodyListed(BaseModel):
    """An outside body; its secret is told to nobody."""

    slug: str
    name: Named
    channel: str
    address: str
    contact: str | None
    jurisdiction: str | None
    services: dict[str, str]
    has_secret: bool
    language: str
    needs_check: bool
    is_active: bool
    is_inherited: bool
