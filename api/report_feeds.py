"""Public reports as other programs read them: as news, and the days promised as a calendar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from api.feeds import Entry, Event, base
from city.registry.municipality import Registry
from city.texts import text
from geo.place import Place

Report = Mapping[str, Any]


def entries(page: Mapping[str, Any], registry: Registry, language: str) -> Iterator[Entry]:
    """The reports of a page, as news."""
    for report in page["reports"]:
        category, state = _category(report, registry, language), _state(report, language)
        yield Entry(
            id=f"{base()}/api/v1/reports/{report['number']}",
            title=f"{report['number']}, {category}: {state}",
            words=_words(report, category, language),
            link=_map(report),
            published_at=datetime.fromisoformat(report["created_at"]),
            updated_at=datetime.fromisoformat(report["updated_at"]),
            category=(report["category"], category),
            place=Place(**report["place"]),
        )


def events(page: Mapping[str, Any], registry: Registry, language: str) -> Iterator[Event]:
    """The days promised of the reports of a page, as whole-day events; one that is put off moves."""
    for report in page["reports"]:
        category = _category(report, registry, language)
        home = registry.slugs[report["municipality"]]
        day = home.local(datetime.fromisoformat(report["promised_at"])).date()
        yield Event(
            number=report["number"],
            title=text("feeds.planned", language=language, category=category, number=report["number"]),
            words=_words(report, category, language),
            link=_map(report),
            updated_at=datetime.fromisoformat(report["updated_at"]),
            starts=day,
            ends=day + timedelta(days=1),
            category=category,
            place=Place(**report["place"]),
        )


def _category(report: Report, registry: Registry, language: str) -> str:
    category = registry.slugs[report["municipality"]].categories.get(report["category"])
    return category.name(language) if category else str(report["category"])


def _state(report: Report, language: str) -> str:
    return text(f"state.{report['state']}", language=language).lower()


def _words(report: Report, category: str, language: str) -> str:
    return report["description"] or f"{category}: {_state(report, language)}"


def _map(report: Report) -> str:
    place = report["place"]
    return f"{base()}/#17/{place['lat']}/{place['lon']}"
