"""What reporters have said of how their reports were dealt with, for the office to read; newest first."""

from __future__ import annotations

from typing import Any, Final

from city.database import ReadSession
from city.records.publication import make_cursor, read_cursor
from city.registry.municipality import MunicipalityView
from city.registry.staff.people import Right, Staff

_LISTED: Final = """
SELECT report.id, report.number, report.state, report.category_id, report.department_id, feedback.rating,
  feedback.words, feedback.is_solved, feedback.given_at
FROM feedback
JOIN report ON report.municipality_id = feedback.municipality_id AND report.id = feedback.report_id
WHERE feedback.municipality_id = %(municipality_id)s AND feedback.rating <= %(most)s AND {scope}
"""
_AFTER: Final = " AND (feedback.given_at, feedback.report_id) < (%(after_at)s, %(after_id)s)"
_ORDER: Final = " ORDER BY feedback.given_at DESC, feedback.report_id DESC LIMIT %(limit)s"


def page(
    session: ReadSession,
    municipality: MunicipalityView,
    staff: Staff,
    *,
    most: int,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """Feedback with a rating of `most` at most, of reports that `staff` may read; and the `next` cursor.

    Raises Forbidden, InvalidInput for a cursor that is not ours.
    """
    staff.needs(Right.READ)
    scope, values = staff.sight(Right.READ, municipality).clause()
    values |= {"municipality_id": municipality.id, "most": most, "limit": limit + 1}
    query = _LISTED.format(scope=scope)
    if cursor is not None:
        values["after_at"], values["after_id"] = read_cursor(cursor)
        query += _AFTER
    rows = session.raw.execute(query + _ORDER, values).fetchall()
    shown = [
        {
            "id": str(report_id),
            "number": number,
            "state": state,
            "category": municipality.category_ids[category_id].slug,
            "department": municipality.by_id[department_id].slug,
            "rating": rating,
            "text": words,
            "is_solved": is_solved,
            "given_at": given_at.isoformat(),
        }
        for report_id, number, state, category_id, department_id, rating, words, is_solved, given_at in rows[:limit]
    ]
    last = {"created_at": rows[limit - 1][8], "id": rows[limit - 1][0]} if len(rows) > limit else None
    return {"feedback": shown, "next": make_cursor(last) if last else None}
