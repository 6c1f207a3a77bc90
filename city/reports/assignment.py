"""Who at the desk looks after a report: given to a colleague, taken by oneself, or given back."""

from __future__ import annotations

from uuid import UUID

from city.errors import Conflict
from city.registry.staff.colleagues import colleague, looks_after
from city.registry.staff.people import Right, Staff
from city.reports import attention
from city.reports.changing import Desk, check_open, touch
from city.reports.tables import Report, TimelineEntry
from city.reports.timeline import note_down


def assign(desk: Desk, report_id: UUID, version: int | None, person_id: int | None) -> Report:
    """Give the report to a colleague whose it may be, or (None) to nobody.

    Raises Conflict where it is over or no appointment of theirs covers it, NotFound for somebody who does not work
    here.
    """
    report = desk.open(report_id, version, Right.DESK)
    check_open(report)
    put(desk, report, colleague(desk.session, desk.municipality, person_id) if person_id is not None else None)
    return report


def take(desk: Desk, report_id: UUID, version: int | None) -> Report:
    """Look after the report oneself. Raises Conflict where somebody else already does: they can be asked, or relieved
    by `assign`.
    """
    report = desk.open(report_id, version, Right.DESK)
    check_open(report)
    if desk.staff.home_id != desk.municipality.id:
        raise Conflict("colleagues.not_employed", municipality=desk.municipality.name)
    if report.person_id not in (None, desk.staff.person_id):
        other = colleague_name(desk, report.person_id)
        raise Conflict("colleagues.taken", field="person", number=report.number, name=other)
    put(desk, report, colleague(desk.session, desk.municipality, desk.staff.person_id))
    return report


def put(desk: Desk, report: Report, person: Staff | None) -> TimelineEntry | None:
    """Let `person` look after the locked report; None where they already do. Raises Conflict."""
    if person is not None and not person.may(Right.DESK, report, desk.municipality):
        department = desk.municipality.by_id[report.department_id]
        theirs = looks_after(person, desk.municipality, department.id)
        why = "colleagues.other_field" if theirs else "colleagues.other_department"
        raise Conflict(why, field="person", name=person.name, department=department.slug)
    before, after = report.person_id, person.person_id if person else None
    if before == after:
        return None
    report.person_id = after
    touch(report)
    entry = note_down(
        desk.session,
        report,
        "person",
        staff=desk.staff,
        is_public=False,
        details={"from": before, "to": after, "name": person.name if person else None},
    )
    if person is not None:
        attention.ask(desk, "assigned", person.person_id, entry)
    return entry


def colleague_name(desk: Desk, person_id: int | None) -> str:
    """The name of who looks after a report, also of one who has left."""
    row = desk.session.raw.execute(
        "SELECT name FROM person WHERE municipality_id = %s AND id = %s", (desk.municipality.id, person_id)
    ).fetchone()
    return str(row[0]) if row else "-"
