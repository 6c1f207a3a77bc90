"""Bring a report to where the fold of all facts says it stands, once a crew's deed has come in from a tablet.

What follows does so once: people are told where the report now stands, not again what they were told before; every
deed leaves exactly one entry in the timeline, so nobody's words are lost; a decision of the desk that came after the
work was done is noted, and whoever made it gets a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import select

from city.database import ReadSession
from city.reports import journey, timeline
from city.reports.changing import Desk, enter, tell, touch
from city.reports.clock import wind
from city.reports.deadlines import counted_anew
from city.reports.field.folding import Fact, Fate, Folded, fold
from city.reports.field.tables import CrewSpell, FieldOperation
from city.reports.lifecycle import State
from city.reports.tables import Report, TimelineEntry
from city.reports.timeline import note_down

DEEDS: Final = {"start": State.IN_PROGRESS, "done": State.RESOLVED, "cant": State.WAITING}
"""Where a deed puts the report."""
MARK: Final = "field_operation"
"""In the details of a timeline entry: it tells of this operation, and is no fact of its own."""


class Spells:
    """Which crew had a report when."""

    def __init__(self, ended: Sequence[tuple[int | None, datetime]], now_with: int | None) -> None:
        """`ended` are the spells that are over, oldest first; `now_with` the crew that has the report now."""
        self._ended = ended
        self._now_with = now_with

    @classmethod
    def of(cls, session: ReadSession, report: Report) -> Spells:
        """Those of a report."""
        rows = session.execute(
            select(CrewSpell.crew_id, CrewSpell.ended_at)
            .where(CrewSpell.municipality_id == report.municipality_id, CrewSpell.report_id == report.id)
            .order_by(CrewSpell.id)
        )
        return cls([(crew_id, ended_at) for crew_id, ended_at in rows], report.crew_id)

    def at(self, moment: datetime) -> int | None:
        """The crew that had it then."""
        return next((crew_id for crew_id, ended_at in self._ended if moment < ended_at), self._now_with)

    def up_to(self, moment: datetime) -> set[int | None]:
        """The crews that had it then or before."""
        past = {crew_id for index, (crew_id, _) in enumerate(self._ended) if self._began(index) <= moment}
        return past | {self.at(moment)}

    def _began(self, index: int) -> datetime:
        return self._ended[index - 1][1] if index else datetime.min.replace(tzinfo=self._ended[0][1].tzinfo)


class _Decision(NamedTuple):
    """A state the desk, the reporter or the program put the report into."""

    entry_id: int
    at: datetime
    to: State
    person_id: int | None

    @property
    def key(self) -> str:
        """Sorts as the number does: entries of one moment, such as a report's first two, keep their order."""
        return f"{self.entry_id:020d}"


def refold(desk: Desk, report: Report, new: FieldOperation) -> None:
    """Fold the locked report anew, with `new`, a deed that has just been put down, among its facts."""
    session = desk.session
    decisions, deeds = _decisions(session, report), _deeds(session, report)
    spells = Spells.of(session, report)
    facts = [Fact(one.at, is_deed=False, key=one.key, to=one.to) for one in decisions]
    facts += [_fact(deed, spells) for deed in deeds if deed.id != new.id]
    before = fold(facts)
    if before.state is not State(report.state):
        # Somebody moved it without an entry: what we do not know of is not overturned.
        facts.append(Fact(report.updated_at, is_deed=False, key="unwritten", to=State(report.state)))
        before = fold(facts)
    after = fold([*facts, _fact(new, spells)])
    for deed in deeds:
        _settle(desk, report, deed, after, spells)
    _note_overturned(
        desk, report, new, [one for one in decisions if one.key in after.overturned() - before.overturned()]
    )
    _move(desk, report, before, after, {str(deed.id): deed for deed in deeds})
    _note_the_rest(desk, report, [deed for deed in deeds if not deed.is_noted])


def stops(session: ReadSession, report: Report) -> list[tuple[datetime, datetime]]:
    """From when to when the report has waited, or was over, by when things happened; without what lasts still."""
    deeds = _deeds(session, report)
    if not deeds:
        return timeline.stops(session, report)
    spells = Spells.of(session, report)
    facts = [Fact(one.at, is_deed=False, key=one.key, to=one.to) for one in _decisions(session, report)]
    return fold([*facts, *(_fact(deed, spells) for deed in deeds)]).stops


def _deeds(session: ReadSession, report: Report) -> Sequence[FieldOperation]:
    return session.scalars(
        select(FieldOperation)
        .where(
            FieldOperation.municipality_id == report.municipality_id,
            FieldOperation.report_id == report.id,
            FieldOperation.kind.in_(DEEDS),
        )
        .order_by(FieldOperation.happened_at, FieldOperation.id)
    ).all()


