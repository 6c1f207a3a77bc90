"""What a notice says to somebody who asked for notices: in their language, or the one it is written in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from city.messages.letter import Letter
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import Notice
from city.registry.notice_view import both
from city.settings import settings
from city.texts import text
from geo.columns import read_shape
from geo.place import Place

THEIR_PAGE: Final = "{subscriptions}"
"""Stands in a letter's footer for the page of whoever gets it."""


@dataclass(frozen=True, slots=True)
class News:
    """What has become of a notice since somebody was told of it: `announced` (nothing yet), `changed`, `withdrawn`."""

    what: str
    words: str | None = None


def title(notice: Notice, language: str) -> str:
    """The title, in the other language where this one is missing."""
    return both(notice.title_it, notice.title_en)[language]


def words(notice: Notice, language: str) -> str:
    """The text, likewise."""
    return both(notice.text_it, notice.text_en)[language]


def page_of(number: str, language: str) -> str:
    """Where everybody reads the notice of that number."""
    return f"{settings().public_url.rstrip('/')}/notices/{number}?language={language}"


def map_at(place: Place, language: str) -> str:
    """The map around a place inside its area."""
    return f"{settings().public_url.rstrip('/')}/?language={language}#15/{place.lat:.5f}/{place.lon:.5f}"


def where(it: str, en: str, language: str) -> str:
    """Where it holds, in the words kept with it; those of long ago have none, and stand on the map."""
    return both(it, en)[language] or text("notices.where.drawn", language=language)


def letter(municipality: MunicipalityView, notice: Notice, news: News, language: str) -> Letter:
    """The letter, but for what is its reader's own."""
    say = partial(text, language=language)
    urgent = "urgent_" if notice.is_urgent and news.what == "announced" else ""
    subject = say(f"notices.subject.{urgent}{news.what}", title=title(notice, language))
    happened = words(notice, language).splitlines()
    if news.what != "announced":
        happened = [say(f"notices.told.{news.what}", words=news.words), say(f"notices.says.{news.what}"), *happened]
    return Letter(
        subject=subject,
        heading=title(notice, language) if news.what == "announced" else subject,
        happened=happened,
        facts=_facts(municipality, notice, language),
        link=page_of(notice.number, language),
        footer=say("notices.footer", municipality=municipality.name, link=THEIR_PAGE),
        button=say("notices.button"),
        topic=str(notice.id),
    )


def _facts(municipality: MunicipalityView, notice: Notice, language: str) -> list[tuple[str, str]]:
    say = partial(text, language=language)
    shape = read_shape(notice.shape)
    assert shape is not None
    middle = shape.representative_point()
    expected = f"{notice.expected_on:%d/%m/%Y}" if notice.expected_on is not None else None
    facts = {
        "kind": say(f"notices.kind.{notice.kind}"),
        "where": where(notice.where_it, notice.where_en, language),
        "period": period_between(municipality, notice.starts_at, notice.ends_at, language),
        "expected": expected,
        "department": municipality.by_id[notice.department_id].name(language),
        "link": notice.link,
        "map": map_at(Place(middle.x, middle.y), language),
    }
    return [(say(f"notices.fact.{name}"), value) for name, value in facts.items() if value]


def addressed(plain: Letter, page: str, end: str) -> Letter:
    """The letter for one reader: the link to their `page`, and the one that ends it with a click."""
    return replace(plain, footer=plain.footer.replace(THEIR_PAGE, page), unsubscribe=end)


def period_between(municipality: MunicipalityView, starts_at: datetime, ends_at: datetime | None, language: str) -> str:
    """From when to when, by the municipality's clock."""
    starts = f"{municipality.local(starts_at):%d/%m/%Y %H:%M}"
    if ends_at is None:
        return text("notices.open_end", language=language, starts=starts)
    return text(
        "notices.period", language=language, starts=starts, ends=f"{municipality.local(ends_at):%d/%m/%Y %H:%M}"
    )
