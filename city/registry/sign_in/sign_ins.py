"""What the sign-ins of staff and of citizens have in common: each is good until it is over, or somebody ends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update

from city.database import ReadSession, WriteSession
from city.digests import digest
from city.errors import NotFound
from city.registry.sign_in.citizen_tables import CitizenSession
from city.registry.tables import AccessToken

T = TypeVar("T", AccessToken, CitizenSession)
Table = type[AccessToken | CitizenSession]

SEEN_EVERY: Final = timedelta(minutes=10)


def good(table: Table) -> tuple[ColumnElement[bool], ...]:
    """The condition that one is good."""
    return table.revoked_at.is_(None), table.expires_at > func.now()


def good_now(session: ReadSession, table: type[T], *whose: ColumnElement[bool]) -> list[T]:
    """Those that are good, newest first."""
    return list(session.scalars(select(table).where(*whose, *good(table)).order_by(table.created_at.desc())))


def is_stale(table: Table) -> ColumnElement[bool]:
    """Whether its use has to be noted again."""
    return table.seen_at < func.now() - SEEN_EVERY


def note_use(session: WriteSession, table: Table, token: str) -> None:
    """It is used just now."""
    session.execute(update(table).where(table.token_hash == digest(token)).values(seen_at=func.now()))


def end(session: WriteSession, table: Table, *which: ColumnElement[bool]) -> None:
    """End those sign-ins; harmless where they are over."""
    session.execute(update(table).where(*which, table.revoked_at.is_(None)).values(revoked_at=func.now()))


def end_one(
    session: WriteSession,
    table: Table,
    sign_in_id: UUID,
    *whose: ColumnElement[bool],
) -> None:
    """End one of somebody's own. Raises NotFound."""
    ended = update(table).where(table.id == sign_in_id, *whose, *good(table)).values(revoked_at=func.now())
    if session.execute(ended.returning(table.id)).one_or_none() is None:
        raise NotFound("people.no_sign_in", value=str(sign_in_id))
