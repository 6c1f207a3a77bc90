"""Channels of the staff: where a department, a crew or the whole municipality hears of its reports, besides mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import func, select, update

from city.database import ReadSession, WriteSession
from city.errors import InvalidInput, NotFound
from city.outside.herald import check_address, schema_of
from city.registry.channels.tables import StaffChannel
from city.registry.tables import Crew, Department, Municipality
from city.sealing import sealed, unsealed

HEARD: Final = (
    "arrived",
    "emergency",
    "escalated",
    "assigned",
    "mentioned",
    "answered",
    "unanswered",
    "reopened",
)
"""A report is theirs now; the same, where it has words of danger; the rest are the kinds of letters of that name."""
_PURPOSE: Final = "staff channel"


@dataclass(frozen=True, slots=True)
class ChannelFields:
    """A channel to put; `address`: None leaves the one there is."""

    name: str
    hears: Sequence[str]
    address: str | None = None
    department: str | None = None
    crew: str | None = None
    language: str = "it"
    is_active: bool = True


def listed(session: ReadSession, municipality_id: int) -> list[StaffChannel]:
    """All of them, in order."""
    found = select(StaffChannel).where(StaffChannel.municipality_id == municipality_id).order_by(StaffChannel.id)
    return list(session.scalars(found))


def find(session: ReadSession, municipality_id: int, channel_id: int) -> StaffChannel:
    """One of them. Raises NotFound."""
    found = session.get(StaffChannel, (municipality_id, channel_id))
    if found is None:
        raise NotFound("staff_channels.not_found", value=channel_id)
    return found


def put(
    session: WriteSession, municipality_id: int, fields: ChannelFields, channel_id: int | None = None
) -> StaffChannel:
    """Make a channel, or change one. Raises InvalidInput, NotFound."""
    if fields.department and fields.crew:
        raise InvalidInput("staff_channels.one", field="crew")
    if channel_id is not None:
        channel = find(session, municipality_id, channel_id)
    else:
        channel = StaffChannel(municipality_id=municipality_id)
        session.add(channel)
    if fields.address is not None:
        check_address(fields.address)
        channel.address, channel.schema = sealed(fields.address, _PURPOSE), schema_of(fields.address)
    elif channel_id is None:
        raise InvalidInput("staff_channels.no_address", field="address")
    channel.name, channel.language, channel.is_active = fields.name, fields.language, fields.is_active
    channel.hears = [one for one in HEARD if one in fields.hears]
    channel.department_id = _id_of(session, Department, municipality_id, fields.department, "department")
    channel.crew_id = _id_of(session, Crew, municipality_id, fields.crew, "crew")
    channel.changed_at = datetime.now(UTC)
    session.flush()
    _say(session, municipality_id)
    return channel


def remove(session: WriteSession, municipality_id: int, channel_id: int) -> None:
    """Write there no more, and forget the address. Raises NotFound."""
    session.delete(find(session, municipality_id, channel_id))
    session.flush()
    _say(session, municipality_id)


def note(session: WriteSession, municipality_id: int, channel_id: int, problem: str | None) -> None:
    """Note that a message was brought there, or what kept it; harmless where the channel is gone meanwhile."""
    session.execute(
        update(StaffChannel)
        .where(StaffChannel.municipality_id == municipality_id, StaffChannel.id == channel_id)
        .values(tried_at=func.now(), problem=problem)
    )


def address_of(channel: StaffChannel) -> str:
    """Its Apprise address. Raises Unavailable where it was sealed with another secret."""
    return unsealed(channel.address, _PURPOSE)


def _id_of(
    session: ReadSession, table: type[Department | Crew], municipality_id: int, slug: str | None, field: str
) -> int | None:
    if slug is None:
        return None
    found = session.scalar(select(table.id).where(table.municipality_id == municipality_id, table.slug == slug))
    if found is None:
        raise InvalidInput(f"staff_channels.no_{field}", field=field, value=slug)
    return found


def _say(session: WriteSession, municipality_id: int) -> None:
    """Let all processes know what is heard at all."""
    heard = sorted(
        session.scalars(
            select(func.unnest(StaffChannel.hears)).where(
                StaffChannel.municipality_id == municipality_id, StaffChannel.is_active
            )
        )
    )
    found = list(dict.fromkeys(heard))
    session.execute(
        update(Municipality).where(Municipality.id == municipality_id, Municipality.heard != found).values(heard=found)
    )
