"""The time and the material that crews have spent on a report."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from city.database import ReadSession

_MATERIALS_SQL = """
SELECT used->>'material', used->>'unit', sum((used->>'quantity')::numeric)
FROM field_operation, jsonb_array_elements(payload->'materials') AS used
WHERE municipality_id = %(municipality_id)s AND report_id = %(report_id)s AND kind = 'work'
GROUP BY 1, 2 ORDER BY 1, 2
"""
_MINUTES_SQL = """
SELECT coalesce(sum((payload->>'minutes')::integer), 0) FROM field_operation
WHERE municipality_id = %(municipality_id)s AND report_id = %(report_id)s AND kind = 'work'
"""


def spent(session: ReadSession, municipality_id: int, report_id: UUID) -> dict[str, Any]:
    """`minutes` in all, and `materials`, each summed by its unit; as JSON values."""
    values = {"municipality_id": municipality_id, "report_id": report_id}
    minutes = session.raw.execute(_MINUTES_SQL, values).fetchone()
    materials = session.raw.execute(_MATERIALS_SQL, values)
    return {
        "minutes": minutes[0] if minutes else 0,
        "materials": [
            {"material": material, "unit": unit, "quantity": float(quantity)} for material, unit, quantity in materials
        ],
    }
