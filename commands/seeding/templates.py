"""The province's reply templates, from the seed."""

from __future__ import annotations

import tomllib
from typing import Any, Final

from sqlalchemy import select

from city.database import PROVINCE, WriteSession
from city.reports.dialogue import replies
from city.reports.dialogue.replies import TemplateFields
from city.reports.dialogue.tables import ReplyTemplate
from city.reports.lifecycle import State
from city.settings import PROJECT

TEMPLATES: Final = PROJECT / "seed" / "templates.toml"


def ensure_templates(session: WriteSession) -> int:
    """Give a province without any the seed's templates; how many it has been given."""
    if session.scalar(select(ReplyTemplate.slug).where(ReplyTemplate.municipality_id == PROVINCE).limit(1)):
        return 0
    given = templates()
    for slug, fields in given.items():
        replies.save(session, PROVINCE, slug, fields)
    return len(given)


def templates() -> dict[str, TemplateFields]:
    """The seed's templates by slug."""
    return {one["slug"]: _fields(one) for one in tomllib.loads(TEMPLATES.read_text("utf-8"))["template"]}


def _fields(given: dict[str, Any]) -> TemplateFields:
    return TemplateFields(
        title_it=given["title"]["it"],
        title_en=given["title"]["en"],
        text_it=given["text"]["it"],
        text_en=given["text"]["en"],
        state=State(given["state"]) if "state" in given else None,
        group=given.get("group"),
        category=given.get("category"),
    )
