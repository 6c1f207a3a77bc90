"""Notices as anybody sees them: read as `lampione_reader`, whom the database shows none that is not published."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from city.database import ReadSession
from city.errors import InvalidInput, NotFound
from city.registry.view import MunicipalityView, Registry
from city.texts import LANGUAGES, text
from geo.cells import Bounds
from geo.meeting import AS_GEOJSON_SQL, MEETS_BOX_SQL, MIDDLE_SQL

LARGEST_PAGE: Final = 200

_COLUMNS: Final = f"""
  municipality_id, id, number, state, version, kind, title_it, title_en, text_it, text_en, is_everywhere,
  {MIDDLE_SQL.format("shape")}, groups, starts_at, ends_at, expected_on, link, department_id, is_urgent, reason,
  published_at, updated_at
"""


@dataclass(frozen=True, slots=True)
class NoticeFilter:
    """Which notices: current and coming ones, or (`past`) those that are over; None: any."""

    past: bool = False
    municipality: MunicipalityView | None = None
    bounds: Bounds | None = None
    kind: str | None = None
    lately_over_too: bool = False
    """Also those taken back or ended lately: who keeps a calendar is to be told."""

    def clauses(self) -> tuple[list[str], dict[str, Any]]:
        """SQL conditions and their values."""
        current = "state = 'published'"
        if self.lately_over_too:
            current = f"({current} OR over_at > now() - interval '30 days')"
        clauses, values = ["state <> 'published'" if self.past else current], dict[str, Any]()
        if self.municipality is not None:
            clauses.append("municipality_id = %(municipality_id)s")
            values["municipality_id"] = self.municipality.id
        if self.kind is not None:
            clauses.append("kind = %(kind)s")
            values["kind"] = self.kind
        if self.bounds is not None:
            clauses.append(MEETS_BOX_SQL.format("shape"))
            values |= self.bounds._asdict()
        return clauses, values


def page(
    session: ReadSession, registry: Registry, chosen: NoticeFilter, *, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Notices: the current ones in the order they begin, past ones the last first; and the `next` cursor.

    Raises InvalidInput for a cursor that is not ours.
    """
    clauses, values = chosen.clauses()
    compare, order = ("<", "DESC") if chosen.past else (">", "ASC")
    if cursor is not None:
        values["after_at"], values["after_id"] = _read_cursor(cursor)
        clauses.append(f"(starts_at, id) {compare} (%(after_at)s, %(after_id)s)")
    found = _rows(
        session,
        f"SELECT {_COLUMNS} FROM notice WHERE {' AND '.join(clauses)}"  # noqa: S608
        f" ORDER BY starts_at {order}, id {order} LIMIT {limit + 1}",
        values,
    )
    shown = found[:limit]
    return {
        "notices": [_as_json(row, registry) for row in shown if row["municipality_id"] in registry.municipalities],
        "next": _cursor(shown[-1]) if len(found) > limit else None,
    }


def one(session: ReadSession, registry: Registry, number: str) -> dict[str, Any]:
    """One notice with its area. Raises NotFound, also for those that are not published."""
    query = f"SELECT {_COLUMNS}, {AS_GEOJSON_SQL.format('shape')} AS area FROM notice WHERE number = %(number)s"  # noqa: S608
    found = _rows(session, query, {"number": number.strip().upper()})
    if not found or found[0]["municipality_id"] not in registry.municipalities:
        raise NotFound("notices.not_found", value=number)
    return _as_json(found[0], registry) | {"area": found[0]["area"]}


def _rows(session: ReadSession, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    found = session.raw.execute(query, values)
    names = [column.name for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found]


def _as_json(row: dict[str, Any], registry: Registry) -> dict[str, Any]:
    home = registry.municipalities[row["municipality_id"]]
    now = datetime.now(UTC)
    is_begun = row["starts_at"] <= now and (row["ends_at"] is None or now < row["ends_at"])
    plain = ("number", "state", "kind", "groups", "expected_on", "link", "is_urgent", "reason", "version")
    return {
        **{name: row[name] for name in plain},
        "municipality": home.slug,
        "is_running": row["state"] == "published" and is_begun,
        "kind_name": {language: text(f"notices.kind.{row['kind']}", language=language) for language in LANGUAGES},
        "title": _both(row, "title"),
        "text": _both(row, "text"),
        "everywhere": row["is_everywhere"],
        "middle": {"lon": row["lon"], "lat": row["lat"]},
        "department": home.by_id[row["department_id"]].slug,
        **{
            name: home.local(row[name]) if row[name] else None
            for name in ("starts_at", "ends_at", "published_at", "updated_at")
        },
    }


def _both(row: dict[str, Any], name: str) -> dict[str, str]:
    """The words in both languages: where one is missing, the other."""
    it, en = row[f"{name}_it"], row[f"{name}_en"]
    return {"it": it or en, "en": en or it}


def _cursor(row: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([row["starts_at"], row["id"]])).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return datetime.fromisoformat(at).astimezone(UTC), UUID(key)
    except (ValueError, TypeError, OverflowError, binascii.Error, AttributeError) as error:
        raise InvalidInput("reports.bad_cursor", field="cursor") from error
