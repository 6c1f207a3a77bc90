"""What crews did offline and what did not come about: for somebody at the desk to look at, and to be done with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession
from city.errors import NotFound
from city.records.publication import make_cursor, read_cursor
from city.registry.municipality import MunicipalityView
from city.registry.staff.people import Right, Staff
from city.reports.changing import Desk, locked
from city.reports.field.tables import FieldOperation
from city.reports.timeline import note_down

_CONFLICTS = """
SELECT operation.id, operation.report_id, report.number, report.state, report.version, operation.crew_id,
       person.name AS person, operation.kind, operation.payload->>'told' AS text, operation.device, operation.device_at,
       operation.happened_at, operation.received_at, operation.conflict, operation.settled_at,
       settler.name AS settled_by
FROM field_operation AS operation
JOIN report ON report.municipality_id = operation.municipality_id AND report.id = operation.report_id
LEFT JOIN person ON person.municipality_id = operation.municipality_id AND person.id = operation.person_id
LEFT JOIN person AS settler ON settler.municipality_id = operation.municipality_id AND settler.id = operation.settled_by
WHERE operation.municipality_id = %(municipality_id)s AND operation.outcome = 'conflict'
"""
_MOMENTS = ("device_at", "happened_at", "received_at", "settled_at")


def page(
    session: ReadSession,
    municipality: MunicipalityView,
    staff: Staff,
    *,
    settled: bool,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """Conflicts of the reports that `staff` answers for, oldest first: `conflicts` and the `next` cursor."""
    staff.needs(Right.DESK)
    scope, values = staff.sight(Right.DESK, municipality).clause()
    theirs = f"report.id IN (SELECT id FROM report WHERE municipality_id = %(municipality_id)s AND {scope})"  # noqa: S608
    clauses = [theirs, f"operation.settled_at IS {'NOT ' if settled else ''}NULL"]
    if cursor is not None:
        values["after_at"], values["after_id"] = read_cursor(cursor)
        clauses.append("(operation.happened_at, operation.id) > (%(after_at)s, %(after_id)s)")
    found = session.raw.execute(
        f"{_CONFLICTS} AND {' AND '.join(clauses)} ORDER BY operation.happened_at, operation.id LIMIT %(limit)s",
        values | {"municipality_id": municipality.id, "limit": limit + 1},
    )
    names = [column.name for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found]
    last = rows[limit - 1] if len(rows) > limit else None
    return {
        "conflicts": [_shown(row, municipality) for row in rows[:limit]],
        "next": make_cursor({"created_at": last["happened_at"], "id": last["id"]}) if last else None,
    }


def settle(desk: Desk, operation_id: UUID) -> dict[str, Any]:
    """Note that somebody has looked at the conflict and is done with it; harmless twice. Raises NotFound, Forbidden."""
    missing = NotFound("crew.no_conflict", value=str(operation_id))
    operation = desk.session.scalar(
        select(FieldOperation).where(
            FieldOperation.municipality_id == desk.municipality.id,
            FieldOperation.id == operation_id,
            FieldOperation.outcome == "conflict",
        )
    )
    if operation is None:
        raise missing
    report = locked(desk.session, desk.municipality.id, operation.report_id)
    desk.check(report, Right.DESK)
    desk.session.refresh(operation)
    if operation.settled_at is None:
        operation.settled_at, operation.settled_by = datetime.now(UTC), desk.staff.person_id
        details = {"operation": str(operation_id), "kind": operation.kind}
        note_down(desk.session, report, "conflict_settled", staff=desk.staff, is_public=False, details=details)
    desk.session.flush()
    found = desk.session.raw.execute(
        f"{_CONFLICTS} AND operation.id = %(id)s", {"municipality_id": desk.municipality.id, "id": operation_id}
    )
    names = [column.name for column in found.description or ()]
    row = found.fetchone()
    if row is None:
        raise missing
    return _shown(dict(zip(names, row, strict=True)), desk.municipality)


def _shown(row: dict[str, Any], municipality: MunicipalityView) -> dict[str, Any]:
    crew = municipality.crew_ids.get(row["crew_id"])
    return {
        "id": str(row["id"]),
        "report": {
            "id": str(row["report_id"]),
            "number": row["number"],
            "state": row["state"],
            "version": row["version"],
        },
        "crew": crew.slug if crew else None,
        **{name: row[name] for name in ("person", "kind", "text", "device", "conflict", "settled_by")},
        **{name: row[name].isoformat() if row[name] else None for name in _MOMENTS},
    }
