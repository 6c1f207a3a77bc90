"""Reply templates: texts that staff edit before they send them, fitting the step and the category.

The province's are inherited; a municipality's own of the same slug takes their place, and may hide them. A template may
hold placeholders of a fixed list, each with an Italian and an English name; any other is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import InvalidInput, NotFound
from city.registry.municipality import MunicipalityView
from city.registry.staff.people import Right, Staff
from city.reports.changing import Desk
from city.reports.checks import cleaned
from city.reports.dialogue.tables import ReplyTemplate
from city.reports.lifecycle import State
from city.reports.tables import Report, Reporter
from city.texts import text

LONGEST: Final = 2_000
"""Letters of a template."""
LONGEST_TITLE: Final = 120
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class Filling(NamedTuple):
    """What placeholders are filled from."""

    municipality: MunicipalityView
    report: Report
    staff: Staff
    language: str

    def day(self, moment: datetime) -> str:
        """A day of the municipality's calendar."""
        return self.municipality.local(moment).strftime("%d/%m/%Y")


class Placeholder(NamedTuple):
    """A gap in a template: its name in both languages, and what comes there."""

    it: str
    en: str
    value: Callable[[Filling], str]


PLACEHOLDERS: Final = (
    Placeholder("numero", "number", lambda of: of.report.number),
    Placeholder(
        "categoria", "category", lambda of: of.municipality.category_ids[of.report.category_id].name(of.language)
    ),
    Placeholder("luogo", "place", lambda of: of.report.address or text("replies.the_place", language=of.language)),
    Placeholder("ufficio", "department", lambda of: of.municipality.by_id[of.report.department_id].name(of.language)),
    Placeholder("comune", "municipality", lambda of: of.municipality.name),
    Placeholder("segnalata_il", "reported_on", lambda of: of.day(of.report.created_at)),
    Placeholder("entro", "due", lambda of: of.day(of.report.promised_at or of.report.deadline_at)),
    Placeholder("oggi", "today", lambda of: of.day(datetime.now(UTC))),
    Placeholder("persone", "people", lambda of: str(of.report.people)),
    Placeholder("operatore", "clerk", lambda of: of.staff.name),
)
_BY_NAME: Final = {name: placeholder for placeholder in PLACEHOLDERS for name in (placeholder.it, placeholder.en)}


@dataclass(frozen=True, slots=True)
class TemplateFields:
    """A template, as it should be."""

    title_it: str
    title_en: str
    text_it: str
    text_en: str
    state: State | None = None
    group: str | None = None
    category: str | None = None
    is_active: bool = True

    def checked(self) -> TemplateFields:
        """The same without surrounding space. Raises InvalidInput, TooLarge."""
        if self.group and self.category:
            raise InvalidInput("replies.group_or_category", field="category")
        return TemplateFields(
            title_it=_words(self.title_it, "title_it", LONGEST_TITLE),
            title_en=_words(self.title_en, "title_en", LONGEST_TITLE),
            text_it=checked(_words(self.text_it, "text_it", LONGEST), "text_it", "it"),
            text_en=checked(_words(self.text_en, "text_en", LONGEST), "text_en", "en"),
            state=self.state,
            group=self.group,
            category=self.category,
            is_active=self.is_active,
        )


def checked(words: str, field: str, language: str) -> str:
    """`words`, whose placeholders are all known. Raises InvalidInput naming the one that is not."""
    known = ", ".join(f"{{{getattr(placeholder, language)}}}" for placeholder in PLACEHOLDERS)
    for name in _PLACEHOLDER.findall(words):
        if name not in _BY_NAME:
            raise InvalidInput("replies.unknown_placeholder", field=field, name=name, known=known)
    if "{" in _PLACEHOLDER.sub("", words) or "}" in _PLACEHOLDER.sub("", words):
        raise InvalidInput("replies.lone_brace", field=field, known=known)
    return words


def filled(words: str, filling: Filling) -> str:
    """The template's text with its gaps filled: what staff then edit."""
    return _PLACEHOLDER.sub(lambda gap: _BY_NAME[gap.group(1)].value(filling), words)


def filling(session: ReadSession, municipality: MunicipalityView, staff: Staff, report_id: UUID) -> Filling:
    """What templates for this report are filled from: in its reporter's language, as `staff` would sign it."""
    report = session.get_one(Report, (municipality.id, report_id))
    reporter = session.get(Reporter, (municipality.id, report_id))
    return Filling(municipality, report, staff, reporter.language if reporter else report.language)


