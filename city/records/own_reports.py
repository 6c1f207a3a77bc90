"""A citizen's own reports, in all municipalities: those sent while signed in, or with the address that is proved.

Which these are says the database's `reports_of_citizen` alone; everything here begins with what it gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from city.database import ReadSession
from city.records.publication import make_cursor, read_cursor
from city.registry.municipality import MunicipalityView, Registry
from city.reports.tables import HANDED_OVER, Report

LARGEST_PAGE: Final = 100

_OWN: Final = (
    "reports_of_citizen(%(citizen)s) AS own"
    " JOIN report ON report.municipality_id = own.municipality_id AND report.id = own.report_id"
)
_COLUMNS: Final = (
    "report.municipality_id, report.id, number, report.state, is_open, category_id, description, address, lon, lat,"
    " created_at, updated_at, deadline_at, promised_at,"
    " EXISTS (SELECT FROM question WHERE question.municipality_id = report.municipality_id"
    " AND question.report_id = report.id AND question.state = 'open') AS is_asked"
)


@dataclass(frozen=True, slots=True)
class OwnFilter:
    """Which of one's own reports."""

    municipality: MunicipalityView | None = None
    is_open: bool | None = None


def is_own(session: ReadSession, report: Report, citizen_id: UUID) -> bool:
    """Whether the report is this citizen's."""
    found = session.raw.execute(
        "SELECT FROM reports_of_citizen(%s) AS own WHERE own.municipality_id = %s AND own.report_id = %s",
        (citizen_id, report.municipality_id, report.id),
    )
    return found.fetchone() is not None


def page(
    session: ReadSession, registry: Registry, citizen_id: UUID, chosen: OwnFilter, *, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Own reports of every municipality, newest first: `reports` and the `next` cursor (None on the last page).

    One that was handed over is shown where it was sent, under its first number. `session` must be provincial.
    Raises InvalidInput for a cursor that is not ours.
    """
    clauses, values = ["report.source <> %(handed_over)s"], {"citizen": citizen_id, "handed_over": HANDED_OVER}
    values |= {"limit": limit + 1}
    if chosen.municipality is not None:
        clauses.append("report.municipality_id = %(home)s")
        values["home"] = chosen.municipality.id
    if chosen.is_open is not None:
        clauses.append("report.is_open = %(is_open)s")
        values["is_open"] = chosen.is_open
    if cursor is not None:
        values["after_at"], values["after_id"] = read_cursor(cursor)
        clauses.append("(report.created_at, report.id) < (%(after_at)s, %(after_id)s)")
    found = session.raw.execute(
        f"SELECT {_COLUMNS} FROM {_OWN} WHERE {' AND '.join(clauses)}"  # noqa: S608
        " ORDER BY created_at DESC, report.id DESC LIMIT %(limit)s",
        values,
    )
    names = [column.name for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found]
    shown = rows[:limit]
    return {
        "reports": [_as_json(registry.municipalities[row["municipality_id"]], row) for row in shown],
        "next": make_cursor(shown[-1]) if len(rows) > limit else None,
    }


def _as_json(municipality: MunicipalityView, row: dict[str, Any]) -> dict[str, Any]:
    category = municipality.category_ids[row["category_id"]]
    seen = {key: row[key] for key in ("id", "number", "state", "is_open", "description", "address", "is_asked")}
    seen |= {key: row[key] for key in ("created_at", "updated_at", "deadline_at", "promised_at")}
    return seen | {
        "municipality": {"slug": municipality.slug, "name": municipality.name},
        "category": category.slug,
        "category_name": {"it": category.name.it, "en": category.name.en},
        "place": {"lon": row["lon"], "lat": row["lat"]},
    }
