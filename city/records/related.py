"""Reports that hang together with others, as far as whoever reads may know of them.

Of those that an appointment's categories and zones keep from them none is named. Departments do not matter here:
whoever has one part of a trouble may know who has the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

from city.database import ReadSession
from city.registry.municipality import MunicipalityView
from city.registry.staff.rights import Right, Staff

Key = TypeVar("Key", UUID, str)

_POINTERS: Final = ("master_id", "parent_id")
_NAMED: Final = ("child", "duplicate", "master", "parent", "told_by")
"""Where the details of a timeline's entry have the number of another report."""


def within(session: ReadSession, municipality: MunicipalityView, staff: Staff, ids: Iterable[UUID]) -> set[UUID]:
    """Those of these reports that are within the categories and zones of `staff`, whichever department has them."""
    return _within(session, municipality, staff, "id", set(ids))


def pointing(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The same rows of reports, pointing at no master and at no parent that is kept from `staff`."""
    theirs = within(session, municipality, staff, {row[name] for row in rows for name in _POINTERS if row[name]})
    return [row | {name: None for name in _POINTERS if row[name] not in theirs} for row in rows]


def of_these(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, lines: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Those of these lines, each of the report with its `id`, that are not kept from `staff`."""
    theirs = within(session, municipality, staff, [UUID(line["id"]) for line in lines])
    return [line for line in lines if UUID(line["id"]) in theirs]


def naming(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, timeline: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The same entries, without the number of any report that is kept from `staff`."""
    named = {entry["details"][name] for entry in timeline for name in _NAMED if name in entry["details"]}
    hidden = named - _within(session, municipality, staff, "number", named)
    return [
        entry
        | {
            "details": {
                name: value for name, value in entry["details"].items() if name not in _NAMED or value not in hidden
            }
        }
        for entry in timeline
    ]


def _within(
    session: ReadSession,
    municipality: MunicipalityView,
    staff: Staff,
    column: Literal["id", "number"],
    keys: Collection[Key],
) -> set[Key]:
    sight = staff.sight(Right.READ, municipality)
    if not sight.is_narrowed or not keys:
        return set(keys)
    scope, values = sight.of_all_departments().clause()
    found = session.raw.execute(
        f"SELECT {column} FROM report WHERE municipality_id = %(municipality_id)s"  # noqa: S608
        f" AND {column} = ANY(%(keys)s) AND {scope}",
        values | {"municipality_id": municipality.id, "keys": list(keys)},
    )
    return {row[0] for row in found}
