"""Child jobs: parts of a report's work that other departments or crews do.

A child is a report of its own in every list and right of the staff, and nothing of it is public: no reporter, no tile,
no figure. When the last one is over, whoever has the parent is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select

from city.database import ReadSession, WriteSession
from city.errors import Conflict, InvalidInput
from city.registry.municipality import MunicipalityView
from city.registry.staff.people import Right
from city.reports import journey
from city.reports.changing import Desk, check_open, enter, locked, tell, touch
from city.reports.checks import cleaned
from city.reports.clock import wind
from city.reports.identity import new_id
from city.reports.lifecycle import MOVES, Mover, State, check_move
from city.reports.routing import Routing, route
from city.reports.tables import Report, TimelineEntry
from city.reports.timeline import note_down
from city.texts import text
from geo.place import Place, morton

MOST_CHILDREN: Final = 50
ENDED: Final = tuple(state.value for state in State if not state.is_open)


@dataclass(frozen=True, slots=True)
class ChildJob:
    """What has to be done; department, crew and category are the parent's where nothing else is said."""

    words: str
    category: str | None = None
    department: str | None = None
    crew: str | None = None
    deadline_at: datetime | None = None
    resolve_when_done: bool | None = None
    """Whether the parent shall be solved with its last child; None leaves that as it is."""


def add_child(desk: Desk, report_id: UUID, version: int | None, job: ChildJob) -> Report:
    """Make a child of the report. Raises Conflict where that is a child itself or over, InvalidInput."""
    parent = desk.open(report_id, version, Right.DESK)
    check_open(parent)
    if parent.parent_id is not None:
        raise Conflict("children.too_deep", number=parent.number)
    if len(children_of(desk.session, parent)) >= MOST_CHILDREN:
        raise Conflict("children.too_many", number=parent.number, most=MOST_CHILDREN)
    now = datetime.now(UTC)
    words = cleaned(job.words, field="text")
    if words is None:
        raise InvalidInput("children.no_text", field="text")
    if job.deadline_at is not None and job.deadline_at <= now:
        raise InvalidInput("children.in_the_past", field="deadline_at", value=job.deadline_at.isoformat())
    child = _made(desk, parent, job, words, now)
    desk.session.add(child)
    desk.session.flush()
    wind(desk.municipality, child, now)
    if job.resolve_when_done is not None:
        parent.resolves_with_children = job.resolve_when_done
    touch(parent)
    details = {"child": child.number, "department": desk.municipality.by_id[child.department_id].slug}
    note_down(desk.session, parent, "child", staff=desk.staff, is_public=False, details=details)
    note_down(
        desk.session,
        child,
        "child_made",
        staff=desk.staff,
        is_public=False,
        to_state=child.state,
        details={"parent": parent.number},
    )
    return child


def _made(desk: Desk, parent: Report, job: ChildJob, words: str, now: datetime) -> Report:
    here = desk.municipality
    category = here.category(job.category) if job.category else here.category_ids[parent.category_id]
    routing = _routed(desk, parent, job, now)
    drawn = desk.session.raw.execute("SELECT nextval('report_number')").fetchone()
    assert drawn is not None
    place = Place(parent.lon, parent.lat)
    cell_x, cell_y = place.cell()
    return Report(
        municipality_id=here.id,
        id=new_id(),
        number=f"{here.prefix}-{here.local(now).year}-{drawn[0]}",
        state=(State.TRIAGE if routing.problem else State.ASSIGNED).value,
        category_id=category.id,
        group_slug=category.group.slug,
        decided_by="staff",
        department_id=routing.department.id,
        crew_id=routing.crew.id if routing.crew else None,
        routing=routing.as_json() | {"corrected_by": desk.staff.person_id},
        triage_reason=routing.problem,
        lon=parent.lon,
        lat=parent.lat,
        cell=morton(cell_x, cell_y),
        cell_x=cell_x,
        cell_y=cell_y,
        zone_ids=list(parent.zone_ids),
        address=parent.address,
        address_source=parent.address_source,
        description=words,
        language=parent.language,
        source="child",
        is_public=False,
        is_coarse=False,
        is_emergency=parent.is_emergency,
        is_open=True,
        created_at=now,
        month=here.month(now),
        updated_at=now,
        deadline_at=job.deadline_at or max(parent.deadline_at, now),
        parent_id=parent.id,
    )


