"""Lists of public reports for other programs: Atom and RSS for news readers, iCalendar for what is planned.

Atom is RFC 4287, RSS the 2.0 of rssboard.org, both with places as GeoRSS Simple; iCalendar is RFC 5545.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from city.registry.view import Registry
from city.settings import settings
from city.texts import text

ATOM_TYPE: Final = "application/atom+xml"
RSS_TYPE: Final = "application/rss+xml"
CALENDAR_TYPE: Final = "text/calendar"
_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_GEORSS: Final = "{http://www.georss.org/georss}"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_NEVER: Final = "1970-01-01T00:00:00Z"

register_namespace("", _ATOM.strip("{}"))
register_namespace("georss", _GEORSS.strip("{}"))


@dataclass(frozen=True, slots=True)
class Feed:
    """A page of public reports that somebody reads as a feed: in which language, and at which address of ours."""

    page: Mapping[str, Any]
    registry: Registry
    language: str
    path: str

    @property
    def address(self) -> str:
        """Where it is to be had again."""
        return _base() + self.path

    def items(self) -> Iterator[_Item]:
        """The reports, in words."""
        for report in self.page["reports"]:
            category = self.registry.slugs[report["municipality"]].categories.get(report["category"])
            name = category.name(self.language) if category else report["category"]
            yield _Item(report, name, text(f"state.{report['state']}", language=self.language).lower())


@dataclass(frozen=True, slots=True)
class _Item:
    report: Mapping[str, Any]
    category: str
    state: str

    @property
    def title(self) -> str:
        return f"{self.report['number']}, {self.category}: {self.state}"

    @property
    def words(self) -> str:
        return self.report["description"] or f"{self.category}: {self.state}"

    @property
    def address(self) -> str:
        return f"{_base()}/api/v1/reports/{self.report['number']}"

    @property
    def map(self) -> str:
        place = self.report["place"]
        return f"{_base()}/#17/{place['lat']}/{place['lon']}"

    @property
    def point(self) -> str:
        place = self.report["place"]
        return f"{place['lat']} {place['lon']}"


def atom(feed: Feed) -> bytes:
    """As Atom."""
    root = Element(f"{_ATOM}feed", {_LANG: feed.language})
    say(root, f"{_ATOM}id", feed.address)
    say(root, f"{_ATOM}title", text("map.title", language=feed.language))
    say(root, f"{_ATOM}updated", max((one["updated_at"] for one in feed.page["reports"]), default=_NEVER))
    SubElement(root, f"{_ATOM}link", {"rel": "self", "type": ATOM_TYPE, "href": feed.address})
    say(SubElement(root, f"{_ATOM}author"), f"{_ATOM}name", "Lampione")
    for item in feed.items():
        entry = SubElement(root, f"{_ATOM}entry")
        say(entry, f"{_ATOM}id", item.address)
        say(entry, f"{_ATOM}title", item.title)
        say(entry, f"{_ATOM}published", item.report["created_at"])
        say(entry, f"{_ATOM}updated", item.report["updated_at"])
        say(entry, f"{_ATOM}summary", item.words)
        SubElement(entry, f"{_ATOM}link", {"rel": "alternate", "type": "text/html", "href": item.map})
        SubElement(entry, f"{_ATOM}category", {"term": item.report["category"], "label": item.category})
        say(entry, f"{_GEORSS}point", item.point)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def rss(feed: Feed) -> bytes:
    """As RSS 2.0."""
    root = Element("rss", {"version": "2.0"})
    channel = SubElement(root, "channel")
    title = text("map.title", language=feed.language)
    for tag, words in (("title", title), ("link", _base()), ("description", title), ("language", feed.language)):
        say(channel, tag, words)
    for item in feed.items():
        entry = SubElement(channel, "item")
        say(entry, "title", item.title)
        say(entry, "link", item.map)
        say(entry, "description", item.words)
        say(entry, "category", item.category)
        SubElement(entry, "guid", {"isPermaLink": "true"}).text = item.address
        say(entry, "pubDate", format_datetime(datetime.fromisoformat(item.report["created_at"])))
        say(entry, f"{_GEORSS}point", item.point)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def planned(feed: Feed) -> bytes:
    """The days promised, as whole-day events; one that is put off moves, because its UID stays."""
    from icalendar import Calendar, Event  # noqa: PLC0415  (3 MB that few processes need)

    calendar = Calendar()
    calendar.add("prodid", "-//Lampione//IT")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", text("feeds.planned_title", language=feed.language))
    for item in feed.items():
        report = item.report
        home = feed.registry.slugs[report["municipality"]]
        day = home.local(datetime.fromisoformat(report["promised_at"])).date()
        event = Event()
        event.add("uid", f"{report['number']}@{urlsplit(_base()).hostname}")
        event.add("dtstamp", datetime.fromisoformat(report["updated_at"]))
        event.add("dtstart", day)
        event.add("dtend", day + timedelta(days=1))
        event.add("transp", "TRANSPARENT")
        event.add(
            "summary",
            text("feeds.planned", language=feed.language, category=item.category, number=report["number"]),
        )
        event.add("description", item.words)
        event.add("categories", [item.category])
        event.add("geo", (report["place"]["lat"], report["place"]["lon"]))
        event.add("url", item.map)
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _base() -> str:
    return settings().public_url.rstrip("/")


def say(parent: Element, tag: str, words: str) -> None:
    """Add an element that says just this."""
    SubElement(parent, tag).text = words