def _decisions(session: ReadSession, report: Report) -> list[_Decision]:
    rows = session.execute(
        select(TimelineEntry.id, TimelineEntry.at, TimelineEntry.to_state, TimelineEntry.person_id)
        .where(
            TimelineEntry.municipality_id == report.municipality_id,
            TimelineEntry.report_id == report.id,
            TimelineEntry.to_state.is_not(None),
            TimelineEntry.from_state.is_distinct_from(TimelineEntry.to_state),
            TimelineEntry.what.not_like("master\\_%"),
            TimelineEntry.details[MARK].is_(None),
        )
        .order_by(TimelineEntry.id)
    )
    return [_Decision(entry_id, at, State(to), person_id) for entry_id, at, to, person_id in rows if to]


def _fact(deed: FieldOperation, spells: Spells) -> Fact:
    was_theirs = spells.at(deed.happened_at) == deed.crew_id
    return Fact(deed.happened_at, is_deed=True, key=str(deed.id), to=DEEDS[deed.kind], was_theirs=was_theirs)


def _settle(desk: Desk, report: Report, deed: FieldOperation, after: Folded, spells: Spells) -> None:
    """Say what became of a deed: it counts, or it is a conflict, with what each side holds."""
    fate = after.fates[str(deed.id)]
    deed.outcome = "applied" if fate.counts else "conflict"
    if fate.counts:
        deed.conflict = None
        return
    fields: dict[str, Any] = {"state": {"yours": DEEDS[deed.kind].value, "theirs": after.state and after.state.value}}
    if fate is Fate.NOT_YOURS:
        theirs = desk.municipality.crew_ids.get(spells.at(deed.happened_at) or 0)
        yours = desk.municipality.crew_ids.get(deed.crew_id)
        fields["crew"] = {"yours": yours.slug if yours else None, "theirs": theirs.slug if theirs else None}
    version = (deed.conflict or {}).get("version", report.version)
    deed.conflict = {"why": fate.value, "base_version": deed.base_version, "version": version, "fields": fields}


def _note_overturned(desk: Desk, report: Report, new: FieldOperation, overturned: list[_Decision]) -> None:
    for decision in overturned:
        note_down(
            desk.session,
            report,
            "overturned",
            staff=desk.staff,
            is_public=False,
            details={
                MARK: str(new.id),
                "entry": decision.entry_id,
                "to": decision.to.value,
                "decided_at": decision.at.isoformat(),
                "happened_at": new.happened_at.isoformat(),
            },
        )
        journey.letters(
            desk.session,
            report.municipality_id,
            "decision_overturned",
            report_id=str(report.id),
            entry_id=decision.entry_id,
        )


def _move(desk: Desk, report: Report, before: Folded, after: Folded, deeds: dict[str, FieldOperation]) -> None:
    """Put the report where it stands now, and tell of it; its times are those of the deeds, not of their arrival."""
    here, there = State(report.state), after.state or State(report.state)
    due_at = report.deadline_at
    if there is here:
        touch(report)
    else:
        enter(desk.municipality, report, there)
        deed = deeds.get(after.moved_by or "")
        tell(
            desk.session,
            report,
            "moved",
            staff=desk.staff,
            here=here,
            to=there,
            note=deed.payload.get("told") if deed and not deed.is_noted else None,
            details={MARK: after.moved_by} | _of(deed),
        )
        if deed is not None:
            deed.is_noted = True
    if after.stops != before.stops:
        span = desk.municipality.category_ids[report.category_id].deadline
        due_at = counted_anew(report.created_at, span, after.stops, desk.municipality.working_time)
    report.deadline_at = due_at
    report.paused_at = after.stopped_at if there is State.WAITING else None
    wind(desk.municipality, report, datetime.now(UTC))
    desk.session.flush()
    desk.session.refresh(report, ["solved_at"])  # a trigger has kept it by when we heard of the deed
    report.solved_at = after.solved_at


def _note_the_rest(desk: Desk, report: Report, deeds: list[FieldOperation]) -> None:
    """What moved nothing stands in the timeline too, among colleagues, with its words."""
    for deed in deeds:
        details = {MARK: str(deed.id), "to": DEEDS[deed.kind].value} | _of(deed)
        note_down(
            desk.session,
            report,
            "field",
            staff=desk.staff,
            is_public=False,
            note=deed.payload.get("told"),
            details=details,
        )
        deed.is_noted = True


def _of(deed: FieldOperation | None) -> dict[str, Any]:
    if deed is None:
        return {}
    return {"kind": deed.kind, "happened_at": deed.happened_at.isoformat(), "outcome": deed.outcome}
