"""Lists of public reports for news readers: Atom (RFC 4287) with places as GeoRSS Simple."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from city.registry.view import Registry
from city.settings import settings
from city.texts import text

MEDIA_TYPE: Final = "application/atom+xml"
_ATOM: Final = "http://www.w3.org/2005/Atom"
_GEORSS: Final = "http://www.georss.org/georss"

register_namespace("", _ATOM)
register_namespace("georss", _GEORSS)


def atom(page: Mapping[str, Any], registry: Registry, language: str, query: str) -> bytes:
    """The feed of a page of public reports; `query` is that of the request, by which the feed is known."""
    base = settings().public_url.rstrip("/")
    address = f"{base}/api/v1/reports.atom" + (f"?{query}" if query else "")
    feed = Element(f"{{{_ATOM}}}feed", {"{http://www.w3.org/XML/1998/namespace}lang": language})
    _say(feed, "id", address)
    _say(feed, "title", text("map.title", language=language))
    _say(feed, "updated", max((report["updated_at"] for report in page["reports"]), default="1970-01-01T00:00:00Z"))
    SubElement(feed, f"{{{_ATOM}}}link", {"rel": "self", "type": MEDIA_TYPE, "href": address})
    _say(SubElement(feed, f"{{{_ATOM}}}author"), "name", "Lampione")
    for report in page["reports"]:
        _add(feed, report, registry, language, base)
    return bytes(tostring(feed, encoding="utf-8", xml_declaration=True))


def _add(feed: Element, report: Mapping[str, Any], registry: Registry, language: str, base: str) -> None:
    category = registry.slugs[report["municipality"]].categories.get(report["category"])
    name = category.name(language) if category else report["category"]
    state = text(f"state.{report['state']}", language=language)
    lon, lat = report["place"]["lon"], report["place"]["lat"]
    entry = SubElement(feed, f"{{{_ATOM}}}entry")
    _say(entry, "id", f"{base}/api/v1/reports/{report['number']}")
    _say(entry, "title", f"{report['number']}, {name}: {state.lower()}")
    _say(entry, "published", report["created_at"])
    _say(entry, "updated", report["updated_at"])
    _say(entry, "summary", report["description"] or f"{name}: {state.lower()}")
    SubElement(entry, f"{{{_ATOM}}}link", {"rel": "alternate", "type": "text/html", "href": f"{base}/#17/{lat}/{lon}"})
    SubElement(entry, f"{{{_ATOM}}}category", {"term": report["category"], "label": name})
    SubElement(entry, f"{{{_GEORSS}}}point").text = f"{lat} {lon}"


def _say(parent: Element, tag: str, words: str) -> None:
    SubElement(parent, f"{{{_ATOM}}}{tag}").text = words
