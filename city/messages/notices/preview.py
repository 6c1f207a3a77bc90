"""Notices as staff see them: the list, one of them, and what would come of publishing it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
import shapely
from sqlalchemy import func, select

from city import cursors
from city.database import ReadSession
from city.errors import NotFound
from city.messages.notices import dates, queue
from city.messages.notices import letter as notice_letter
from city.messages.notices.letter import THEIR_PAGE, News
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import Notice, NoticeReport
from city.texts import LANGUAGES
from geo.columns import read_shape

MOST_NUMBERS: Final = 100


def one(session: ReadSession, municipality: MunicipalityView, notice_id: UUID) -> Notice:
    """A notice of the municipality. Raises NotFound."""
    notice = session.get(Notice, (municipality.id, notice_id))
    if notice is None:
        raise NotFound("notices.not_found", value=str(notice_id))
    return notice


def listed(
    session: ReadSession, municipality: MunicipalityView, *, state: str | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    """A page of notices, the one written last first. Raises InvalidInput for a cursor that is not ours."""
    wanted = select(Notice).where(Notice.municipality_id == municipality.id).order_by(Notice.id.desc())
    if state is not None:
        wanted = wanted.where(Notice.state == state)
    if cursor is not None:
        wanted = wanted.where(Notice.id < cursors.read(cursor, UUID)[0])
    found = session.scalars(wanted.limit(limit + 1)).all()
    is_more = len(found) > limit
    page = found[:limit]
    return {
        "notices": [_line(municipality, notice) for notice in page],
        "next": cursors.made(page[-1].id) if is_more else None,
    }


def as_json(session: ReadSession, municipality: MunicipalityView, notice: Notice) -> dict[str, Any]:
    """A notice as staff write it."""
    reports = session.scalar(
        select(func.count())
        .select_from(NoticeReport)
        .where(NoticeReport.municipality_id == municipality.id, NoticeReport.notice_id == notice.id)
    )
    return _line(municipality, notice) | {
        "text": {"it": notice.text_it, "en": notice.text_en},
        "area": notice.area,
        "shape": _geojson(notice),
        "expected_on": notice.expected_on,
        "expires_at": _local(municipality, notice.expires_at),
        "groups": notice.groups,
        "link": notice.link,
        "applies_to_reports": notice.applies_to_reports,
        "reason": notice.reason,
        "over_at": _local(municipality, notice.over_at),
        "reports": reports,
    }


def preview(session: ReadSession, municipality: MunicipalityView, notice: Notice) -> dict[str, Any]:
    """What would come of publishing the notice now."""
    channels = queue.reach(session, municipality, notice)
    numbers = _numbers(session, notice)
    return {
        "recipients": sum(channels.values()),
        "channels": channels,
        "shape": _geojson(notice),
        "letters": [_letter(municipality, notice, language) for language in LANGUAGES],
        "reports": len(numbers),
        "report_numbers": numbers[:MOST_NUMBERS],
    }


def _letter(municipality: MunicipalityView, notice: Notice, language: str) -> dict[str, Any]:
    letter = notice_letter.letter(municipality, notice, News("announced"), language)
    letter = replace(letter, footer=letter.footer.replace(THEIR_PAGE, "…"))
    return {"language": language, "subject": letter.subject, "text": letter.plain(), "html": letter.page(language)}


def _numbers(session: ReadSession, notice: Notice) -> list[str]:
    """The reports that would take the notice's day."""
    numbers: list[str] = []
    after: UUID | None = dates.FIRST
    while after is not None:
        found, after = dates.taking(session, notice, after)
        numbers += [report.number for report in found]
    return numbers


def _line(municipality: MunicipalityView, notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "number": notice.number,
        "state": notice.state,
        "version": notice.version,
        "kind": notice.kind,
        "title": {"it": notice.title_it, "en": notice.title_en},
        "department": municipality.by_id[notice.department_id].slug,
        "starts_at": _local(municipality, notice.starts_at),
        "ends_at": _local(municipality, notice.ends_at),
        "publish_at": _local(municipality, notice.publish_at),
        "published_at": _local(municipality, notice.published_at),
        "is_urgent": notice.is_urgent,
        "updated_at": _local(municipality, notice.updated_at),
    }


def _local(municipality: MunicipalityView, moment: datetime | None) -> datetime | None:
    return municipality.local(moment) if moment is not None else None


def _geojson(notice: Notice) -> Any:
    shape = read_shape(notice.shape)
    return orjson.loads(shapely.to_geojson(shape)) if shape is not None else None
