"""What other programs read: Atom and RSS for news readers, iCalendar for calendars.

Atom is RFC 4287, RSS the 2.0 of rssboard.org, both with places as GeoRSS Simple; iCalendar is RFC 5545.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from fastapi import Request, Response

from city.settings import settings
from geo.place import Place

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_GEORSS: Final = "{http://www.georss.org/georss}"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAKER: Final = "-//Lampione//IT"

register_namespace("", _ATOM.strip("{}"))
register_namespace("georss", _GEORSS.strip("{}"))


class Atom(Response):
    """RFC 4287, under its own name."""

    media_type = "application/atom+xml"


class Rss(Response):
    """RSS 2.0, under its usual name."""

    media_type = "application/rss+xml"


class Calendar(Response):
    """RFC 5545, under its own name."""

    media_type = "text/calendar"


@dataclass(frozen=True, slots=True)
class Entry:
    """A piece of news about a place."""

    id: str
    """Its address, the same for ever."""
    title: str
    words: str
    link: str
    """Where people read it."""
    published_at: datetime
    updated_at: datetime
    category: tuple[str, str]
    """Slug and name."""
    place: Place


@dataclass(frozen=True, slots=True)
class Feed:
    """News in one language, to be had again at `address`."""

    title: str
    language: str
    address: str
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Event:
    """Something in a calendar: days, or moments; one that moves keeps its number, and so its UID."""

    number: str
    title: str
    words: str
    link: str
    updated_at: datetime
    starts: date | datetime
    ends: date | datetime | None
    category: str
    place: Place
    sequence: int = 0
    is_cancelled: bool = False


def base() -> str:
    """How all our addresses begin."""
    return settings().public_url.rstrip("/")


def address_of(request: Request) -> str:
    """Where what is asked for here is to be had again."""
    return base() + request.url.path + (f"?{request.url.query}" if request.url.query else "")


def titled(names: Iterable[str | None]) -> str:
    """A title that says of what: the broadest name first."""
    return " – ".join(name for name in names if name)


def headers(language: str) -> dict[str, str]:
    """What goes along with every feed."""
    return {"Cache-Control": "no-cache", "Content-Language": language}


def atom(feed: Feed) -> Response:
    """As Atom."""
    root = Element(f"{_ATOM}feed", {_LANG: feed.language})
    _say(root, f"{_ATOM}id", feed.address)
    _say(root, f"{_ATOM}title", feed.title)
    _say(root, f"{_ATOM}updated", _said(_changed(feed)))
    SubElement(root, f"{_ATOM}link", {"rel": "self", "type": Atom.media_type, "href": feed.address})
    _say(SubElement(root, f"{_ATOM}author"), f"{_ATOM}name", "Lampione")
    for one in feed.entries:
        entry = SubElement(root, f"{_ATOM}entry")
        _say(entry, f"{_ATOM}id", one.id)
        _say(entry, f"{_ATOM}title", one.title)
        _say(entry, f"{_ATOM}published", _said(one.published_at))
        _say(entry, f"{_ATOM}updated", _said(one.updated_at))
        _say(entry, f"{_ATOM}summary", one.words)
        SubElement(entry, f"{_ATOM}link", {"rel": "alternate", "type": "text/html", "href": one.link})
        SubElement(entry, f"{_ATOM}category", {"term": one.category[0], "label": one.category[1]})
        _place(entry, one)
    return Atom(_written(root), headers=headers(feed.language))


def rss(feed: Feed) -> Response:
    """As RSS 2.0."""
    root = Element("rss", {"version": "2.0"})
    channel = SubElement(root, "channel")
    for tag, words in (
        ("title", feed.title),
        ("link", base()),
        ("description", feed.title),
        ("language", feed.language),
        ("lastBuildDate", format_datetime(_changed(feed))),
    ):
        _say(channel, tag, words)
    for one in feed.entries:
        entry = SubElement(channel, "item")
        _say(entry, "title", one.title)
        _say(entry, "link", one.link)
        _say(entry, "description", one.words)
        _say(entry, "category", one.category[1])
        # What people read stands at `link`; at the other address a program reads it.
        SubElement(entry, "guid", {"isPermaLink": "false"}).text = one.id
        _say(entry, "pubDate", format_datetime(one.published_at))
        _place(entry, one)
    return Rss(_written(root), headers=headers(feed.language))


def calendar(title: str, language: str, events: Sequence[Event]) -> Response:
    """As a calendar to subscribe to; moments are told in UTC."""
    import icalendar  # noqa: PLC0415  (3 MB that few processes need)

    made = icalendar.Calendar()
    made.add("prodid", _MAKER)
    made.add("version", "2.0")
    made.add("x-wr-calname", title)
    if not events:  # a calendar holds one component at least (RFC 5545, 3.6)
        made.add_component(_utc())
    for one in events:
        event = icalendar.Event()
        event.add("uid", f"{one.number}@{urlsplit(base()).hostname}")
        event.add("sequence", one.sequence)
        event.add("status", "CANCELLED" if one.is_cancelled else "CONFIRMED")
        event.add("dtstamp", one.updated_at.astimezone(UTC))
        event.add("dtstart", _in_utc(one.starts))
        if one.ends is not None:
            event.add("dtend", _in_utc(one.ends))
        event.add("transp", "TRANSPARENT")
        event.add("summary", one.title)
        event.add("description", one.words)
        event.add("categories", [one.category])
        event.add("geo", (one.place.lat, one.place.lon))
        event.add("url", one.link)
        made.add_component(event)
    return Calendar(made.to_ical(), headers=headers(language))


def _utc() -> Any:
    """The time zone in which our moments are told."""
    import icalendar  # noqa: PLC0415  (as above)

    zone, standard = icalendar.Timezone(), icalendar.TimezoneStandard()
    zone.add("tzid", "UTC")
    standard.add("dtstart", _NEVER.replace(tzinfo=None))
    for name in ("tzoffsetfrom", "tzoffsetto"):
        standard.add(name, _NEVER - _NEVER)
    zone.add_component(standard)
    return zone


def _in_utc(moment: date | datetime) -> date | datetime:
    return moment.astimezone(UTC) if isinstance(moment, datetime) else moment


def _changed(feed: Feed) -> datetime:
    return max((one.updated_at for one in feed.entries), default=_NEVER)


def _said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _place(parent: Element, one: Entry) -> None:
    _say(parent, f"{_GEORSS}point", f"{one.place.lat} {one.place.lon}")


def _say(parent: Element, tag: str, words: str) -> None:
    SubElement(parent, tag).text = words


def _written(root: Element) -> bytes:
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))
