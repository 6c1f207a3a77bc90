"""The services by which municipalities write in app IO: their keys, put there by their administrators."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import update

from city.database import ReadSession, WriteSession
from city.errors import NotFound, Refused
from city.registry.channels.tables import AppIoService
from city.registry.tables import Municipality
from city.sealing import sealed, unsealed

_PURPOSE = "app io"


def find(session: ReadSession, municipality_id: int) -> AppIoService | None:
    """The service, where there is one."""
    return session.get(AppIoService, municipality_id)


def put(session: WriteSession, municipality_id: int, key: str) -> None:
    """Write with this key from now on."""
    found = find(session, municipality_id)
    if found is None:
        found = AppIoService(municipality_id=municipality_id)
        session.add(found)
    found.key, found.changed_at = sealed(key, _PURPOSE), datetime.now(UTC)
    _say(session, municipality_id, has_it=True)


def remove(session: WriteSession, municipality_id: int) -> None:
    """Write there no more. Raises NotFound."""
    found = find(session, municipality_id)
    if found is None:
        raise NotFound("app_io.no_service")
    session.delete(found)
    _say(session, municipality_id, has_it=False)


def key_of(session: ReadSession, municipality_id: int) -> str:
    """With what to write. Raises Refused where the municipality does not; Unavailable as `unsealed` does."""
    found = find(session, municipality_id)
    if found is None:
        raise Refused("app_io.no_service")
    return unsealed(found.key, _PURPOSE)


def _say(session: WriteSession, municipality_id: int, *, has_it: bool) -> None:
    """Let all processes know."""
    session.execute(
        update(Municipality)
        .where(Municipality.id == municipality_id, Municipality.has_app_io != has_it)
        .values(has_app_io=has_it)
    )
