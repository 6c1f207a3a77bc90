"""What follows what: the one table of it.

| when …                         | … then                                                        |
|--------------------------------|---------------------------------------------------------------|
| a report with photos came in   | `derive_photos`                                               |
| something public happened      | `tell_reporter` (of the report, and of those that hang on it) |
| a watched report has news      | `tell_watchers`                                               |
| a category's privacy changed   | `republish_category`                                          |
| somebody asked for a password  | `send_password_link`                                          |
| somebody is to be written to   | `send_letters`, of a kind that stands in `messages/kinds.py`  |

Jobs are promised in the same transaction as the change itself; `workers` has one actor of each name.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from city.database import WriteSession
from city.jobs import promise


class Promise(NamedTuple):
    """An actor's name and its arguments, ids only."""

    actor: str
    arguments: dict[str, Any]


def after_receiving(municipality_id: int, report_id: UUID, *, has_address: bool, has_photos: bool) -> list[Promise]:
    """What follows when a report has come in."""
    ids = {"municipality_id": municipality_id, "report_id": str(report_id)}
    promises = []
    if has_photos:
        promises.append(Promise("derive_photos", ids))
    if has_address:
        promises.append(Promise("tell_reporter", ids))
    return promises


def after_public_change(session: WriteSession, municipality_id: int, report_id: UUID) -> None:
    """What follows when something public happened to a report; nothing where it is history."""
    if session.happened_at is not None:
        return
    promise(session, "tell_reporter", municipality_id=municipality_id, report_id=str(report_id))


def after_entry(session: WriteSession, municipality_id: int, report_id: UUID) -> None:
    """What follows when anything was written into the history of a watched report; nothing where it is history."""
    if session.happened_at is not None:
        return
    promise(session, "tell_watchers", municipality_id=municipality_id, report_id=str(report_id))


def letters(session: WriteSession, municipality_id: int, kind: str, **about: Any) -> None:
    """Write letters of this kind about this (ids, short values; `report_id` as text); nothing where it is history."""
    if session.happened_at is not None:
        return
    promise(session, "send_letters", municipality_id=municipality_id, kind=kind, about=about)


def after_asking_for_password(session: WriteSession, municipality_id: int, reset_id: UUID) -> None:
    """What follows when somebody of the staff wants a new password."""
    promise(session, "send_password_link", municipality_id=municipality_id, reset_id=str(reset_id))


def after_privacy_change(session: WriteSession, municipality_id: int, category: str) -> None:
    """What follows when a category becomes hidden, coarse or public."""
    promise(session, "republish_category", municipality_id=municipality_id, category=category)
