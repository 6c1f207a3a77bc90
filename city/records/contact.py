"""Who reported, for staff who may know: whatever is shown is recorded by the statement that reads it.

Nothing else reads contact data for the eyes of staff. It takes a session that is kept, and so a look that cannot be
recorded is none.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from city.database import PROVINCE, ReadSession, WriteSession
from city.records.publication import make_cursor, read_cursor
from city.registry.municipality import MunicipalityView
from city.registry.staff.rights import Right, Staff

SAME_LOOK: Final = timedelta(minutes=10)
"""Whoever sees the same again within this time has looked once."""

_SHOWN: Final = """
WITH shown AS (
  SELECT report.id, reporter.email, reporter.name, reporter.phone, reporter.language
  FROM reporter
  JOIN report ON report.municipality_id = reporter.municipality_id AND report.id = reporter.report_id
  WHERE reporter.municipality_id = %(municipality_id)s::integer AND reporter.report_id = ANY(%(ids)s) AND {scope}
), looked AS (
  INSERT INTO contact_look (municipality_id, report_id, home_id, person_id, why)
  SELECT %(municipality_id)s::integer, shown.id, %(home_id)s::integer, %(person_id)s::integer, %(why)s::text FROM shown
  WHERE concat(email, name, phone) <> '' AND NOT EXISTS (
    SELECT FROM contact_look AS before
    WHERE before.municipality_id = %(municipality_id)s::integer AND before.report_id = shown.id
      AND before.at > now() - %(same_look)s AND before.why = %(why)s::text
      AND before.home_id = %(home_id)s::integer AND before.person_id = %(person_id)s::integer
  )
)
SELECT id, email, name, phone, language FROM shown
"""
_LOOKS: Final = """
SELECT look.id, look.at, look.why, look.report_id, report.number, look.home_id, look.person_id, person.name
FROM contact_look AS look
JOIN report ON report.municipality_id = look.municipality_id AND report.id = look.report_id
LEFT JOIN person ON person.municipality_id = look.home_id AND person.id = look.person_id
WHERE look.municipality_id = %(municipality_id)s AND {scope}
"""


class Why(StrEnum):
    """On which occasion contact data was shown."""

    OPENED = "opened"
    CHANGED = "changed"
    """The answer to a change shows the report as it is then."""
    LIST = "list"


def shown(
    session: WriteSession, municipality: MunicipalityView, staff: Staff, report_ids: Collection[UUID], why: Why
) -> dict[UUID, dict[str, Any]]:
    """Who reported, of those of these reports where `staff` may know; each is recorded as a look."""
    scope, values = staff.sight(Right.CONTACT, municipality).clause()
    rows = session.raw.execute(
        _SHOWN.format(scope=scope),
        values
        | {
            "municipality_id": municipality.id,
            "ids": list(report_ids),
            "home_id": staff.home_id,
            "person_id": staff.person_id,
            "why": why.value,
            "same_look": SAME_LOOK,
        },
    )
    return {key: dict(zip(("email", "name", "phone", "language"), row, strict=True)) for key, *row in rows}


def looks_at(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, report_id: UUID
) -> list[dict[str, Any]]:
    """Who has looked at the contact data of a report that `staff` oversee, newest first. Raises Forbidden."""
    scope, values = _overseen(municipality, staff)
    rows = session.raw.execute(
        _LOOKS.format(scope=scope) + "AND look.report_id = %(report_id)s ORDER BY look.at DESC, look.id DESC",
        values | {"report_id": report_id},
    )
    return [_listed(row) for row in rows]


def page(
    session: ReadSession,
    municipality: MunicipalityView,
    staff: Staff,
    *,
    person_id: int | None,
    start_at: datetime | None,
    end_at: datetime | None,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """All looks at the reports that `staff` oversee, newest first: `looks` and the `next` cursor.

    Of one person of the municipality's (None: of everybody), from `start_at` to before `end_at`. Raises Forbidden,
    InvalidInput for a cursor that is not ours.
    """
    scope, values = _overseen(municipality, staff)
    clauses = [_LOOKS.format(scope=scope)]
    for clause, name, value in (
        ("look.person_id = %(person)s AND look.home_id = %(municipality_id)s", "person", person_id),
        ("look.at >= %(start_at)s", "start_at", start_at),
        ("look.at < %(end_at)s", "end_at", end_at),
    ):
        if value is not None:
            clauses.append(clause)
            values[name] = value
    if cursor is not None:
        values["after_at"], values["after_id"] = read_cursor(cursor)
        clauses.append("(look.at, look.id) < (%(after_at)s, %(after_id)s)")
    rows = session.raw.execute(
        " AND ".join(clauses) + " ORDER BY look.at DESC, look.id DESC LIMIT %(limit)s",
        values | {"limit": limit + 1},
    ).fetchall()
    last = {"created_at": rows[limit - 1][1], "id": rows[limit - 1][0]} if len(rows) > limit else None
    return {"looks": [_listed(row) for row in rows[:limit]], "next": make_cursor(last) if last else None}


def forget_old(session: WriteSession) -> None:
    """Forget the looks of two years ago, in all municipalities; the database lets nobody forget any other."""
    session.raw.execute("SELECT forget_old_looks()")


def _overseen(municipality: MunicipalityView, staff: Staff) -> tuple[str, dict[str, Any]]:
    staff.needs(Right.OVERSEE)
    scope, values = staff.sight(Right.OVERSEE, municipality).clause()
    return scope, values | {"municipality_id": municipality.id}


def _listed(row: tuple[Any, ...]) -> dict[str, Any]:
    _, at, why, report_id, number, home_id, person_id, name = row
    return {
        "at": at.isoformat(),
        "why": why,
        "report": {"id": str(report_id), "number": number},
        "person_id": person_id,
        "person": name,
        "of_province": home_id == PROVINCE,
    }
