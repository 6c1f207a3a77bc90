"""The privacy gate: what anyone may see of reports, in one place.

Everything here reads as `lampione_reader`, whom the database shows public reports only, without the reporter's own
words and with no right to reporters at all. A place, a category, a state, a department, dates, and what the office
has released: no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from shapely.geometry.base import BaseGeometry

from city import cursors
from city.database import ReadSession
from city.errors import InvalidInput, NotFound
from city.records.search import search
from city.registry.municipality import MunicipalityView
from city.reports.identity import public_number
from city.reports.lifecycle import State
from geo.cells import Bounds, covering
from geo.covers import in_area

LARGEST_PAGE: Final = 500

_COLUMNS: Final = """
  report.id, report.number, report.state, report.is_open, report.lon, report.lat,
  municipality.slug AS municipality, category.slug AS category, report.group_slug AS "group",
  department.slug AS department, report.public_description AS description,
  report.people, report.created_at, report.updated_at, report.deadline_at, report.promised_at,
  (SELECT json_build_object('it', name_it, 'en', name_en) FROM handover
   WHERE report.state = 'forwarded' AND handover.municipality_id = report.municipality_id
   AND handover.report_id = report.id AND handover.state IN ('queued', 'sent', 'accepted')) AS handed_to,
  (SELECT coalesce(json_agg(photo.id ORDER BY photo.position), '[]') FROM photo
   WHERE photo.municipality_id = report.municipality_id AND photo.report_id = report.id) AS photos
"""
_SOURCE: Final = """
  report
  JOIN municipality ON municipality.id = report.municipality_id
  JOIN category ON category.id = report.category_id
  JOIN department ON department.municipality_id = report.municipality_id AND department.id = report.department_id