def _routed(desk: Desk, parent: Report, job: ChildJob, now: datetime) -> Routing:
    """Who does it: as the desk says; else by the rules for another category; else the parent's department."""
    here = desk.municipality
    crew = here.crew(job.crew) if job.crew else None
    if job.department or crew:
        department = (
            here.department(job.department) if job.department else here.by_id[crew.department_id if crew else 0]
        )
        if crew is not None and crew.department_id != department.id:
            raise Conflict("reports.crew_of_other_department", field="crew", crew=crew.slug)
        return Routing(department, crew, None, {})
    if job.category:
        place = Place(parent.lon, parent.lat)
        return route(here, here.category(job.category), here.zones_at(place, here.local(now).date()), now)
    return Routing(here.by_id[parent.department_id], None, None, {})


def children_of(session: ReadSession, parent: Report) -> list[Report]:
    """The children of a report, in the order they were made."""
    return list(
        session.scalars(
            select(Report)
            .where(Report.municipality_id == parent.municipality_id, Report.parent_id == parent.id)
            .order_by(Report.created_at, Report.id)
        )
    )


def open_children(session: ReadSession, report: Report) -> list[Report]:
    """Those of its children that somebody still has to do something about."""
    return [child for child in children_of(session, report) if child.is_open]


def check_done(session: ReadSession, report: Report) -> None:
    """Raises Conflict where children of the report are open."""
    waiting = open_children(session, report)
    if waiting:
        numbers = ", ".join(child.number for child in waiting[:5])
        raise Conflict("children.open", field="leave_children", number=report.number, count=len(waiting), open=numbers)


def look_after(session: WriteSession, municipality: MunicipalityView, parent_id: UUID) -> None:
    """A child is over: if it was the last, say so once to whoever has the parent, and solve it if that was asked for.

    Nothing where others are open, where the parent is over, or where it was said already.
    """
    parent = locked(session, municipality.id, parent_id)
    if not parent.is_open or open_children(session, parent):
        return
    ended = _last(
        session,
        Report.parent_id == parent.id,
        TimelineEntry.to_state.in_(ENDED),
        municipality_id=municipality.id,
    )
    told = _last(
        session, Report.id == parent.id, TimelineEntry.what == "children_done", municipality_id=municipality.id
    )
    if ended is None or (told is not None and told > ended):
        return
    touch(parent)
    entry = note_down(session, parent, "children_done", is_public=False)
    here = State(parent.state)
    move = MOVES.get((here, State.RESOLVED))
    if parent.resolves_with_children and move is not None and Mover.SYSTEM in move.movers and here is not _AWAY:
        reason = text("children.all_done", language=parent.language)
        check_move(here, State.RESOLVED, Mover.SYSTEM, reason)
        enter(municipality, parent, State.RESOLVED)
        tell(session, parent, "moved", here=here, to=State.RESOLVED, note=reason)
    journey.letters(session, municipality.id, "children_done", report_id=str(parent.id), entry=entry.id)


_AWAY: Final = State.FORWARDED
"""In somebody else's hands: what becomes of it is theirs to say."""


def _last(session: ReadSession, whose: Any, which: Any, *, municipality_id: int) -> int | None:
    return session.scalar(
        select(func.max(TimelineEntry.id))
        .join(
            Report,
            (Report.municipality_id == TimelineEntry.municipality_id) & (Report.id == TimelineEntry.report_id),
        )
        .where(TimelineEntry.municipality_id == municipality_id, whose, which)
    )
