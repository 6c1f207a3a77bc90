"""The demo's reports, each led to its outcome as its office would, at the times of its history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID, uuid5

import orjson
from sqlalchemy import func, select

from city.database import ReadSession, WriteSession, provincial, writing
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.registry.staff import people
from city.registry.staff.rights import Right, Staff
from city.registry.tables import Person
from city.reports import handling
from city.reports.changing import Desk, locked
from city.reports.intake import receive
from city.reports.judging import Contact, Submission
from city.reports.lifecycle import State
from city.reports.tables import ClientRequest, Report
from commands.seeding.files import SEED, Progress, toml
from geo.place import Place

NAMESPACE: Final = UUID("7d0c2f4e-6a43-5d0e-9b53-0b7f5f0a5c11")
"""Makes the client references of the demo's reports."""


LONGEST_HANDLING: Final = timedelta(days=25)


PATHS: Final[dict[str, tuple[State, ...]]] = {
    "received": (),
    "assigned": (),
    "in_progress": (State.IN_PROGRESS,),
    "waiting": (State.IN_PROGRESS, State.WAITING),
    "resolved": (State.IN_PROGRESS, State.RESOLVED),
    "closed": (State.IN_PROGRESS, State.RESOLVED, State.CLOSED),
    "rejected": (State.REJECTED,),
}
"""The steps by which a report of the seed, once on the right desk, reaches its outcome."""


@dataclass(frozen=True, slots=True)
class _Office:
    """The people of one municipality who can work on reports at a desk, clerks first."""

    staff: Sequence[Staff] = field(default_factory=list)

    def answering(self, report: Report, municipality: MunicipalityView) -> Staff:
        """Somebody of the report's department, else of the front desk, else the administrator."""
        able = [staff for staff in self.staff if staff.may(Right.DESK, report, municipality)]
        own = [staff for staff in able if any(post.department_id == report.department_id for post in staff.posts)]
        return (own or able)[0]


def _office(session: ReadSession, municipality_id: int) -> _Office:
    order = {"clerk": 0, "head": 1, "municipality_admin": 2}
    persons = session.scalars(select(Person).where(Person.municipality_id == municipality_id).order_by(Person.id))
    staff = [one for one in people.staff_all(session, persons.all()) if any(post.role in order for post in one.posts)]
    return _Office(sorted(staff, key=lambda one: min(order.get(post.role, 9) for post in one.posts)))


@dataclass(frozen=True, slots=True)
class Told:
    """A line of `reports.jsonl`, and the reference made of it."""

    reference: UUID
    given: Mapping[str, Any]

    @property
    def turn(self) -> int:
        """A number that stays with the line: chooses among sentences, crews and durations."""
        return self.reference.int % 997


def told() -> list[Told]:
    """The reports, the oldest first."""
    lines = (SEED / "reports.jsonl").read_bytes().splitlines()
    read = [Told(uuid5(NAMESPACE, line.decode()), orjson.loads(line)) for line in lines if line.strip()]
    return sorted(read, key=lambda one: -float(one.given["age_days"]))


def is_complete(lines: Sequence[Told]) -> bool:
    """Whether every one of the reports has come in."""
    with provincial() as session:
        found = session.scalar(
            select(func.count())
            .select_from(ClientRequest)
            .where(ClientRequest.reference.in_([told.reference for told in lines]))
        )
    return found == len(lines)


def put_reports(lines: Sequence[Told], progress: Progress) -> None:
    """Take the reports in, and lead each to its outcome."""
    registry = view.load()
    now = datetime.now(UTC)
    done = 0
    by_municipality = sorted(lines, key=lambda told: str(told.given["municipality"]))
    for slug, told_here in groupby(by_municipality, key=lambda told: str(told.given["municipality"])):
        municipality = registry.municipality(slug)
        with writing(municipality.id) as session:
            office = _office(session, municipality.id)
            for told in told_here:
                _put_report(session, told, municipality, office, now)
                done += 1
                progress("seeding.reports", done / len(lines))


def _put_report(
    session: WriteSession, told: Told, municipality: MunicipalityView, office: _Office, now: datetime
) -> None:
    """Take one report in and lead it to its outcome, each step at its time."""
    given, reporter = told.given, told.given["reporter"] or {}
    created_at = now - timedelta(days=float(given["age_days"]))
    received = receive(
        session,
        Submission(
            place=Place(given["lon"], given["lat"]),
            description=given["description"],
            category=given["category"],
            address=given["address"],
            contact=Contact(email=reporter.get("email")),
            client_reference=told.reference,
            created_at=created_at,
            source="web",
            language=reporter.get("language"),
        ),
    )
    if received.is_repeat:
        return
    report = locked(session, municipality.id, received.report_id)
    steps = _Steps(session, told, municipality, office, report)
    moments = _moments(told, created_at, now)
    try:
        if given["outcome"] not in {"received", "rejected"}:
            session.happened_at = next(moments)
            steps.sort_out()
        for state in PATHS[given["outcome"]]:
            session.happened_at = next(moments)
            steps.go(state)
        report.updated_at = session.happened_at or created_at
        session.flush()
    finally:
        session.happened_at = None


def _moments(told: Told, created_at: datetime, now: datetime) -> Iterator[datetime]:
    """When the steps happened: the first within hours, the rest evenly over some days; never in the future."""
    whole = min(LONGEST_HANDLING, now - created_at) * (0.4 + 0.5 * (told.turn % 100) / 100)
    for share in (0.05, 0.35, 0.7, 1.0):
        yield created_at + whole * share


@dataclass(frozen=True, slots=True)
class _Steps:
    """Leads one report along, as its office would."""

    session: WriteSession
    told: Told
    municipality: MunicipalityView
    office: _Office
    report: Report

    @property
    def desk(self) -> Desk:
        return Desk(self.session, self.municipality, self.office.answering(self.report, self.municipality))

    def sort_out(self) -> None:
        """Correct what citizen or classifier got wrong, and give the work to a crew."""
        right = self.told.given["expected"]
        current = self.municipality.category_ids[self.report.category_id].slug
        if right != current and right in self.municipality.choices:
            handling.categorise(self.desk, self.report.id, self.report.version, right)
        elif self.report.state == State.TRIAGE:
            handling.move(self.desk, self.report.id, self.report.version, State.ASSIGNED, reason=None)
        crews = [
            crew.slug for crew in self.municipality.crews.values() if crew.department_id == self.report.department_id
        ]
        if crews and self.report.crew_id is None and PATHS[self.told.given["outcome"]]:
            crew = crews[self.told.turn % len(crews)]
            handling.give_to_crew(self.desk, self.report.id, self.report.version, crew)

    def go(self, state: State) -> None:
        """One move, with the sentence an office would write."""
        handling.move(self.desk, self.report.id, self.report.version, state, reason=self._reason(state))

    def _reason(self, state: State) -> str | None:
        by_group = toml("outcomes").get(state.value)
        if by_group is None:
            return None
        sentences: list[str] = by_group.get(self.report.group_slug, by_group["any"])[self.report.language]
        return sentences[self.told.turn % len(sentences)]
