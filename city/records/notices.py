"""Notices as anybody sees them: read as `lampione_reader`, whom the database shows none that is not published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from shapely.geometry.base import BaseGeometry

from city import cursors
from city.database import ReadSession
from city.errors import NotFound
from city.registry.municipality import MunicipalityView, Registry
from city.registry.notice_view import both
from city.texts import LANGUAGES, text
from geo.cells import Bounds
from geo.meeting import AS_GEOJSON_SQL, MEETS_AREA_SQL, MEETS_BOX_SQL, MIDDLE_SQL
from geo.nearby import extended_wkb

LARGEST_PAGE: Final = 200

_COLUMNS: Final = f"""
  municipality_id, id, number, state, version, kind, title_it, title_en, text_it, text_en, where_it, where_en,
  is_everywhere,
  {MIDDLE_SQL.format("shape")}, groups, starts_at, ends_at, expected_on, link, department_id, is_urgent, reason,
  published_at, updated_at
"""


class Order(StrEnum):
    """In which order notices are told."""

    LIST = "starts_at, id"
    PAST = "starts_at DESC, id DESC"
    """The last one first."""
    NEWS = "updated_at DESC, id DESC"
    """What has changed last comes first, so that a reader misses nothing of a long list."""
    CALENDAR = "state <> 'published', starts_at DESC, id DESC"
    """What is over, or begins first, gives way."""


@dataclass(frozen=True, slots=True)
class NoticeFilter:
    """Which notices: current and coming ones, or (`past`) those that are over; None: any."""

    past: bool = False
    municipality: MunicipalityView | None = None
    bounds: Bounds | None = None
    area: BaseGeometry | None = None
    """Of this area they share more than the border."""
    kind: str | None = None
    group: str | None = None
    """About this group of categories, or everybody's concern."""
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
        if self.group is not None:
            clauses.append("(groups IS NULL OR %(group)s = ANY (groups))")
            values["group"] = self.group
        if self.bounds is not None:
            clauses.append(MEETS_BOX_SQL.format("shape"))
            values |= self.bounds._asdict()
        if self.area is not None:
            clauses.append(MEETS_AREA_SQL.format("shape"))
            values["area"] = extended_wkb(self.area)
        return clauses, values


def page(
    session: ReadSession, registry: Registry, chosen: NoticeFilter, *, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Notices: the current ones in the order they begin, past ones the last first; and the `next` cursor.

    Raises InvalidInput for a cursor that is not ours.
    """
    clauses, values = chosen.clauses()
    if cursor is not None:
        values["after_at"], values["after_id"] = cursors.read(cursor, cursors.moment, UUID)
        clauses.append(f"(starts_at, id) {'<' if chosen.past else '>'} (%(after_at)s, %(after_id)s)")
    found = _found(session, clauses, values, Order.PAST if chosen.past else Order.LIST, limit + 1)
    shown = found[:limit]
    return {
        "notices": _shown(shown, registry),
        "next": cursors.made(shown[-1]["starts_at"], shown[-1]["id"]) if len(found) > limit else None,
    }


def lately(
    session: ReadSession, registry: Registry, chosen: NoticeFilter, order: Order, *, limit: int
) -> dict[str, Any]:
    """Notices for whoever looks again and again and at no more than this: the most important of them."""
    clauses, values = chosen.clauses()
    return {"notices": _shown(_found(session, clauses, values, order, limit), registry)}


def _shown(rows: Sequence[dict[str, Any]], registry: Registry) -> list[dict[str, Any]]:
    return [_as_json(row, registry) for row in rows if row["municipality_id"] in registry.municipalities]


def _found(
    session: ReadSession, clauses: Sequence[str], values: dict[str, Any], order: Order, most: int
) -> list[dict[str, Any]]:
    query = f"SELECT {_COLUMNS} FROM notice WHERE {' AND '.join(clauses)} ORDER BY {order.value} LIMIT {most}"  # noqa: S608
    return _rows(session, query, values)


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
        "title": both(row["title_it"], row["title_en"]),
        "text": both(row["text_it"], row["text_en"]),
        "where": both(row["where_it"], row["where_en"]),
        "everywhere": row["is_everywhere"],
        "middle": {"lon": round(row["lon"], 6), "lat": round(row["lat"], 6)},
        "department": home.by_id[row["department_id"]].slug,
        **{
            name: home.local(row[name]) if row[name] else None
            for name in ("starts_at", "ends_at", "published_at", "updated_at")
        },
    }
