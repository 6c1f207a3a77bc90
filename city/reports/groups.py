"""Reports of the same trouble: one master, and the duplicates that hang on it.

What happens to the master is told to everybody (`changing.tell`); here stands how the whole is locked and counted.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from sqlalchemy import false, func, select

from city.database import ReadSession, WriteSession
from city.errors import Conflict, NotFound
from city.reports.changing import locked
from city.reports.tables import Report

MOST_TRIES: Final = 20

_PEOPLE: Final = """
SELECT count(DISTINCT coalesce(lower(nullif(reporter.email, '')), report.id::text)) FROM report
LEFT JOIN reporter ON reporter.municipality_id = report.municipality_id AND reporter.report_id = report.id
WHERE report.municipality_id = %(municipality_id)s AND (report.id = %(id)s OR report.master_id = %(id)s)
"""


def lock_group(session: WriteSession, municipality_id: int, *report_ids: UUID) -> None:
    """Lock these reports and all that hang together with them, to the end of the transaction; nothing else before.

    Masters first, then the rest, each in the order of their ids: as everybody does who changes a group, so that no two
    wait for one another. What has become a duplicate while we waited for it is let go, and its master sought anew.

    Raises NotFound, or Conflict where they never stand still.
    """
    for _ in range(MOST_TRIES):
        heads = sorted({_head_of(session, municipality_id, report_id) for report_id in report_ids})
        with suppress(_MovedOnError), session.begin_nested():
            for head in heads:
                if locked(session, municipality_id, head).master_id is not None:
                    raise _MovedOnError
            _lock_members(session, municipality_id, heads, report_ids)
            return
    raise Conflict("reports.never_still")


class _MovedOnError(Exception):
    """What was a master when we looked has become a duplicate, or the other way round."""


def _head_of(session: ReadSession, municipality_id: int, report_id: UUID) -> UUID:
    row = session.execute(
        select(Report.master_id).where(Report.municipality_id == municipality_id, Report.id == report_id)
    ).one_or_none()
    if row is None:
        raise NotFound("reports.not_found", value=str(report_id))
    return row.master_id or report_id


def _lock_members(
    session: WriteSession, municipality_id: int, heads: Collection[UUID], report_ids: Collection[UUID]
) -> None:
    members = session.scalars(
        select(Report)
        .where(Report.municipality_id == municipality_id, Report.master_id.in_(heads))
        .order_by(Report.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if not set(report_ids) <= {*heads, *(member.id for member in members)}:
        raise _MovedOnError


def recount(session: WriteSession, master: Report) -> None:
    """Count anew how many people have reported this: an e-mail address once, each without one is somebody."""
    session.flush()
    row = session.raw.execute(_PEOPLE, {"municipality_id": master.municipality_id, "id": master.id}).fetchone()
    assert row is not None
    master.people = row[0]


def hangs_on(session: ReadSession, report: Report) -> int:
    """How many reports hang on this one."""
    return (
        session.scalar(
            select(func.count()).where(Report.municipality_id == report.municipality_id, Report.master_id == report.id)
        )
        or 0
    )


def seen(session: ReadSession, municipality_id: int, report_id: UUID, master_id: UUID | None) -> dict[str, Any]:
    """The group of a report as JSON values: the `master` it hangs on, and the `duplicates` that hang on it."""
    found = session.execute(
        select(Report.id, Report.number, Report.state, Report.created_at)
        .where(
            Report.municipality_id == municipality_id,
            (Report.master_id == report_id) | (Report.id == master_id if master_id else false()),
        )
        .order_by(Report.created_at, Report.id)
    )
    rows = [
        {"id": str(row.id), "number": row.number, "state": row.state, "created_at": row.created_at.isoformat()}
        for row in found
    ]
    hanging = [row for row in rows if row["id"] != str(master_id)]
    return {"master": next((row for row in rows if row not in hanging), None), "duplicates": hanging}