"""


@dataclass(frozen=True, slots=True)
class PublicFilter:
    """Which public reports; None: any."""

    bounds: Bounds | None = None
    area: BaseGeometry | None = None
    municipality: MunicipalityView | None = None
    category: str | None = None
    group: str | None = None
    state: State | None = None
    is_open: bool | None = None
    is_promised: bool = False
    """Only those for which a day was promised."""
    created_from: datetime | None = None
    created_until: datetime | None = None
    words: str | None = None

    def clauses(self) -> tuple[list[str], dict[str, Any]]:
        """SQL conditions and their values."""
        clauses: list[str] = []
        values: dict[str, Any] = {}
        for clause, name, value in (
            (
                "report.municipality_id = %(municipality_id)s",
                "municipality_id",
                self.municipality and self.municipality.id,
            ),
            ("category.slug = %(category)s", "category", self.category),
            ("report.group_slug = %(group)s", "group", self.group),
            ("report.state = %(state)s", "state", self.state and self.state.value),
            ("report.is_open = %(is_open)s", "is_open", self.is_open),
            ("report.created_at >= %(created_from)s", "created_from", self.created_from),
            ("report.created_at < %(created_until)s", "created_until", self.created_until),
        ):
            if value is not None:
                clauses.append(clause)
                values[name] = value
        if self.is_promised:
            clauses.append("report.promised_at IS NOT NULL")
        for clause, its_values in (
            in_box(self.bounds) if self.bounds else ("", {}),
            in_area(self.area, "report") if self.area else ("", {}),
        ):
            if clause:
                clauses.append(clause)
                values |= its_values
        return clauses, values


def in_box(bounds: Bounds) -> tuple[str, dict[str, Any]]:
    """A condition on `report` that it lies in the box: ranges of cells for the index, then the box itself."""
    ranges = covering(bounds)
    spans = " OR ".join(f"report.cell BETWEEN {cells.first} AND {cells.last}" for cells in ranges)
    box = "report.lon BETWEEN %(west)s AND %(east)s AND report.lat BETWEEN %(south)s AND %(north)s"
    return f"({spans}) AND {box}", bounds._asdict()


def page(session: ReadSession, chosen: PublicFilter, *, limit: int, cursor: str | None) -> dict[str, Any]:
    """Public reports, newest first: `reports` and the `next` cursor (None on the last page); `searched` with words.

    Raises InvalidInput for a cursor that is not ours, and for words without a municipality.
    """
    clauses, values = chosen.clauses()
    before = None
    if cursor is not None:
        before, values["after_id"] = read_cursor(cursor)
        values["after_at"] = before
        clauses.append("(report.created_at, report.id) < (%(after_at)s, %(after_id)s)")
    listing = search.Listing(
        _COLUMNS,
        _SOURCE,
        " AND ".join(["report.is_public", *clauses]),
        values,
        before=before,
        is_first_page=cursor is None,
    )
    if chosen.words is None:
        found = search.first_of(session.raw, [listing], limit)
        return {
            "reports": [_as_json(row) for row in found.rows],
            "next": make_cursor(found.last) if found.last else None,
        }
    if chosen.municipality is None:
        raise InvalidInput("search.municipality_needed", field="municipality")
    wanted = search.understood(session.raw, chosen.municipality.id, chosen.words, public=True)
    found = wanted.found(session.raw, [listing], limit)
    return {
        "reports": [_as_json(row) for row in found.rows],
        "next": make_cursor(found.last) if found.last else None,
        "searched": wanted.as_json(found),
    }


def geojson(answer: dict[str, Any]) -> dict[str, Any]:
    """A page as a GeoJSON FeatureCollection (RFC 7946)."""
    searched = {"searched": answer["searched"]} if "searched" in answer else {}
    return searched | {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": report["number"],
                "geometry": {"type": "Point", "coordinates": [report["place"]["lon"], report["place"]["lat"]]},
                "properties": {key: value for key, value in report.items() if key != "place"},
            }
            for report in answer["reports"]
        ],
        "next": answer["next"],
    }


def one(session: ReadSession, number: str) -> dict[str, Any]:
    """One public report with its public timeline. Raises NotFound, also for those that are not public."""
    found = session.raw.execute(
        f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE report.number = %(number)s",  # noqa: S608
        {"number": public_number(number)},
    )
    names = [column.name for column in found.description or ()]
    row = found.fetchone()
    if row is None:
        raise NotFound("reports.not_found", value=number)
    report = dict(zip(names, row, strict=True))
    entries = session.raw.execute(
        "SELECT at, what, actor, from_state, to_state, note FROM timeline_entry WHERE report_id = %s"
        " AND is_public ORDER BY id",
        (report["id"],),
    )
    timeline = [
        # What the citizen wrote when withdrawing or reopening is the citizen's own word, not the office's; and what the
        # office wrote on a report that this one is joined to is read there, if that one is public.
        {
            "at": at.isoformat(),
            "what": what,
            "actor": actor,
            "from_state": here,
            "to_state": there,
            "note": note if actor == "staff" and not what.startswith("master_") else None,
        }
        for at, what, actor, here, there, note in entries
    ]
    return _as_json(report) | {"timeline": timeline}


def photo_is_public(session: ReadSession, photo_id: UUID) -> int:
    """The municipality of a released photo of a public report. Raises NotFound."""
    row = session.raw.execute("SELECT municipality_id FROM photo WHERE id = %s", (photo_id,)).fetchone()
    if row is None:
        raise NotFound("reports.photo_not_found", value=str(photo_id))
    return int(row[0])


def make_cursor(row: dict[str, Any]) -> str:
    """Where the next page begins, for `created_at` and `id` of the last row shown."""
    return cursors.made(row["created_at"], row["id"])


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """The moment and id a cursor stands for. Raises InvalidInput."""
    at, key = cursors.read(cursor, cursors.moment, UUID)
    return at, key


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    seen = {key: value for key, value in row.items() if key not in {"id", "lon", "lat"}}
    seen["place"] = {"lon": row["lon"], "lat": row["lat"]}
    seen["photos"] = [str(photo) for photo in row["photos"]]
    for key in ("created_at", "updated_at", "deadline_at"):
        seen[key] = row[key].isoformat()
    seen["promised_at"] = row["promised_at"].isoformat() if row["promised_at"] else None
    return seen
