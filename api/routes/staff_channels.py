"""The administrator's errand with channels of the staff: which there are, what they hear, whether they work."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import uuid4

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import select

from api.access import Signed, administering
from api.schemas.base import Line, Slug, Strict
from city.database import PROVINCE, ReadSession
from city.errors import NotFound, sentence_of
from city.outside.herald import LONGEST_ADDRESS
from city.registry.channels import staff_channels
from city.registry.channels.staff_channels import ChannelFields
from city.registry.channels.tables import StaffChannel
from city.registry.tables import Crew, Department, Municipality
from city.reports import journey

router = APIRouter(prefix="/api/v1/registry/{owner}/staff-channels", tags=["administration"])

Hears = Literal["arrived", "emergency", "escalated", "assigned", "mentioned", "answered", "unanswered", "reopened"]
ChannelId = Annotated[int, Path(ge=1, lt=2**31)]


class StaffChannelPut(Strict):
    """A channel, as it should be; of a department, of a crew, or of the whole municipality."""

    name: Annotated[Line, StringConstraints(min_length=1, max_length=80)]
    address: Annotated[
        str | None,
        Field(description="Its Apprise address; null: as it is", max_length=LONGEST_ADDRESS, examples=["slack://…"]),
    ] = None
    department: Slug | None = None
    crew: Slug | None = None
    hears: Annotated[list[Hears], Field(min_length=1, max_length=8)]
    language: Literal["it", "en"] = "it"
    is_active: bool = True

    def fields(self) -> ChannelFields:
        """As the registry takes it."""
        return ChannelFields(**self.model_dump())


class StaffChannelListed(BaseModel):
    """A channel; of its address only the service is told. `tried_at`: when a message was last to be brought there;
    `problem`: what the trouble was, null where it was taken.
    """

    id: int
    name: str
    address: str
    department: str | None
    crew: str | None
    hears: list[Hears]
    language: Literal["it", "en"]
    is_active: bool
    changed_at: datetime
    tried_at: datetime | None
    problem: str | None


class StaffChannelMade(BaseModel):
    """The number of a new channel."""

    id: int


@router.get("")
def list_staff_channels(owner: Slug, staff: Signed) -> list[StaffChannelListed]:
    """The channels, and whether the last message to each was taken."""
    with administering(staff, owner) as (session, home):
        return [_listed(session, one, staff.language) for one in staff_channels.listed(session, home.id)]


@router.post("", status_code=201)
def make_staff_channel(owner: Slug, body: StaffChannelPut, staff: Signed) -> StaffChannelMade:
    """Make a channel. Who reported is told to none, nor what anybody has written."""
    with administering(staff, owner) as (session, home):
        _check(home)
        return StaffChannelMade(id=staff_channels.put(session, home.id, body.fields()).id)


@router.put("/{channel_id}", status_code=204)
def change_staff_channel(owner: Slug, channel_id: ChannelId, body: StaffChannelPut, staff: Signed) -> None:
    """Change a channel."""
    with administering(staff, owner) as (session, home):
        staff_channels.put(session, home.id, body.fields(), channel_id)


@router.delete("/{channel_id}", status_code=204)
def remove_staff_channel(owner: Slug, channel_id: ChannelId, staff: Signed) -> None:
    """Write there no more; the address is forgotten."""
    with administering(staff, owner) as (session, home):
        staff_channels.remove(session, home.id, channel_id)


@router.post("/{channel_id}/attempts", status_code=202)
def try_staff_channel(owner: Slug, channel_id: ChannelId, staff: Signed) -> None:
    """Have a message sent there; the list tells within seconds what has become of it."""
    with administering(staff, owner) as (session, home):
        channel = staff_channels.find(session, home.id, channel_id)
        journey.letters(session, home.id, "staff_channel_try", channel_id=channel.id, attempt=str(uuid4()))


def _check(home: Municipality) -> None:
    if home.id == PROVINCE:
        raise NotFound("staff_channels.not_found", value=home.slug)


def _slug(session: ReadSession, table: type[Department | Crew], municipality_id: int, key: int | None) -> str | None:
    return session.scalar(select(table.slug).where(table.municipality_id == municipality_id, table.id == key))


def _listed(session: ReadSession, one: StaffChannel, language: str) -> StaffChannelListed:
    return StaffChannelListed.model_validate(
        {
            "id": one.id,
            "name": one.name,
            "address": f"{one.schema}://…",
            "department": _slug(session, Department, one.municipality_id, one.department_id),
            "crew": _slug(session, Crew, one.municipality_id, one.crew_id),
            "hears": one.hears,
            "language": one.language,
            "is_active": one.is_active,
            "changed_at": one.changed_at,
            "tried_at": one.tried_at,
            "problem": sentence_of(one.problem, language),
        }
    )
