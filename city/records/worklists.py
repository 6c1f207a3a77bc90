"""Lists of reports for the desk: each a condition said once, which serves a page, a count and a choice of many.

What a list holds always lies inside of what its reader may read. Lists by state name every department, because the
index of states begins with them; the late ones say the looser bound too, which an index can be asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.errors import QueryCanceled
from pydantic import TypeAdapter, ValidationError

from city import cursors
from city.database import ReadSession
from city.errors import InvalidInput
from city.records import related
from city.records.publication import in_box
from city.records.search import search
from city.records.search.search import Listing, Search
from city.records.worklist import DESK_ROW, listed
from city.registry.municipality import MunicipalityView
from city.registry.staff.people import Right, Staff
from city.reports.deadlines import LATE
from city.reports.lifecycle import State
from geo.cells import Bounds

MOST_COUNTED: Final = 1_000
"""Beyond that a list is said to hold more; the number given is then one more than this."""

LISTS: Final[Mapping[str, str]] = {
    "mine": "report.is_open AND report.person_id = %(me)s",
    "department": (
        "report.is_open AND (report.department_id = ANY(%(my_departments)s) OR report.crew_id = ANY(%(my_crews)s))"
    ),
    "triage": "report.department_id = ANY(%(every_department)s) AND report.state = 'triage'",
    "late": f"report.is_open AND report.deadline_at < now() AND {LATE}",
    "waiting": "report.department_id = ANY(%(every_department)s) AND report.state = 'waiting'",
    "unassigned": (
        "report.is_open AND report.person_id IS NULL AND report.crew_id IS NULL AND report.state <> 'forwarded'"
    ),
    "emergencies": "report.is_open AND report.is_emergency",
    "reopened": "report.department_id = ANY(%(every_department)s) AND report.state = 'reopened'",
    "escalated": "report.is_open AND report.escalation > 0",
    "watched": (
        "EXISTS (SELECT FROM watcher WHERE watcher.municipality_id = report.municipality_id"
        " AND watcher.report_id = report.id AND watcher.person_id = %(me)s)"
    ),
    "mentioned": (
        "EXISTS (SELECT FROM mention WHERE mention.municipality_id = report.municipality_id"
        " AND mention.report_id = report.id AND mention.person_id = %(me)s AND mention.seen_at IS NULL)"
    ),
}
"""The lists that everybody at the desk has, and what they hold."""


class Worklist(StrEnum):
    """A list that everybody at the desk has."""

    MINE = "mine"
    DEPARTMENT = "department"
    TRIAGE = "triage"
    LATE = "late"
    WAITING = "waiting"
    UNASSIGNED = "unassigned"
    EMERGENCIES = "emergencies"
    REOPENED = "reopened"
    ESCALATED = "escalated"
    WATCHED = "watched"
    MENTIONED = "mentioned"


class Order(StrEnum):
    """What stands first; in the last two there are only open reports."""

    NEWEST = "newest"
    DEADLINE = "deadline"
    URGENT = "urgent"


@dataclass(frozen=True, slots=True)
class WorklistFilter:
    """Which reports; None: any."""

    worklist: Worklist | None = None
    states: tuple[State, ...] = ()
    is_open: bool | None = None
    is_late: bool | None = None
    is_emergency: bool | None = None
    category: str | None = None
    group: str | None = None
    department: str | None = None
    crew: str | None = None
    person: int | None = None
    bounds: Bounds | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    q: str | None = None
    """Words that the reports have: see `search`."""

    def clauses(self, municipality: MunicipalityView) -> tuple[list[str], dict[str, Any]]:
        """SQL conditions and their values. Raises InvalidInput for names that are not there."""
        category = municipality.category(self.category) if self.category else None
        department = municipality.department(self.department) if self.department else None
        crew = municipality.crew(self.crew) if self.crew else None
        clauses: list[str] = []
        values: dict[str, Any] = {}
        for clause, name, value in (
            ("report.state = ANY(%(states)s)", "states", [state.value for state in self.states] or None),
            ("report.is_open = %(is_open)s", "is_open", self.is_open),
            (f"{LATE} = %(is_late)s", "is_late", self.is_late),
            ("report.is_emergency = %(is_emergency)s", "is_emergency", self.is_emergency),
            ("report.category_id = %(category_id)s", "category_id", category and category.id),
            ("report.group_slug = %(group)s", "group", self.group),
            ("report.department_id = %(department_id)s", "department_id", department and department.id),
            ("report.crew_id = %(crew_id)s", "crew_id", crew and crew.id),
            ("report.person_id = %(person)s", "person", self.person),
            ("report.created_at >= %(created_from)s", "created_from", self.created_from),
            ("report.created_at < %(created_until)s", "created_until", self.created_until),
        ):
            if value is not None:
                clauses.append(clause)
                values[name] = value
        if self.bounds is not None:
            box, box_values = in_box(self.bounds)
            clauses.append(box)
            values |= box_values
        return clauses, values

    def as_json(self) -> dict[str, Any]:
        """What is not left open, as JSON values."""
        written: dict[str, Any] = _FILTER.dump_python(self, mode="json", exclude_defaults=True)
        return written


_FILTER: Final = TypeAdapter(WorklistFilter)


def filter_from(written: Mapping[str, Any]) -> WorklistFilter:
    """What `as_json` has written. Raises InvalidInput where it names what this version does not know any more."""
    try:
        return _FILTER.validate_python(dict(written))
    except ValidationError as error:
        raise InvalidInput("worklists.outdated", field="filter") from error


class Condition(NamedTuple):
    """A condition on `report`, the values that it names, and words that the reports must have besides."""

    where: str
    values: dict[str, Any]
    words: str | None = None

    def understood(self, session: ReadSession) -> Search | None:
        """What the words look for. Raises InvalidInput where there is no word in them."""
        if self.words is None:
            return None
        return search.understood(session.raw, self.values["municipality_id"], self.words)

    def with_words(self, session: ReadSession) -> Condition:
        """The same as a condition on `report` alone."""
        wanted = self.understood(session)
        if wanted is None:
            return self
        has_words, values = wanted.condition()
        return Condition(f"{self.where} AND {has_words}", self.values | values)


def condition(municipality: MunicipalityView, staff: Staff, *chosen: WorklistFilter) -> Condition:
    """All of `chosen` at once, inside of what `staff` may read. Raises Forbidden, InvalidInput."""
    staff.needs(Right.READ)
    scope, values = staff.sight(Right.READ, municipality).clause()
    clauses = ["report.municipality_id = %(municipality_id)s", scope]
    for number, one in enumerate(chosen):
        own, own_values = one.clauses(municipality)
        clauses += [clause.replace("%(", f"%(f{number}_") for clause in own]
        values |= {f"f{number}_{name}": value for name, value in own_values.items()}
        if one.worklist is not None:
            clauses.append(LISTS[one.worklist.value])
    values |= _posts(municipality, staff) | {"municipality_id": municipality.id, "me": staff.person_id}
    words = " ".join(one.q for one in chosen if one.q) or None
    return Condition(" AND ".join(clauses), values, words)


def _posts(municipality: MunicipalityView, staff: Staff) -> dict[str, Any]:
    return {
        "my_departments": own_departments(municipality, staff),
        "my_crews": [post.crew_id for post in staff.posts if post.crew_id],
        "every_department": sorted(municipality.by_id),
    }


def own_departments(municipality: MunicipalityView, staff: Staff) -> list[int]:
    """The departments that they work in; a post for the whole municipality means all of them."""
    offices = [post.department_id for post in staff.posts_with(Right.READ) if not post.is_of_crew]
    return sorted(municipality.by_id) if None in offices else [office for office in offices if office is not None]


def page(
    session: ReadSession,
    municipality: MunicipalityView,
    staff: Staff,
    of: Condition,
    *,
    order: Order = Order.NEWEST,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """Reports in their order: `reports` and the `next` cursor (None on the last page); with words also `searched`.

    A page begins after the last row of the one before, so that what comes in meanwhile neither repeats nor hides any.
    Raises InvalidInput for a cursor that is not of this order, and for words that are none.
    """
    start = _read_cursor(cursor, order) if cursor else None
    listings = _listings(of, order, start, DESK_ROW)
    wanted = of.understood(session)
    found = (wanted.found if wanted else search.first_of)(session.raw, listings, limit)
    searched = {"searched": wanted.as_json(found)} if wanted else {}
    rows = related.pointing(session, municipality, staff, found.rows)
    return searched | {
        "reports": [listed(row, municipality) for row in rows],
        "next": _make_cursor(found.last, order) if found.last else None,
    }


def count(session: ReadSession, of: Condition) -> int:
    """How many there are; MOST_COUNTED + 1 where there are more."""
    of = of.with_words(session)
    row = session.raw.execute(
        f"SELECT count(*) FROM (SELECT FROM report WHERE {of.where} LIMIT {MOST_COUNTED + 1}) AS found",  # noqa: S608
        of.values,
    ).fetchone()
    assert row is not None
    return int(row[0])


def count_within(session: ReadSession, of: Condition, milliseconds: int) -> int | None:
    """The same; None where that would take longer. The transaction goes on in either case."""
    try:
        with session.trial(kept=False):
            session.raw.execute(f"SET LOCAL statement_timeout = {int(milliseconds)}")
            return count(session, of)
    except QueryCanceled:
        return None


def chosen_for(session: ReadSession, of: Condition, order: Order, limit: int) -> list[tuple[UUID, int]]:
    """The ids and versions of the first `limit` of them."""
    of = of.with_words(session)
    found = search.first_of(session.raw, _listings(of, order, None, "report.id, report.version"), limit)
    return [(row["id"], row["version"]) for row in found.rows]


# --- pages ------------------------------------------------------------------------------------------------------------


class _Start(NamedTuple):
    at: datetime
    id: UUID
    is_emergency: bool


class _Part(NamedTuple):
    """A stretch of an order that one index goes along."""

    clauses: tuple[str, ...]
    sorting: str
    values: dict[str, Any]


_BY_DEADLINE: Final = "report.deadline_at, report.id"
_AFTER_DEADLINE: Final = "(report.deadline_at, report.id) > (%(after_at)s, %(after_id)s)"


def _parts(order: Order, start: _Start | None) -> Iterator[_Part]:
    values = {"after_at": start.at, "after_id": start.id} if start else {}
    if order is Order.NEWEST:
        after = ("(report.created_at, report.id) < (%(after_at)s, %(after_id)s)",) if start else ()
        yield _Part(after, "report.created_at DESC, report.id DESC", values)
        return
    after = (_AFTER_DEADLINE,) if start else ()
    if order is Order.DEADLINE:
        yield _Part(("report.is_open", *after), _BY_DEADLINE, values)
        return
    if start is None or start.is_emergency:
        yield _Part(("report.is_open", "report.is_emergency", *after), _BY_DEADLINE, values)
        after, values = (), {}
    yield _Part(("report.is_open", "NOT report.is_emergency", *after), _BY_DEADLINE, values)


def _listings(of: Condition, order: Order, start: _Start | None, columns: str) -> list[Listing]:
    return [
        Listing(
            columns,
            "report",
            " AND ".join([of.where, *part.clauses]),
            of.values | part.values,
            order=part.sorting,
            before=start.at if start and order is Order.NEWEST else None,
            is_newest_first=order is Order.NEWEST,
            is_first_page=start is None,
        )
        for part in _parts(order, start)
    ]


def _make_cursor(row: dict[str, Any], order: Order) -> str:
    at = row["created_at"] if order is Order.NEWEST else row["deadline_at"]
    return cursors.made(order.value, at, row["id"], row["is_emergency"])


def _read_cursor(cursor: str, order: Order) -> _Start:
    of, *start = cursors.read(cursor, str, cursors.moment, UUID, bool)
    if of != order.value:
        raise InvalidInput("reports.bad_cursor", field="cursor")
    return _Start(*start)
