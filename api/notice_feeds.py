"""Notices for other programs: Atom (RFC 4287) with places as GeoRSS Simple, and iCalendar (RFC 5545)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from api.feeds import ATOM_TYPE, say
from city.settings import settings
from city.texts import text

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_GEORSS: Final = "{http://www.georss.org/georss}"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_NEVER: Final = "1970-01-01T00:00:00Z"

Page = Mapping[str, Any]


def atom(page: Page, language: str, path: str) -> bytes:
    """The notices of a page, as they stand under `path`."""
    address = _base() + path
    root = Element(f"{_ATOM}feed", {_LANG: language})
    say(root, f"{_ATOM}id", address)
    say(root, f"{_ATOM}title", text("notices.title", language=language))
    changed = max((notice["updated_at"] for notice in page["notices"]), default=None)
    say(root, f"{_ATOM}updated", changed.isoformat() if changed else _NEVER)
    SubElement(root, f"{_ATOM}link", {"rel": "self", "type": ATOM_TYPE, "href": address})
    say(SubElement(root, f"{_ATOM}author"), f"{_ATOM}name", "Lampione")
    for notice in page["notices"]:
        entry = SubElement(root, f"{_ATOM}entry")
        say(entry, f"{_ATOM}id", f"{_base()}/api/v1/notices/{notice['number']}")
        say(entry, f"{_ATOM}title", notice["title"][language])
        say(entry, f"{_ATOM}published", notice["published_at"].isoformat())
        say(entry, f"{_ATOM}updated", notice["updated_at"].isoformat())
        say(entry, f"{_ATOM}summary", notice["text"][language])
        SubElement(entry, f"{_ATOM}link", {"rel": "alternate", "type": "text/html", "href": _page_of(notice)})
        SubElement(entry, f"{_ATOM}category", {"term": notice["kind"], "label": notice["kind_name"][language]})
        say(entry, f"{_GEORSS}point", f"{notice['middle']['lat']} {notice['middle']['lon']}")
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def calendar(page: Page, language: str) -> bytes:
    """The notices as events: a changed one keeps its UID and has a higher SEQUENCE, one taken back is cancelled."""
    from icalendar import Calendar, Event  # noqa: PLC0415  (3 MB that few processes need)

    made = Calendar()
    made.add("prodid", "-//Lampione//IT")
    made.add("version", "2.0")
    made.add("x-wr-calname", text("notices.title", language=language))
    for notice in page["notices"]:
        event = Event()
        event.add("uid", f"{notice['number']}@{urlsplit(_base()).hostname}")
        event.add("sequence", notice["version"])
        event.add("status", "CANCELLED" if notice["state"] == "withdrawn" else "CONFIRMED")
        event.add("dtstamp", notice["updated_at"])
        event.add("dtstart", notice["starts_at"])
        if (ends := _ends(notice)) is not None:
            event.add("dtend", ends)
        event.add("transp", "TRANSPARENT")
        event.add("summary", notice["title"][language])
        event.add("description", notice["reason"] or notice["text"][language])
        event.add("categories", [notice["kind_name"][language]])
        event.add("geo", (notice["middle"]["lat"], notice["middle"]["lon"]))
        event.add("url", _page_of(notice))
        made.add_component(event)
    return bytes(made.to_ical())


def _ends(notice: Mapping[str, Any]) -> datetime | None:
    """When it ends; where that is open, the end of the expected day."""
    starts: datetime = notice["starts_at"]
    if notice["ends_at"] is not None:
        ends: datetime = notice["ends_at"]
        return ends
    if notice["expected_on"] is None:
        return None
    ends = datetime.combine(notice["expected_on"] + timedelta(days=1), datetime.min.time(), tzinfo=starts.tzinfo)
    return ends if ends > starts else None


def _page_of(notice: Mapping[str, Any]) -> str:
    return f"{_base()}/notices/{notice['number']}"


def _base() -> str:
    return settings().public_url.rstrip("/")
