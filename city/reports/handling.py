"""What staff and reporters do with a report once it is in: every change goes through here.

Each checks who may do it and from which version, asks `lifecycle` where the state moves, writes one timeline entry
and lets `journey` say what follows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from city.database import WriteSession
from city.errors import Conflict, InvalidInput
from city.registry.municipality import CategoryView, MunicipalityView
from city.registry.staff.people import Right
from city.reports import journey
from city.reports.changing import Desk, check_open, duplicates_of, enter, locked, pass_on, relieve, tell, touch
from city.reports.checks import cleaned
from city.reports.deadlines import counted_anew
from city.reports.field.refolding import stops
from city.reports.groups import hangs_on, lock_group, recount
from city.reports.handovers import children
from city.reports.lifecycle import Mover, State, check_move
from city.reports.mentions import Unknown, write_note
from city.reports.routing import route
from city.reports.tables import HANDED_OVER, Photo, Report, TrainingPair
from city.reports.timeline import note_down
from geo.place import Place

UNSORTED: Final = frozenset({State.TRIAGE, State.RECEIVED, State.REOPENED})
"""States in which naming the department is what moves the report on."""


def move(
    desk: Desk,
    report_id: UUID,
    version: int | None,
    to: State,
    *,
    reason: str | None,
    internal_note: str | None = None,
    leave_children: bool = False,
    unknown_mentions: Unknown = Unknown.KEEP,
) -> Report:
    """Move the report along its life; `reason` is read by the reporter, `internal_note` is not.

    It is solved with open children only where that was said: `leave_children`.
    """
    if to is State.DUPLICATE:
        raise InvalidInput("reports.by_merging", field="to")
    report = desk.open(report_id, version, Right.FIELD)
    here = State(report.state)
    if here is State.DUPLICATE:
        raise Conflict("reports.by_splitting")
    reason = cleaned(reason, field="reason")
    check_move(here, to, desk.mover(report), reason)
    if to is State.RESOLVED and not leave_children:
        children.check_done(desk.session, report)
    enter(desk.municipality, report, to)
    tell(desk.session, report, "moved", staff=desk.staff, here=here, to=to, note=reason)
    note = cleaned(internal_note, field="internal_note")
    if note:
        write_note(desk, report, note, unknown=unknown_mentions, field="internal_note")
    return report


def move_by_reporter(
    session: WriteSession, municipality: MunicipalityView, report: Report, to: State, reason: str | None
) -> Report:
    """Withdraw, or reopen what was called solved: for whoever holds the receipt token."""
    here = State(report.state)
    reason = cleaned(reason, field="reason")
    check_move(here, to, Mover.CITIZEN, reason)
    if to is State.WITHDRAWN and (others := hangs_on(session, report)):
        raise Conflict("reports.others_hang_on_it", number=report.number, others=others)
    enter(municipality, report, to)
    tell(session, report, "moved", actor="citizen", here=here, to=to, note=reason)
    return report


def add_update(
    desk: Desk,
    report_id: UUID,
    version: int | None,
    words: str,
    *,
    is_public: bool,
    unknown_mentions: Unknown = Unknown.KEEP,
) -> Report:
    """Say something about the report, to the reporter too or among colleagues only; those may be named with @."""
    report = desk.open(report_id, version, Right.FIELD)
    note = cleaned(words, field="text")
    if note is None:
        raise InvalidInput("reports.nothing_to_say", field="text")
    touch(report)
    if is_public:
        tell(desk.session, report, "update", staff=desk.staff, note=note)
    else:
        write_note(desk, report, note, unknown=unknown_mentions)
    return report


def categorise(desk: Desk, report_id: UUID, version: int | None, slug: str, note: str | None = None) -> Report:
    """Correct the category: the report is routed anew, its deadline counted anew, and the classifier learns from it."""
    report = desk.open(report_id, version, Right.DESK)
    check_open(report)
    category = desk.municipality.category(slug)
    before = desk.municipality.category_ids[report.category_id]
    department_before = report.department_id
    place = Place(report.lon, report.lat)
    now = datetime.now(UTC)
    zones = desk.municipality.zones_at(place, desk.municipality.local(report.created_at).date())
    routing = route(desk.municipality, category, zones, now)
    report.category_id, report.group_slug = category.id, category.group.slug
    report.decided_by, report.confidence = "staff", None
    is_shown = report.parent_id is None and report.source != HANDED_OVER
    report.is_public, report.is_coarse = is_shown and category.is_public, is_shown and category.is_coarse
    pauses = stops(desk.session, report)
    report.deadline_at = counted_anew(report.created_at, category.deadline, pauses, desk.municipality.working_time)
    report.routing, report.triage_reason = routing.as_json(), routing.problem
    if department_before != routing.department.id:
        _pass_on(desk, report, routing.department.id, routing.crew.id if routing.crew else None)
    else:
        relieve(desk.session, desk.municipality, report, staff=desk.staff)
    here = State(report.state)
    there = State.ASSIGNED if here in UNSORTED and not routing.problem else here
    enter(desk.municipality, report, there)
    _learn(desk, report, category)
    tell(
        desk.session,
        report,
        "recategorised",
        staff=desk.staff,
        here=here,
        to=there,
        note=cleaned(note, field="note"),
        details={
            "from": before.slug,
            "to": category.slug,
            "department": routing.department.slug,
            "routing": routing.as_json(),
        },
    )
    return report


def _pass_on(desk: Desk, report: Report, department_id: int, crew_id: int | None) -> None:
    pass_on(desk.session, desk.municipality, report, department_id=department_id, crew_id=crew_id, staff=desk.staff)


def _learn(desk: Desk, report: Report, category: CategoryView) -> None:
    pair = {
        "municipality_id": report.municipality_id,
        "report_id": report.id,
        "category_id": category.id,
        "person_id": desk.staff.person_id,
    }
    desk.session.execute(
        insert(TrainingPair)
        .values(pair)
        .on_conflict_do_update(
            index_elements=["municipality_id", "report_id"],
            set_={"category_id": category.id, "person_id": desk.staff.person_id, "decided_at": datetime.now(UTC)},
        )
    )


def hand_to(desk: Desk, report_id: UUID, version: int | None, department: str, reason: str | None) -> Report:
    """Correct the department, whatever the rules say; the reason is read by the reporter."""
    report = desk.open(report_id, version, Right.DESK)
    check_open(report)
    chosen = desk.municipality.department(department)
    reason = cleaned(reason, field="reason")
    if reason is None:
        raise InvalidInput("lifecycle.reason_needed", field="reason", there=chosen.slug)
    before = desk.municipality.by_id[report.department_id]
    if report.department_id != chosen.id:
        _pass_on(desk, report, chosen.id, None)
    report.routing = {**report.routing, "corrected_by": desk.staff.person_id, "problem": None}
    report.triage_reason = None
    here = State(report.state)
    there = State.ASSIGNED if here in UNSORTED else here
    enter(desk.municipality, report, there)
    tell(
        desk.session,
        report,
        "rerouted",
        staff=desk.staff,
        here=here,
        to=there,
        note=reason,
        details={"from": before.slug, "to": chosen.slug},
    )
    return report


def give_to_crew(desk: Desk, report_id: UUID, version: int | None, crew: str | None) -> Report:
    """Give the report to a crew of its department, or (None) take it back."""
    report = desk.open(report_id, version, Right.DESK)
    check_open(report)
    chosen = desk.municipality.crew(crew) if crew else None
    if chosen and chosen.department_id != report.department_id:
        raise Conflict("reports.crew_of_other_department", field="crew", crew=chosen.slug)
    _pass_on(desk, report, report.department_id, chosen.id if chosen else None)
    touch(report)
    note_down(desk.session, report, "crew", staff=desk.staff, is_public=False, details={"crew": crew})
    return report


def merge(desk: Desk, report_id: UUID, version: int | None, master_id: UUID) -> Report:
    """Hang the report on `master_id` as a duplicate; its own duplicates go along."""
    if report_id == master_id:
        raise Conflict("reports.merge_with_itself", field="master")
    lock_group(desk.session, desk.municipality.id, report_id, master_id)
    report = desk.open(report_id, version, Right.DESK)
    master = locked(desk.session, desk.municipality.id, master_id)
    desk.check(master, Right.DESK)
    if master.master_id is not None:
        raise Conflict("reports.master_is_duplicate", field="master", number=master.number)
    if State(master.state) in {State.REJECTED, State.WITHDRAWN}:
        raise Conflict("reports.master_is_over", field="master", number=master.number)
    here = State(report.state)
    check_move(here, State.DUPLICATE, Mover.DESK, None)
    if report.parent_id or master.parent_id or children.open_children(desk.session, report):
        raise Conflict("children.not_to_merge", field="master", number=(master if master.parent_id else report).number)
    own = duplicates_of(desk.session, report)
    for one in [report, *own]:
        one.master_id = master.id
    enter(desk.municipality, report, State.DUPLICATE)
    touch(master)
    recount(desk.session, report)
    recount(desk.session, master)
    note_down(
        desk.session,
        master,
        "merged",
        staff=desk.staff,
        is_public=False,
        details={"duplicate": report.number},
    )
    for one in own:
        touch(one)
    where = {"master": master.number, "master_state": master.state}
    for one, before in [(report, here), *((one, State.DUPLICATE) for one in own)]:
        tell(desk.session, one, "merged", staff=desk.staff, here=before, to=State.DUPLICATE, details=where)
    return report


def split(desk: Desk, report_id: UUID, version: int | None, reason: str | None) -> Report:
    """Make a duplicate a report of its own again."""
    lock_group(desk.session, desk.municipality.id, report_id)
    report = desk.open(report_id, version, Right.DESK)
    if report.master_id is None:
        raise Conflict("reports.not_a_duplicate", number=report.number)
    master = locked(desk.session, desk.municipality.id, report.master_id)
    check_move(State.DUPLICATE, State.REOPENED, Mover.DESK, reason)
    report.master_id = None
    enter(desk.municipality, report, State.REOPENED)
    touch(master)
    recount(desk.session, report)
    recount(desk.session, master)
    note_down(desk.session, master, "split", staff=desk.staff, is_public=False, details={"duplicate": report.number})
    tell(
        desk.session,
        report,
        "split",
        staff=desk.staff,
        here=State.DUPLICATE,
        to=State.REOPENED,
        note=cleaned(reason, field="reason"),
        details={"master": master.number},
    )
    return report


def release(
    desk: Desk, report_id: UUID, version: int | None, *, description: str | None, photo_ids: frozenset[UUID] | None
) -> Report:
    """Choose what everyone may read and see: a text (None takes it back) and photos (None: as they are)."""
    report = desk.open(report_id, version, Right.DESK)
    report.public_description = cleaned(description, field="public_description")
    details: dict[str, object] = {"public_description": report.public_description is not None}
    if photo_ids is not None:
        photos = desk.session.scalars(
            select(Photo).where(Photo.municipality_id == report.municipality_id, Photo.report_id == report.id)
        ).all()
        unknown = photo_ids - {photo.id for photo in photos}
        if unknown:
            raise InvalidInput("reports.photo_not_found", field="photos", value=str(min(unknown)))
        for photo in photos:
            photo.is_public = photo.id in photo_ids
        details["photos"] = sorted(str(photo_id) for photo_id in photo_ids)
    touch(report)
    note_down(desk.session, report, "released", staff=desk.staff, is_public=False, details=details)
    return report


def republish(session: WriteSession, municipality: MunicipalityView, category: CategoryView) -> int:
    """Make the reports of a category as public, coarse or hidden as the category has become; how many changed."""
    result = session.execute(
        update(Report)
        .where(
            Report.municipality_id == municipality.id,
            Report.category_id == category.id,
            Report.parent_id.is_(None),
            Report.source != HANDED_OVER,
            (Report.is_public != category.is_public) | (Report.is_coarse != category.is_coarse),
        )
        .values(is_public=category.is_public, is_coarse=category.is_coarse, version=Report.version + 1)
    )
    changed = int(result.rowcount)  # type: ignore[attr-defined]
    if changed:
        journey.after_republishing(session, municipality.id, category.id)
    return changed
