"""A crew's day: its open jobs in the order to visit them, each with all that is needed where there is no network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from city.database import ReadSession
from city.errors import Forbidden, InvalidInput
from city.registry.municipality import CrewView, MunicipalityView
from city.registry.staff.people import Right, Staff
from city.reports.deadlines import LATE
from city.reports.field import form as field_form
from city.reports.imaging import DERIVATIVES
from city.reports.lifecycle import MOVES, Mover, State
from geo.nearby import FLAT_SQL, flat_values
from geo.place import Place
from geo.tour import tour

MOST_JOBS: Final = 100
MOST_ENTRIES: Final = 40
"""Of each job's history, the newest."""
JOBS: Final = (State.ASSIGNED, State.PLANNED, State.IN_PROGRESS, State.WAITING, State.REOPENED)
"""The states in which a report is a crew's work."""

_JOBS_SQL = f"""
SELECT id, number, version, state, category_id, department_id, lon, lat, address, description, language, answers,
       is_emergency, people, created_at, deadline_at, promised_at, paused_at, parent_id,
       {LATE} AS is_late, count(*) OVER () AS all_jobs
FROM report
WHERE municipality_id = %(municipality_id)s AND crew_id = %(crew_id)s AND is_open AND state = ANY(%(states)s)
  AND {{scope}}
ORDER BY is_emergency DESC,
  coalesce({FLAT_SQL.format("report")}, 0),
  deadline_at, id
LIMIT %(most)s
"""  # noqa: S608
_HISTORY_SQL = """
SELECT report_id, at, what, actor, from_state, to_state, note, is_public, person.name
FROM (
  SELECT *, row_number() OVER (PARTITION BY report_id ORDER BY id DESC) AS newness FROM timeline_entry
  WHERE municipality_id = %(municipality_id)s AND report_id = ANY(%(ids)s)
) AS entry
LEFT JOIN person ON person.municipality_id = entry.municipality_id AND person.id = entry.person_id
WHERE newness <= %(most)s ORDER BY entry.id
"""
_PHOTOS_SQL = """
SELECT report_id, id, width, height, taken_at, metres_away FROM photo
WHERE municipality_id = %(municipality_id)s AND report_id = ANY(%(ids)s) AND state = 'ready' ORDER BY position, id
"""


def crew_of(staff: Staff, municipality: MunicipalityView, slug: str | None) -> CrewView:
    """The crew that `staff` works for: the one named, or their only one.

    Raises Forbidden where it is not theirs, InvalidInput (field `crew`) where they must say which, or it is not there.
    """
    staff.needs(Right.FIELD)
    if slug is not None:
        crew = municipality.crew(slug)
        if not _works_for(staff, municipality, crew):
            raise Forbidden("crew.not_yours", field="crew", crew=slug)
        return crew
    own = {post.crew_id for post in staff.posts if post.crew_id is not None}
    crews = [municipality.crew_ids[crew_id] for crew_id in sorted(own & municipality.crew_ids.keys())]
    if len(crews) != 1:
        known = crews or [crew for crew in municipality.crews.values() if _works_for(staff, municipality, crew)]
        names = ", ".join(sorted(crew.slug for crew in known)) or "-"
        raise InvalidInput("crew.which", field="crew", known=names)
    return crews[0]


def _works_for(staff: Staff, municipality: MunicipalityView, crew: CrewView) -> bool:
    return staff.sight(Right.FIELD, municipality).has(crew.department_id, crew.id)


