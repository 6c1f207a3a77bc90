"""Open reports inside a notice's area are promised its expected day, and lose it when it is theirs no more.

So they do when the notice is withdrawn, dates no reports any more, or leaves them out of its area or groups; when it
has ended, what it promised stands. A day that staff promised for that very report stands too: it knows more. Each
report is a transaction of its own, so a job that dies goes on where it was.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

import shapely

from city.database import ReadSession, WriteSession
from city.messages.notices.mentions import mentioned
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import Notice, NoticeReport
from city.reports import promises
from city.reports.changing import locked
from city.reports.deadlines import end_of
from city.reports.tables import Report
from geo.columns import read_shape
from geo.covers import in_area

FIRST: Final = UUID(int=0)
"""Comes before all reports."""
LOOKED_AT: Final = 2_000
"""Reports that one look brings."""

_TAKING: Final = """
  SELECT report.id, report.number FROM report
  LEFT JOIN notice_report AS dated ON dated.municipality_id = %(home)s AND dated.notice_id = %(notice)s
    AND dated.report_id = report.id
  WHERE report.municipality_id = %(home)s AND report.is_open AND report.id > %(after)s AND {concerned}
    AND (report.promised_at IS NULL AND dated.report_id IS NULL OR dated.until <> %(until)s)
  ORDER BY report.id LIMIT %(most)s
"""
_LOSING: Final = """
  SELECT report.id, report.number FROM notice_report AS dated
  JOIN report ON report.municipality_id = dated.municipality_id AND report.id = dated.report_id
  WHERE dated.municipality_id = %(home)s AND dated.notice_id = %(notice)s AND report.id > %(after)s
    AND NOT {concerned}
  ORDER BY report.id LIMIT %(most)s
"""
_EITHER: Final = f"({_TAKING}) UNION ALL ({_LOSING}) ORDER BY id LIMIT %(most)s"
_CONCERNED: Final = """
  (%(is_dating)s AND report.parent_id IS NULL AND {inside}
   AND (%(groups)s::text[] IS NULL OR report.group_slug = ANY (%(groups)s)))
"""


class Found(NamedTuple):
    """A report whose promised day is to change with the notice."""

    id: UUID
    number: str


def taking(session: ReadSession, notice: Notice, after: UUID = FIRST) -> tuple[list[Found], UUID | None]:
    """Open reports that would take the day of a notice that is published, in the order of their ids.

    The second value says after which id to go on looking; None: that was all.
    """
    return _found(session, _TAKING, notice, after, is_dating=_has_day(notice))


def changing(
    session: ReadSession, municipality: MunicipalityView, notice_id: UUID, after: UUID = FIRST
) -> tuple[list[Found], UUID | None]:
    """Reports that are to take the notice's day or to lose it, likewise."""
    notice = session.get_one(Notice, (municipality.id, notice_id))
    if notice.state == "ended":
        return [], None
    return _found(session, _EITHER, notice, after, is_dating=_is_dating(notice))


def _found(
    session: ReadSession, query: str, notice: Notice, after: UUID, *, is_dating: bool
) -> tuple[list[Found], UUID | None]:
    shape = read_shape(notice.shape)
    assert shape is not None
    inside, values = in_area(shape, "report")
    values |= {
        "home": notice.municipality_id,
        "notice": notice.id,
        "after": after,
        "is_dating": is_dating,
        "groups": notice.groups,
        "until": notice.expected_on,
        "most": LOOKED_AT,
    }
    rows = session.raw.execute(query.format(concerned=_CONCERNED.format(inside=inside)), values)
    found = [Found(*row) for row in rows]
    return found, found[-1].id if len(found) == LOOKED_AT else None


def settle(session: WriteSession, municipality: MunicipalityView, notice_id: UUID, report_id: UUID) -> None:
    """Promise one report the notice's day, or take it back, whichever is to be by now. May come twice."""
    report = locked(session, municipality.id, report_id)
    notice = session.get_one(Notice, (municipality.id, notice_id), with_for_update={"read": True})
    dated = session.get(NoticeReport, (municipality.id, notice_id, report_id))
    if notice.state == "ended":
        return
    if _is_dating(notice) and _concerns(notice, report):
        _date(session, municipality, notice, report, dated)
    elif dated is not None:
        _undate(session, municipality, notice, report, dated)


def _has_day(notice: Notice) -> bool:
    return notice.applies_to_reports and notice.expected_on is not None


def _is_dating(notice: Notice) -> bool:
    """Whether the notice promises its day to reports just now."""
    return notice.state == "published" and _has_day(notice)


def _concerns(notice: Notice, report: Report) -> bool:
    shape = read_shape(notice.shape)
    assert shape is not None
    return (
        report.parent_id is None
        and (notice.groups is None or report.group_slug in notice.groups)
        and bool(shapely.intersects_xy(shape, report.lon, report.lat))
    )


def _date(
    session: WriteSession, municipality: MunicipalityView, notice: Notice, report: Report, dated: NoticeReport | None
) -> None:
    day = notice.expected_on
    if day is None or not report.is_open or not _is_ours(municipality, report, dated):
        return
    if dated is None:
        dated = NoticeReport(municipality_id=municipality.id, notice_id=notice.id, report_id=report.id)
        session.add(dated)
    elif dated.until == day:
        return
    dated.until = day
    promises.promise_by_notice(session, municipality, report, day, mentioned(notice, "promised"))


def _undate(
    session: WriteSession, municipality: MunicipalityView, notice: Notice, report: Report, dated: NoticeReport
) -> None:
    if report.is_open and _is_ours(municipality, report, dated):
        promises.take_back_by_notice(session, municipality, report, mentioned(notice, "promise_taken_back"))
    session.delete(dated)


def _is_ours(municipality: MunicipalityView, report: Report, dated: NoticeReport | None) -> bool:
    """Whether the report's promised day is the notice's to change: there is none, or it came from the notice."""
    if dated is None:
        return report.promised_at is None
    return report.promised_at == end_of(dated.until, municipality.time_zone)
