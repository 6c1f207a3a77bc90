"""The parts of a report's work, as the desk sees them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession
from city.registry.municipality import MunicipalityView
from city.reports.tables import Report


def of_report(session: ReadSession, municipality: MunicipalityView, report_id: UUID) -> list[dict[str, Any]]:
    """The children of a report as JSON values, in the order they were made."""
    found = session.execute(
        select(
            Report.id,
            Report.number,
            Report.state,
            Report.is_open,
            Report.category_id,
            Report.department_id,
            Report.crew_id,
            Report.description,
            Report.created_at,
            Report.deadline_at,
        )
        .where(Report.municipality_id == municipality.id, Report.parent_id == report_id)
        .order_by(Report.created_at, Report.id)
    )
    return [
        {
            "id": str(row.id),
            "number": row.number,
            "state": row.state,
            "is_open": row.is_open,
            "category": municipality.category_ids[row.category_id].slug,
            "department": municipality.by_id[row.department_id].slug,
            "crew": crew.slug if (crew := municipality.crew_ids.get(row.crew_id)) else None,
            "text": row.description,
            "created_at": row.created_at.isoformat(),
            "deadline_at": row.deadline_at.isoformat(),
        }
        for row in found
    ]
