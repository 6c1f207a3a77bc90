"""Hosts in private networks that we may call: only the province's administrators say so.

Whatever addresses administrators type (webhooks, outside bodies, providers of identity, channels of the staff) are
called only in the open network, unless their host and port stand here. Those of visitors never are, see `push`.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.errors import InvalidInput, NotFound
from city.outside.strangers import Door
from city.registry.staff.people import Staff
from city.registry.tables import AllowedHost

LONGEST_HOST: Final = 260
_HOST: Final = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\]):\d{1,5}")
_PORTS: Final = {"https": 443, "http": 80}


def door(session: ReadSession, url: str) -> Door:
    """The door of a service at `url`, which may stand in a private network where its host is allowed."""
    name = _name_of(url)
    return Door(url, is_internal=name is not None and session.get(AllowedHost, name) is not None)


def listed(session: ReadSession) -> list[AllowedHost]:
    """All of them, by name."""
    return list(session.scalars(select(AllowedHost).order_by(AllowedHost.host)))


def allow(session: WriteSession, by: Staff, host: str) -> None:
    """Allow `host`, written as `name:port`. Harmless where it is allowed. Raises InvalidInput."""
    name = _name_of(f"https://{host}") if _HOST.fullmatch(host.lower()) else None
    if name is None:
        raise InvalidInput("hosts.not_one", field="host", value=host)
    if session.get(AllowedHost, name) is None:
        session.add(AllowedHost(host=name, person_id=by.person_id))


def forbid(session: WriteSession, host: str) -> None:
    """Allow it no longer. Raises NotFound."""
    found = session.get(AllowedHost, host.lower())
    if found is None:
        raise NotFound("hosts.not_found", value=host)
    session.delete(found)


def _name_of(url: str) -> str | None:
    """Host and port of an address, None where it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or port is None:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"
