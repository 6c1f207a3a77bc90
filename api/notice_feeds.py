"""Notices as other programs read them: as news, and as events in a calendar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from api.feeds import Entry, Event, base
from city.messages.notices.letter import page_of
from geo.place import Place

Notice = Mapping[str, Any]


def entries(page: Mapping[str, Any], language: str) -> Iterator[Entry]:
    """The notices of a page, as news."""
    for notice in page["notices"]:
        yield Entry(
            id=f"{base()}/api/v1/notices/{notice['number']}",
            title=notice["title"][language],
            words=notice["text"][language],
            link=page_of(notice["number"], language),
            published_at=notice["published_at"],
            updated_at=notice["updated_at"],
            category=(notice["kind"], notice["kind_name"][language]),
            place=Place(**notice["middle"]),
        )


def events(page: Mapping[str, Any], language: str) -> Iterator[Event]:
    """The same as events: a changed one has a higher sequence, one taken back is cancelled."""
    for notice in page["notices"]:
        yield Event(
            number=notice["number"],
            title=notice["title"][language],
            words=notice["reason"] or notice["text"][language],
            link=page_of(notice["number"], language),
            updated_at=notice["updated_at"],
            starts=notice["starts_at"],
            ends=_ends(notice),
            category=notice["kind_name"][language],
            place=Place(**notice["middle"]),
            sequence=notice["version"],
            is_cancelled=notice["state"] == "withdrawn",
        )


def _ends(notice: Notice) -> datetime | None:
    """When it ends; where that is open, the end of the expected day."""
    starts: datetime = notice["starts_at"]
    if notice["ends_at"] is not None:
        ends: datetime = notice["ends_at"]
        return ends
    if notice["expected_on"] is None:
        return None
    ends = datetime.combine(notice["expected_on"] + timedelta(days=1), datetime.min.time(), tzinfo=starts.tzinfo)
    return ends if ends > starts else None
