"""A report as staff see it: a row of a list, and everything about one of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from city.database import ReadSession, WriteSession
from city.errors import NotFound
from city.records import contact, deliveries, handed, parts, related
from city.records.contact import Why
from city.records.field import work as field_work
from city.registry.municipality import MunicipalityView
from city.registry.staff.rights import STANDING, Right, Staff, Standing
from city.reports import duplicates, groups
from city.reports.deadlines import LATE
from city.reports.lifecycle import MOVES
from city.reports.timeline import history
from geo.place import Place

DESK_ROW: Final = f"""
  report.id, number, report.state, is_open, category_id, department_id, crew_id, decided_by, confidence, triage_reason,
  lon, lat, address, address_source, left(description, 300) AS description, language, source, is_public, is_emergency,
  master_id,
  created_at, updated_at, deadline_at, promised_at, slipped_at, paused_at, person_id, people, parent_id,
  escalation, rating, version,
  (SELECT name FROM person WHERE person.municipality_id = report.municipality_id
   AND person.id = report.person_id) AS person,
  {LATE} AS is_late,
  (SELECT count(*) FROM report AS duplicate WHERE duplicate.municipality_id = report.municipality_id
   AND duplicate.master_id = report.id) AS duplicates,
  (SELECT count(*) FROM photo WHERE photo.municipality_id = report.municipality_id
   AND photo.report_id = report.id) AS photos
