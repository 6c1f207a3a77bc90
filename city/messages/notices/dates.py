"""Open reports inside a notice's area are promised its expected day, and lose it again with the notice.

A day that staff promised for that very report stands: it knows more. Each report is a transaction of its own, so a job
that dies goes on where it was.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

import shapely
from sqlalchemy import text as statement

from city.database import ReadSession, WriteSession
from city.messages.mentions import mentioned
from city.registry.notice_tables import Notice, NoticeReport
from city.registry.view import MunicipalityView
from city.reports import promises
from city.reports.changing import locked
from city.reports.deadlines import end_of
from city.reports.tables import Report
from geo.cells import Bounds, covering
from geo.columns import read_shape

LOOKED_AT: Final = 2_000
"""Reports near the area that one look brings."""

_NEAR: Final = """
  SELECT report.id, report.number, report.lon, report.lat
  FROM unnest(:firsts ::bigint[], :lasts ::bigint[]) AS range (first, last)
  JOIN report ON report.municipality_id = :home AND report.cell BETWEEN range.first AND range.last
  LEFT JOIN notice_report AS dated ON dated.municipality_id = :home AND dated.notice_id = :notice
    AND dated.report_id = report.id
  WHERE report.is_open AND report.id > :after AND report.parent_id IS NULL
    AND (CAST(:groups AS text[]) IS NULL OR report.group_slug = ANY (:groups))
    AND (report.promised_at IS NULL AND dated.report_id IS NULL OR dated.until <> :until)
  ORDER BY report.id LIMIT :most
"""
_DATED: Final = statement("""
  SELECT report_id AS id FROM notice_report
  WHERE municipality_id = :home AND notice_id = :notice AND report_id > :after ORDER BY report_id LIMIT :most
""")


class Inside(NamedTuple):
    """A report that the notice's day is for."""

    id: UUID
    number: str


def dates_reports(notice: Notice) -> bool:
    """Whether the notice promises its day to reports just now."""
    return notice.state == "published" and notice.applies_to_reports and notice.expected_on is not None


def inside(
    session: ReadSession, municipality: MunicipalityView, notice: Notice, after: UUID
) -> tuple[list[Inside], UUID | None]:
    """Open reports in the area, of the notice's groups, that are to take its day, in the order of their ids.

    The second value says after which id to go on looking; None: that was all.
    """
    shape = read_shape(notice.shape)
    assert shape is not None
    ranges = covering(Bounds(*shape.bounds))
    values: dict[str, Any] = {
        "firsts": [cells.first for cells in ranges],
        "lasts": [cells.last for cells in ranges],
        "home": municipality.id,
        "notice": notice.id,
        "after": after,
        "groups": notice.groups,
        "until": notice.expected_on,
        "most": LOOKED_AT,
    }
    rows = session.execute(statement(_NEAR), values).all()
    shapely.prepare(shape)
    found = [Inside(row.id, row.number) for row in rows if shapely.intersects_xy(shape, row.lon, row.lat)]
    return found, rows[-1].id if len(rows) == LOOKED_AT else None


def date_one(session: WriteSession, municipality: MunicipalityView, notice_id: UUID, report_id: UUID) -> None:
    """Promise one report the notice's day, if it still is to have it. May come twice."""
    report = locked(session, municipality.id, report_id)
    notice = session.get(Notice, (municipality.id, notice_id), with_for_update={"read": True})
    if notice is None or not dates_reports(notice) or notice.expected_on is None or not report.is_open:
        return
    dated = session.get(NoticeReport, (municipality.id, notice_id, report_id))
    if not _is_ours(municipality, report, dated) or (dated is not None and dated.until == notice.expected_on):
        return
    if dated is None:
        dated = NoticeReport(municipality_id=municipality.id, notice_id=notice_id, report_id=report_id)
        session.add(dated)
    dated.until = notice.expected_on
    promises.promise_by_notice(session, municipality, report, notice.expected_on, mentioned(notice, "promised"))


def dated(session: ReadSession, notice: Notice, after: UUID) -> list[UUID]:
    """Reports that have taken the notice's day, in the order of their ids."""
    values = {"home": notice.municipality_id, "notice": notice.id, "after": after, "most": LOOKED_AT}
    return list(session.scalars(_DATED, values))


def undate_one(session: WriteSession, municipality: MunicipalityView, notice_id: UUID, report_id: UUID) -> None:
    """Take back what a notice that was withdrawn has promised a report. May come twice."""
    report = locked(session, municipality.id, report_id)
    notice = session.get_one(Notice, (municipality.id, notice_id))
    dated = session.get(NoticeReport, (municipality.id, notice_id, report_id))
    if dated is None or dates_reports(notice):
        return
    if report.is_open and _is_ours(municipality, report, dated):
        promises.take_back_by_notice(session, municipality, report, mentioned(notice, "promise_taken_back"))
    session.delete(dated)


def _is_ours(municipality: MunicipalityView, report: Report, dated: NoticeReport | None) -> bool:
    """Whether the report's promised day is the notice's to change: there is none, or it came from the notice."""
    if dated is None:
        return report.promised_at is None
    return report.promised_at == end_of(dated.until, municipality.time_zone)
