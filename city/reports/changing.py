"""What every change of a report is made of: who works on which version, the row locked, the state entered, people told.

The stations that change reports (`handling` and those beside it) call nothing else to do so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select

from city.database import ReadSession, WriteSession
from city.errors import Conflict, Forbidden, NotFound, PreconditionRequired, VersionConflict
from city.registry.municipality import MunicipalityView
from city.registry.staff.colleagues import colleagues
from city.registry.staff.people import Right, Staff
from city.reports import journey
from city.reports.clock import wind
from city.reports.deadlines import resumed
from city.reports.lifecycle import Mover, State
from city.reports.tables import Report, Reporter, TimelineEntry
from city.reports.timeline import note_down

RESORTED: Final = frozenset({"recategorised", "rerouted"})
"""What is told of a master as it is, also where the state moves on with it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Who works, in which municipality, in whose transaction."""

    session: WriteSession
    municipality: MunicipalityView
    staff: Staff

    def open(self, report_id: UUID, version: int | None, right: Right) -> Report:
        """The report, locked, for somebody with this right who has read this version of it.

        Raises NotFound, Forbidden, PreconditionRequired, VersionConflict.
        """
        report = locked(self.session, self.municipality.id, report_id)
        self.check(report, right)
        if version is None:
            raise PreconditionRequired("reports.if_match_needed", field="If-Match")
        if report.version != version:
            raise VersionConflict("reports.version_conflict", current=report.version, given=version)
        return report

    def check(self, report: Report, right: Right) -> None:
        """Raises Forbidden where none of their appointments covers the report."""
        self.staff.needs(right)
        if not self.may(report, right):
            raise Forbidden("people.not_this_report")

    def may(self, report: Report, right: Right) -> bool:
        """Whether they may do this with the report."""
        return self.staff.may(right, report, self.municipality)

    def mover(self, report: Report) -> Mover:
        """As whom they move the report."""
        return Mover.DESK if self.may(report, Right.DESK) else Mover.CREW


def locked(session: WriteSession, municipality_id: int, report_id: UUID) -> Report:
    """The report, locked to the end of the transaction. Raises NotFound.

    Its key stays free (FOR NO KEY UPDATE): else whoever changes a duplicate would wait at its master, by the foreign
    key, for somebody who has locked the master and waits for the duplicate.
    """
    report = session.scalar(
        select(Report)
        .where(Report.municipality_id == municipality_id, Report.id == report_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)  # one seen before the lock may have changed while we waited for it
    )
    if report is None:
        raise NotFound("reports.not_found", value=str(report_id))
    return report


def check_open(report: Report) -> None:
    """Raises Conflict where nobody has to do anything with the report any more."""
    if not State(report.state).is_open:
        raise Conflict("reports.over", state=report.state)


def enter(municipality: MunicipalityView, report: Report, state: State) -> None:
    """Put the report into `state`, which `lifecycle` has allowed."""
    if report.state == State.TRIAGE.value and state is not State.TRIAGE:
        report.triage_reason = None
    _keep_time(municipality, report, state, datetime.now(UTC))
    report.state, report.is_open = state.value, state.is_open
    wind(municipality, report, datetime.now(UTC))
    touch(report)


def _keep_time(municipality: MunicipalityView, report: Report, state: State, now: datetime) -> None:
    """Stop the clock where the report waits from now on; let it go on where it no longer waits, or is open again.

    What was promised before it was over was kept, or its breach told: it says nothing of the time afterwards.
    """
    stopped_at = report.paused_at
    if not report.is_open and state.is_open:
        stopped_at = report.solved_at or report.updated_at
        report.promised_at = report.slipped_at = None
    if stopped_at is not None and state is not State.WAITING:
        unit = municipality.category_ids[report.category_id].deadline.unit
        report.deadline_at = resumed(report.deadline_at, stopped_at, now, unit, municipality.working_time)
    if state is not State.WAITING:
        report.paused_at = None
    elif report.paused_at is None:
        report.paused_at = stopped_at or now


def touch(report: Report) -> None:
    """Note that the report is another version now."""
    report.version += 1
    report.updated_at = datetime.now(UTC)


def pass_on(
    session: WriteSession,
    municipality: MunicipalityView,
    report: Report,
    *,
    department_id: int,
    crew_id: int | None,
    staff: Staff | None = None,
) -> None:
    """Let a department and one of its crews (or none) answer for the locked report; wherever they change, they do here.

    `staff` is whoever passes it on, None: the program itself.
    """
    if report.department_id != department_id:
        journey.after_passing_on(session, municipality.id, report.id, report.version, department_id=department_id)
    if crew_id is not None and report.crew_id != crew_id:
        journey.after_passing_on(session, municipality.id, report.id, report.version, crew_id=crew_id)
    report.department_id, report.crew_id = department_id, crew_id
    relieve(session, municipality, report, staff=staff)


def relieve(
    session: WriteSession, municipality: MunicipalityView, report: Report, *, staff: Staff | None = None
) -> None:
    """Let whoever looks after the locked report at the desk do so no more, where it is not theirs any longer."""
    if report.person_id is None:
        return
    person = next(iter(colleagues(session, municipality, [report.person_id])), None)
    if person is not None and person.may(Right.DESK, report, municipality):
        return
    department = municipality.by_id[report.department_id].slug
    details = {"from": report.person_id, "to": None, "name": None, "department": department}
    report.person_id = None
    note_down(session, report, "person", staff=staff, is_public=False, details=details)


def duplicates_of(session: ReadSession, report: Report) -> list[Report]:
    """The reports that hang on this one, locked."""
    return list(
        session.scalars(
            select(Report)
            .where(Report.municipality_id == report.municipality_id, Report.master_id == report.id)
            .order_by(Report.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
    )


def tell(
    session: WriteSession,
    report: Report,
    what: str,
    *,
    staff: Staff | None = None,
    actor: str | None = None,
    here: State | None = None,
    to: State | None = None,
    note: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> TimelineEntry:
    """A public entry, by `staff` or by `actor`; what happens to a master, everybody who reported it hears too."""
    entry = note_down(
        session,
        report,
        what,
        staff=staff,
        actor=actor,
        is_public=True,
        from_state=here.value if here else None,
        to_state=to.value if to else None,
        note=note,
        details=dict(details or {}),
    )
    journey.after_public_change(session, report.municipality_id, report.id)
    if report.parent_id is not None and to is not None and not to.is_open:
        journey.after_child(session, report.municipality_id, report.parent_id)
    _tell_group(session, report, entry, staff)
    return entry


def _tell_group(session: WriteSession, master: Report, entry: TimelineEntry, staff: Staff | None) -> None:
    """Write what happened to a master into the history of each report that hangs on it.

    Who stands behind several of them is written to once: the other entries say by which report that person is told.
    What a citizen wrote stays with the citizen's own report.
    """
    duplicates = duplicates_of(session, master)
    if not duplicates:
        return
    addresses = addresses_of(session, master.municipality_id, [master.id, *(one.id for one in duplicates)])
    told_by = {addresses[master.id]: master.number} if master.id in addresses else {}
    name = _retold(entry)
    moved = name == "master_moved"
    for duplicate in duplicates:
        address = addresses.get(duplicate.id)
        details = {key: value for key, value in entry.details.items() if key != "routing"}
        details |= {"master": master.number, "what": entry.what}
        if not moved:
            details |= {"category_id": master.category_id, "department_id": master.department_id}
        if address in told_by:
            details["told_by"] = told_by[address]
        note_down(
            session,
            duplicate,
            name,
            staff=staff,
            actor=entry.actor,
            is_public=True,
            from_state=entry.from_state if moved else None,
            to_state=entry.to_state if moved else None,
            note=None if entry.actor == "citizen" else entry.note,
            details=details,
        )
        if address is not None and address not in told_by:
            told_by[address] = duplicate.number
            journey.after_public_change(session, duplicate.municipality_id, duplicate.id)


def _retold(entry: TimelineEntry) -> str:
    """Under which name what happened to a master is told to those whose report hangs on it."""
    if entry.what == "update":
        return "master_update"
    moves = entry.to_state is not None and entry.to_state != entry.from_state
    return "master_moved" if moves and entry.what not in RESORTED else "master_news"


def addresses_of(session: ReadSession, municipality_id: int, report_ids: Collection[UUID]) -> dict[UUID, str]:
    """The reporters' e-mail addresses, in small letters, of those reports whose reporter gave one."""
    found = session.execute(
        select(Reporter.report_id, func.lower(Reporter.email).label("address")).where(
            Reporter.municipality_id == municipality_id, Reporter.report_id.in_(report_ids), Reporter.email != ""
        )
    )
    return {row.report_id: row.address for row in found}