"""  # noqa: S608


def one(
    session: WriteSession,
    municipality: MunicipalityView,
    staff: Staff,
    report_id: UUID,
    *,
    just_changed: bool = False,
) -> dict[str, Any]:
    """Everything that `staff` may read about one report; a fixed number of statements. Raises NotFound.

    It is written down that they have seen who reported, where they may. Whoever has `just_changed` it sees what came
    of that, also where it is another department's from now on.
    """
    staff.needs(Right.READ)
    scope, values = ("true", {}) if just_changed else staff.sight(Right.READ, municipality).clause()
    found = session.raw.execute(
        f"SELECT {DESK_ROW}, description AS full_description, public_description, answers, suggestions, routing,"  # noqa: S608
        " group_slug, zone_ids, occurred_at, resolves_with_children FROM report"
        f" WHERE report.municipality_id = %(municipality_id)s AND report.id = %(id)s AND {scope}",
        values | {"municipality_id": municipality.id, "id": report_id},
    )
    names = [column.name for column in found.description or ()]
    row = found.fetchone()
    if row is None:
        raise NotFound("reports.not_found", value=str(report_id))
    [report] = related.pointing(session, municipality, staff, [dict(zip(names, row, strict=True))])
    group = groups.seen(session, municipality.id, report_id, report["master_id"])
    timeline = history(session, municipality.id, report_id, internal=True)
    place = Place(report["lon"], report["lat"])
    zones = (municipality.zones[zone_id] for zone_id in report["zone_ids"] if zone_id in municipality.zones)
    seen = listed(report, municipality) | {
        "description": report["full_description"],
        "public_description": report["public_description"],
        "answers": report["answers"],
        "suggestions": report["suggestions"],
        "routing": report["routing"],
        "zones": [{"layer": zone.layer, "code": zone.code, "name": zone.name} for zone in zones],
        "occurred_at": _iso(report["occurred_at"]),
        **_watched(session, municipality, staff, report_id),
        "timeline": related.naming(session, municipality, staff, timeline),
        "photos": _photos(session, municipality, report_id),
        "deliveries": deliveries.of_report(session, municipality, report_id, staff.language),
        "unreachable": deliveries.unreachable(session, municipality, report_id),
        "near_duplicates": _near(session, municipality, staff, report, place),
        "together": group | {"duplicates": related.of_these(session, municipality, staff, group["duplicates"])},
        "handovers": handed.of_report(session, municipality.id, report_id, staff.language),
        "children": related.of_these(session, municipality, staff, parts.of_report(session, municipality, report_id)),
        "resolves_with_children": report["resolves_with_children"],
        "moves": sorted({there.value for (here, there) in MOVES if here.value == report["state"]}),
        "field_work": field_work.spent(session, municipality.id, report_id),
    }
    standing = Standing(*(report[name] for name in STANDING))
    if staff.may(Right.CONTACT, standing, municipality):
        why = Why.CHANGED if just_changed else Why.OPENED
        seen["reporter"] = contact.shown(session, municipality, staff, [report_id], why).get(report_id)
    return seen


def listed(row: dict[str, Any], municipality: MunicipalityView) -> dict[str, Any]:
    """A row of DESK_ROW as JSON values."""
    category = municipality.category_ids[row["category_id"]]
    department = municipality.by_id[row["department_id"]]
    crew = municipality.crew_ids.get(row["crew_id"])
    return {
        "id": str(row["id"]),
        "number": row["number"],
        "version": row["version"],
        "state": row["state"],
        "is_open": row["is_open"],
        "is_late": row["is_late"],
        "is_emergency": row["is_emergency"],
        "is_public": row["is_public"],
        "category": category.slug,
        "group": category.group.slug,
        "decided_by": row["decided_by"],
        "confidence": row["confidence"],
        "triage_reason": row["triage_reason"],
        "department": department.slug,
        "crew": crew.slug if crew else None,
        "place": {"lon": row["lon"], "lat": row["lat"]},
        "address": row["address"],
        "address_source": row["address_source"],
        "description": row["description"],
        "language": row["language"],
        "source": row["source"],
        "master": str(row["master_id"]) if row["master_id"] else None,
        "duplicates": row["duplicates"],
        "photo_count": row["photos"],
        "created_at": _iso(row["created_at"]),
        "updated_at": _iso(row["updated_at"]),
        "deadline_at": _iso(row["deadline_at"]),
        "promised_at": _iso(row["promised_at"]),
        "slipped_at": _iso(row["slipped_at"]),
        "paused_at": _iso(row["paused_at"]),
        "person_id": row["person_id"],
        "person": row["person"],
        "people": row["people"],
        "parent": str(row["parent_id"]) if row["parent_id"] else None,
        "escalation": row["escalation"],
        "rating": row["rating"],
    }


def _watched(session: ReadSession, municipality: MunicipalityView, staff: Staff, report_id: UUID) -> dict[str, Any]:
    rows = session.raw.execute(
        "SELECT person.id, person.name FROM watcher"
        " JOIN person ON person.municipality_id = watcher.municipality_id AND person.id = watcher.person_id"
        " WHERE watcher.municipality_id = %s AND watcher.report_id = %s ORDER BY watcher.since_at, person.id",
        (municipality.id, report_id),
    )
    watchers = [{"id": key, "name": name} for key, name in rows]
    return {"watching": any(one["id"] == staff.person_id for one in watchers), "watchers": watchers}


def _photos(session: ReadSession, municipality: MunicipalityView, report_id: UUID) -> list[dict[str, Any]]:
    rows = session.raw.execute(
        "SELECT id, state, width, height, taken_at, metres_away, is_far, is_public FROM photo"
        " WHERE municipality_id = %s AND report_id = %s ORDER BY position",
        (municipality.id, report_id),
    )
    names = ("id", "state", "width", "height", "taken_at", "metres_away", "is_far", "is_public")
    return [dict(zip(names, row, strict=True)) | {"id": str(row[0]), "taken_at": _iso(row[4])} for row in rows]


def _near(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, report: dict[str, Any], place: Place
) -> list[dict[str, Any]]:
    """All that might be the same trouble, hidden ones and other departments' too, most likely first; a person decides.

    None that an appointment's categories and zones keep from `staff`.
    """
    sought = duplicates.Sought.of(
        municipality,
        place,
        category=municipality.category_ids[report["category_id"]].slug,
        suggestions=report["suggestions"],
        description=report["full_description"],
        at=report["created_at"],
    )
    found = session.raw.execute(
        duplicates.NEARBY_SQL,
        {"municipality_id": municipality.id, **duplicates.search_values(sought, hidden_too=True)},
    )
    names = [column.name for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found]
    theirs = related.within(session, municipality, staff, (row["id"] for row in rows))
    near = duplicates.likely(sought, (row for row in rows if row["id"] in theirs - {report["id"]}), coarsely=False)
    return [
        {
            "id": str(other.id),
            "number": other.number,
            "state": other.state,
            "category": other.category.slug,
            "metres": round(other.metres, 1),
            "created_at": other.created_at.isoformat(),
            "solved_at": _iso(other.solved_at),
            "days": round(other.days, 1),
            "likeness": round(other.likeness, 3),
            "score": round(other.score, 3),
            "why": other.why(),
        }
        for other in near
    ]


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def holds(session: ReadSession, municipality: MunicipalityView, staff: Staff, report_id: UUID) -> None:
    """Raises NotFound where `staff` may not read that report."""
    staff.needs(Right.READ)
    scope, values = staff.sight(Right.READ, municipality).clause()
    found = session.raw.execute(
        "SELECT 1 FROM report WHERE report.municipality_id = %(municipality_id)s AND report.id = %(report_id)s"  # noqa: S608
        f" AND {scope}",
        values | {"municipality_id": municipality.id, "report_id": report_id},
    ).fetchone()
    if found is None:
        raise NotFound("reports.not_found", value=str(report_id))


def holds_photo(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, report_id: UUID, photo_id: UUID
) -> None:
    """Raises NotFound where `staff` may not read that photo of that report."""
    staff.needs(Right.READ)
    scope, values = staff.sight(Right.READ, municipality).clause()
    found = session.raw.execute(
        "SELECT 1 FROM photo JOIN report ON report.municipality_id = photo.municipality_id"  # noqa: S608
        f" AND report.id = photo.report_id WHERE photo.id = %(photo_id)s AND report.id = %(report_id)s AND {scope}",
        values | {"photo_id": photo_id, "report_id": report_id},
    ).fetchone()
    if found is None:
        raise NotFound("reports.photo_not_found", value=str(photo_id))