def valid(session: ReadSession, municipality_id: int) -> dict[str, ReplyTemplate]:
    """The templates that hold in a municipality, hidden ones too, by slug: the province's, then its own over them."""
    rows = session.scalars(
        select(ReplyTemplate)
        .where(ReplyTemplate.municipality_id.in_((PROVINCE, municipality_id)))
        .order_by(ReplyTemplate.municipality_id, ReplyTemplate.slug)
    )
    return {row.slug: row for row in rows}


def listed(
    session: ReadSession,
    municipality: MunicipalityView,
    *,
    state: State | None = None,
    category: str | None = None,
    filling: Filling | None = None,
) -> list[dict[str, Any]]:
    """Templates as JSON values, those that fit best first; all of them where neither state nor category is given.

    Those for a state are for that step only, those without are for something said in between. `filled` is the text in
    the reporter's language, where there is a report to fill it from. Raises InvalidInput for an unknown category.
    """
    chosen = municipality.category(category) if category else None
    if filling is not None:
        chosen = municipality.category_ids[filling.report.category_id]
    everything = state is None and chosen is None
    found = []
    for row in valid(session, municipality.id).values():
        of_group = row.group_slug is None or (chosen is not None and row.group_slug == chosen.group.slug)
        of_category = row.category_slug is None or (chosen is not None and row.category_slug == chosen.slug)
        of_state = row.state == (state.value if state else None) or (state is None and chosen is None)
        if everything or (row.is_active and of_group and of_category and of_state):
            found.append(row)
    found.sort(key=lambda row: (row.category_slug is None, row.group_slug is None, row.slug))
    return [as_json(row, filling) for row in found]


def as_json(row: ReplyTemplate, filling: Filling | None = None) -> dict[str, Any]:
    """A template as JSON values."""
    seen: dict[str, Any] = {
        "slug": row.slug,
        "title": {"it": row.title_it, "en": row.title_en},
        "state": row.state,
        "group": row.group_slug,
        "category": row.category_slug,
        "text": {"it": row.text_it, "en": row.text_en},
        "is_active": row.is_active,
        "is_own": row.municipality_id != PROVINCE,
        "filled": None,
    }
    if filling is not None:
        seen["filled"] = filled(row.text_it if filling.language == "it" else row.text_en, filling)
    return seen


def put(desk: Desk, slug: str, fields: TemplateFields) -> ReplyTemplate:
    """Make or replace a template of the municipality's own. Raises Forbidden, InvalidInput, TooLarge."""
    desk.staff.needs(Right.ADMINISTER)
    if fields.category is not None:
        desk.municipality.category(fields.category)
    groups = {category.group.slug for category in desk.municipality.categories.values()}
    if fields.group is not None and fields.group not in groups:
        raise InvalidInput("insight.unknown_group", field="group", value=fields.group, known=", ".join(sorted(groups)))
    return save(desk.session, desk.municipality.id, slug, fields)


def save(session: WriteSession, municipality_id: int, slug: str, fields: TemplateFields) -> ReplyTemplate:
    """Keep a template under its slug. Raises InvalidInput, TooLarge."""
    good = fields.checked()
    row = session.get(ReplyTemplate, (municipality_id, slug)) or ReplyTemplate(
        municipality_id=municipality_id, slug=slug
    )
    row.title_it, row.title_en = good.title_it, good.title_en
    row.text_it, row.text_en = good.text_it, good.text_en
    row.state = good.state.value if good.state else None
    row.group_slug, row.category_slug, row.is_active = good.group, good.category, good.is_active
    session.add(row)
    session.flush()
    return row


def drop(desk: Desk, slug: str) -> None:
    """Forget the municipality's own template: the province's of that slug, if there is one, holds again.

    Raises Forbidden, NotFound.
    """
    desk.staff.needs(Right.ADMINISTER)
    row = desk.session.get(ReplyTemplate, (desk.municipality.id, slug))
    if row is None:
        raise NotFound("replies.not_found", value=slug)
    desk.session.delete(row)


def _words(words: str, field: str, longest: int) -> str:
    said = cleaned(words, field=field, longest=longest)
    if said is None:
        raise InvalidInput("reports.nothing_to_say", field=field)
    return said