def day(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, crew: CrewView, start: Place | None
) -> dict[str, Any]:
    """The jobs of a crew that `staff` may do, emergencies first and else nearest-first from `start`.

    Without `start`, from the most urgent one. Four statements of any size; at most `MOST_JOBS`, those nearest to
    `start`; `more` says how many are left out.
    """
    scope, values = staff.sight(Right.FIELD, municipality).clause()
    found = session.raw.execute(
        _JOBS_SQL.format(scope=scope),
        values
        | {
            "municipality_id": municipality.id,
            "crew_id": crew.id,
            "states": [state.value for state in JOBS],
            **(flat_values(start) if start else {"lon": None, "lat": None, "shrink": None}),
            "most": MOST_JOBS,
        },
    )
    names = [column.name for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found]
    values = {"municipality_id": municipality.id, "ids": [row["id"] for row in rows], "most": MOST_ENTRIES}
    history = _grouped(session, _HISTORY_SQL, values)
    photos = _grouped(session, _PHOTOS_SQL, values)
    return {
        "crew": {"slug": crew.slug, "name": crew.name},
        "jobs": [_job(row, municipality, history[row["id"]], photos[row["id"]]) for row in _in_order(rows, start)],
        "more": rows[0]["all_jobs"] - len(rows) if rows else 0,
        "form": field_form.form(),
    }


def _in_order(rows: list[dict[str, Any]], start: Place | None) -> list[dict[str, Any]]:
    """Emergencies first; each of the two parts nearest-first, the second from where the first ends."""
    here = start
    ordered: list[dict[str, Any]] = []
    for is_emergency in (True, False):
        part = [row for row in rows if row["is_emergency"] is is_emergency]
        if not part:
            continue
        places = [Place(row["lon"], row["lat"]) for row in part]
        ordered += [part[position] for position in tour(here or places[0], places)]
        here = Place(ordered[-1]["lon"], ordered[-1]["lat"])
    return ordered


def _grouped(session: ReadSession, query: str, values: Mapping[str, Any]) -> dict[UUID, list[dict[str, Any]]]:
    """The rows of each report, by its id, which comes first in a row."""
    found = session.raw.execute(query, values)
    names = [column.name for column in found.description or ()][1:]
    grouped: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for report_id, *row in found:
        grouped[report_id].append(dict(zip(names, row, strict=True)))
    return grouped


def _job(
    row: dict[str, Any],
    municipality: MunicipalityView,
    history: Iterable[dict[str, Any]],
    photos: Iterable[dict[str, Any]],
) -> dict[str, Any]:
    category = municipality.category_ids[row["category_id"]]
    department = municipality.by_id[row["department_id"]]
    return {
        "id": str(row["id"]),
        "number": row["number"],
        "version": row["version"],
        "state": row["state"],
        "is_emergency": row["is_emergency"],
        "is_late": row["is_late"],
        "category": {
            "slug": category.slug,
            "group": category.group.slug,
            "name": {"it": category.name.it, "en": category.name.en},
        },
        "questions": category.questions,
        "answers": row["answers"],
        "department": department.slug,
        "place": {"lon": row["lon"], "lat": row["lat"]},
        "address": row["address"],
        "description": row["description"],
        "language": row["language"],
        "people": row["people"],
        "parent": str(row["parent_id"]) if row["parent_id"] else None,
        "created_at": _iso(row["created_at"]),
        "deadline_at": _iso(row["deadline_at"]),
        "promised_at": _iso(row["promised_at"]),
        "paused_at": _iso(row["paused_at"]),
        "moves": sorted(
            there.value
            for (here, there), move in MOVES.items()
            if here.value == row["state"] and Mover.CREW in move.movers
        ),
        "photos": [_photo(row["id"], photo) for photo in photos],
        "timeline": [_entry(entry) for entry in history],
    }


def _photo(report_id: UUID, photo: dict[str, Any]) -> dict[str, Any]:
    base = f"/api/v1/desk/reports/{report_id}/photos/{photo['id']}"
    return {
        "id": str(photo["id"]),
        "width": photo["width"],
        "height": photo["height"],
        "taken_at": _iso(photo["taken_at"]),
        "metres_away": photo["metres_away"],
        "links": {size: f"{base}/{size}" for size in DERIVATIVES},
    }


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": _iso(entry["at"]),
        "what": entry["what"],
        "actor": entry["actor"],
        "person": entry["name"],
        "from_state": entry["from_state"],
        "to_state": entry["to_state"],
        "note": entry["note"],
        "is_public": entry["is_public"],
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
