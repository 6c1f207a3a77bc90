"""Groups and categories, and what a municipality sees differently in the province's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from city.database import PROVINCE, WriteSession
from city.errors import InvalidInput
from city.registry.tables import (
    Category,
    CategoryGroup,
    CategoryOverride,
)
from city.registry.upsert import put
from city.registry.working_time import Span


def put_group(
    session: WriteSession, slug: str, *, name_it: str, name_en: str, icon: str, colour: str, position: int
) -> CategoryGroup:
    """A group of categories; groups are the province's."""
    values = {"name_it": name_it, "name_en": name_en, "icon": icon, "colour": colour, "position": position}
    return put(session, CategoryGroup, {"municipality_id": PROVINCE, "slug": slug}, values)


def put_category(
    session: WriteSession,
    slug: str,
    *,
    group: str,
    name_it: str,
    name_en: str,
    deadline: Span,
    privacy: str = "public",
    questions: Sequence[Mapping[str, Any]] = (),
    emergency_words: Mapping[str, Sequence[str]] | None = None,
    position: int = 0,
    municipality_id: int = PROVINCE,
) -> Category:
    """A category, of the province or of one municipality. Raises InvalidInput."""
    if privacy not in {"public", "coarse", "hidden"}:
        raise InvalidInput("territory.bad_kind", field="privacy", value=privacy, known="public, coarse, hidden")
    there = session.scalar(
        select(CategoryGroup.id).where(CategoryGroup.municipality_id == PROVINCE, CategoryGroup.slug == group)
    )
    if there is None:
        raise InvalidInput("territory.unknown_group", field="group", value=group)
    values = {
        "group_slug": group,
        "name_it": name_it,
        "name_en": name_en,
        "privacy": privacy,
        "deadline_amount": deadline.amount,
        "deadline_unit": deadline.unit,
        "questions": [dict(question) for question in questions],
        "emergency_words": {language: list(words) for language, words in (emergency_words or {}).items()},
        "position": position,
    }
    return put(session, Category, {"municipality_id": municipality_id, "slug": slug}, values)


def put_override(
    session: WriteSession,
    municipality_id: int,
    slug: str,
    *,
    name_it: str | None = None,
    name_en: str | None = None,
    privacy: str | None = None,
    deadline: Span | None = None,
    is_active: bool | None = None,
) -> CategoryOverride:
    """What a municipality sees differently from the province; None: as the province has it. Raises InvalidInput."""
    there = session.scalar(select(Category.id).where(Category.municipality_id == PROVINCE, Category.slug == slug))
    if there is None:
        raise InvalidInput("territory.unknown_category", field="category", value=slug)
    values = {
        "name_it": name_it,
        "name_en": name_en,
        "privacy": privacy,
        "deadline_amount": deadline.amount if deadline else None,
        "deadline_unit": deadline.unit if deadline else None,
        "is_active": is_active,
    }
    return put(session, CategoryOverride, {"municipality_id": municipality_id, "slug": slug}, values)
