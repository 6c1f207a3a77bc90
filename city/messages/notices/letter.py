"""What a notice says to somebody who asked for notices: in their language, or the one it is written in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from city import links
from city.messages.letter import Letter
from city.messages.tables import Delivery
from city.registry.notice_tables import Notice
from city.registry.notice_view import both
from city.registry.view import MunicipalityView
from city.settings import settings
from city.texts import text

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


def letter(municipality: MunicipalityView, notice: Notice, news: News, language: str) -> Letter:
    """The letter, but for what is its reader's own."""
    say = partial(text, language=language)
    department = municipality.by_id[notice.department_id]
    named = {"title": title(notice, language), "municipality": municipality.name}
    facts = [
        (say("notices.fact.kind"), say(f"notices.kind.{notice.kind}")),
        (say("notices.fact.period"), period_between(municipality, notice.starts_at, notice.ends_at, language)),
    ]
    if notice.expected_on is not None:
        facts.append((say("notices.fact.expected"), f"{notice.expected_on:%d/%m/%Y}"))
    facts.append((say("notices.fact.department"), department.name(language)))
    if notice.link:
        facts.append((say("notices.fact.link"), notice.link))
    urgent = "urgent_" if notice.is_urgent and news.what == "announced" else ""
    return Letter(
        subject=say(f"notices.subject.{urgent}{news.what}", **named),
        heading=title(notice, language),
        happened=[*([news.words] if news.words else []), *words(notice, language).splitlines()],
        next_step=say(f"notices.next.{news.what}", **named) if news.what != "announced" else "",
        facts=facts,
        link=page_of(notice.number, language),
        footer=say("notices.footer", municipality=municipality.name, link=THEIR_PAGE),
        button=say("notices.button"),
        topic=str(notice.id),
    )


def addressed(plain: Letter, delivery: Delivery, page: str) -> Letter:
    """The letter for one reader: the link to their `page`, and the one that ends it with a click."""
    whose = delivery.municipality_id.to_bytes(4) + UUID(delivery.about["subscriber"]).bytes
    token = links.made("unsubscribe", delivery.id.bytes + whose)
    return replace(
        plain,
        footer=plain.footer.replace(THEIR_PAGE, page),
        unsubscribe=f"{settings().public_url.rstrip('/')}/unsubscribe/{token}",
    )


def period_between(municipality: MunicipalityView, starts_at: datetime, ends_at: datetime | None, language: str) -> str:
    """From when to when, by the municipality's clock."""
    starts = f"{municipality.local(starts_at):%d/%m/%Y %H:%M}"
    if ends_at is None:
        return text("notices.open_end", language=language, starts=starts)
    return text(
        "notices.period", language=language, starts=starts, ends=f"{municipality.local(ends_at):%d/%m/%Y %H:%M}"
    )
