"""What a report's history says of a notice: written down in the language of the staff, said in the reader's."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from city.database import ReadSession
from city.messages.notices.letter import page_of, title
from city.registry.notice_tables import Notice
from city.reports.promises import Mentioned
from city.reports.tables import TimelineEntry
from city.texts import DEFAULT_LANGUAGE, text

_SAYS: Final = {"promised": "notices.dated", "promise_taken_back": "notices.no_longer_dated"}
"""What a notice does to a report, by the entry that tells it."""


def mentioned(notice: Notice, what: str) -> Mentioned:
    """The notice, for an entry of the kind `what`."""
    return Mentioned(notice.number, _words(notice, what, DEFAULT_LANGUAGE))


def note_of(session: ReadSession, entry: TimelineEntry, language: str) -> str | None:
    """The words that go with an entry: as somebody wrote them, or what it says of a notice, in the reader's language.

    What happened to a master says under `what` what it was.
    """
    number = entry.details.get("notice")
    if number is None:
        return entry.note
    notice = session.scalar(
        select(Notice).where(Notice.municipality_id == entry.municipality_id, Notice.number == number)
    )
    return _words(notice, entry.details.get("what", entry.what), language) if notice is not None else entry.note


def _words(notice: Notice, what: str, language: str) -> str:
    is_withdrawn = what == "promise_taken_back" and notice.state == "withdrawn"
    key = "notices.undated" if is_withdrawn else _SAYS[what]
    link = page_of(notice.number, language)
    return text(key, language=language, number=notice.number, title=title(notice, language), link=link)
