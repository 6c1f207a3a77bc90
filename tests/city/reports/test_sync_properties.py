"""Two tablets and a desk: whatever order, partition, repetition and interruption, the end is the same.

*The same end* comprises: the state, whether it is open, department and crew; when it was solved and since when it
waits; the deadline; every word that anybody said, each once; the outcome of every operation with what each side holds;
minutes and material; the photos; the reports that came of what was found; which decisions of the desk were overturned;
and that the reporter was last told the state in which the report is. What may differ is what was told on the way, and
how often the version went up.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy import select

from city.database import provincial, reading, writing
from city.errors import NotFound
from city.records.field import work as field_work
from city.registry import view
from city.registry.staff import people
from city.registry.staff.people import Staff
from city.registry.tables import Person
from city.reports import handling, intake
from city.reports.changing import Desk
from city.reports.field import field_operations, field_photos, uploads
from city.reports.field.field_operations import Found, Material, Operation, happened_at
from city.reports.field.folding import Fact, fold
from city.reports.field.refolding import DEEDS, MARK
from city.reports.field.tables import FieldOperation
from city.reports.judging import Contact, Submission
from city.reports.lifecycle import MOVES, Mover, State
from city.reports.tables import Photo, Report, TimelineEntry
from geo.place import Place


def picture() -> bytes:
    """A small photo."""
    written = io.BytesIO()
    Image.new("RGB", (24, 16), "#8f9297").save(written, "JPEG")
    return written.getvalue()


SCENARIOS: Final = 100
DELIVERIES: Final = 6
"""Of each scenario, each to a report of its own: 600 partitions in all; and 400 more with the desk in between."""
PICTURE: Final = picture()
PHOTO_SCENARIOS: Final = 15
"""Fewer, because every piece of a photo is pushed to the disk."""
PAUSE_SECONDS: Final = 0.002
"""Between what happens: on some machines the clock goes back by less."""
PAUSE: Final = timedelta(microseconds=1)
WORDS: Final = "Buca profonda in viale Trieste"


class Cut(Exception):
    """The connection is cut, or the process killed, before anything is kept."""


@dataclass(frozen=True)
class Town:
    """Who works there."""

    id: int
    desk: Staff
    tablets: tuple[tuple[Staff, str], ...]
    """Who holds it, and of which crew."""


@pytest.fixture
def town(database: str) -> Town:
    """Pesaro, with a clerk, two tablets of the coast's crew and one of the hills'."""
    assert database
    view.load()
    addresses = ("operatore.urp", "squadra.roads-coast", "squadra.roads-hills")
    with provincial() as session:
        clerk, coast, hills = (
            people.staff(session, session.scalars(select(Person).filter_by(email=f"{name}@pesaro.example.org")).one())
            for name in addresses
        )
    tablets = ((coast, "roads-coast"), (coast, "roads-coast"))
    return Town(view.held().slugs["pesaro"].id, clerk, (*tablets, (hills, "roads-hills")))


# --- what happens


@dataclass(frozen=True)
class Event:
    """Something happens: at the desk (`tablet` None) or on a tablet; `choice` decides among what is possible then."""

    kind: str
    choice: int
    tablet: int | None = None


desk_events = st.builds(Event, st.sampled_from(["move", "move", "crew", "note"]), st.integers(0, 7))


def tablet_events(*kinds: str) -> st.SearchStrategy[Event]:
    return st.builds(Event, st.sampled_from(kinds), st.integers(0, 2), st.sampled_from([0, 0, 1, 1, 2]))


field_events = tablet_events("start", "done", "done", "cant", "note", "work", "found_more")
chances = st.integers(0, 2**32).map(Random)
mornings = st.lists(field_events | field_events | desk_events, min_size=3, max_size=7)
photographed = st.lists(
    tablet_events("photo") | tablet_events("done", "note") | desk_events, min_size=3, max_size=6
).filter(lambda events: any(event.kind == "photo" for event in events))


class Parcel(NamedTuple):
    """What a tablet sends by itself: an operation, or the photo that an operation tells of."""

    number: int
    is_photo: bool = False


@dataclass
class Trial:
    """One report that lives through a morning, and what its tablets have to say."""

    town: Town
    report_id: UUID
    began: list[datetime] = field(default_factory=list)
    """When each event began."""
    operations: dict[int, Operation] = field(default_factory=dict)
    """By the number of the event."""
    events: list[Event] = field(default_factory=list)

    @classmethod
    def received(cls, town: Town, serial: int) -> Trial:
        """A report that has just come in, and is the coast crew's."""
        place = Place(12.9135 + serial % 997 * 1e-6, 43.9098)
        submission = Submission(place, WORDS, category="pothole", contact=Contact("anna@example.org"))
        with writing(town.id) as session:
            report_id = intake.receive(session, submission).report_id
        trial = cls(town, report_id)
        trial.at_the_desk(lambda desk, report: handling.give_to_crew(desk, report.id, report.version, "roads-coast"))
        return trial

    def live(self, event: Event) -> None:
        """What happens, happens now."""
        number = len(self.events)
        time.sleep(PAUSE_SECONDS)
        self.began.append(max([datetime.now(UTC), *(moment + PAUSE for moment in self.began[-1:])]))
        self.events.append(event)
        if event.tablet is not None:
            self.operations[number] = self._operation(number, event)
            return
        time.sleep(PAUSE_SECONDS)

        def act(desk: Desk, report: Report) -> None:
            note = f"detto allo sportello {number}"
            if event.kind == "note":
                handling.add_update(desk, report.id, report.version, note, is_public=event.choice % 2 == 0)
            elif event.kind == "crew" and State(report.state).is_open:
                crew = ("roads-coast", "roads-hills", None)[event.choice % 3]
                handling.give_to_crew(desk, report.id, report.version, crew)
            elif ways := desk_moves(State(report.state)):
                there = ways[event.choice % len(ways)]
                handling.move(desk, report.id, report.version, there, reason=note)

        self.at_the_desk(act)

    def at_the_desk(self, act: Any) -> None:
        """The clerk reads the report, and changes it."""
        with writing(self.town.id) as session:
            desk = Desk(session, view.fresh(session).municipalities[self.town.id], self.town.desk)
            act(desk, session.get_one(Report, (self.town.id, self.report_id)))

    def _operation(self, number: int, event: Event) -> Operation:
        words = f"detto fuori {number}"
        found = Found(Place(12.9141, 43.9098), "pothole", None)
        return Operation(
            id=uuid4(),
            kind=event.kind,
            report_id=None if event.kind == "found_more" else self.report_id,
            base_version=1,
            device=f"tablet-{event.tablet}",
            sequence=number,
            device_at=self.began[number],
            words=None if event.kind == "start" and event.choice else words,
            is_public=event.choice == 1,
            reason=("material", "access", "weather")[event.choice] if event.kind == "cant" else None,
            minutes=10 * event.choice + 5 if event.kind == "work" else None,
            materials=(Material("cold_asphalt", "0.1", "kg"),) * event.choice if event.kind == "work" else (),
            upload_id=uuid4() if event.kind == "photo" else None,
            found=found if event.kind == "found_more" else None,
        )

    def parcels(self) -> list[Parcel]:
        """All that the tablets have to send: operations, and the photos that some of them tell of."""
        told = [Parcel(number) for number in self.operations]
        return told + [Parcel(number, is_photo=True) for number, one in self.operations.items() if one.upload_id]

    def send(self, parcel: Parcel, *, is_cut: bool = False) -> str:
        """A tablet sends something; what it is answered, if nothing cuts the connection before it is kept."""
        return (self._upload if parcel.is_photo else self._tell)(parcel.number, is_cut=is_cut)

    def _upload(self, number: int, *, is_cut: bool) -> str:
        """As the route does it, piece by piece; a cut falls between any two of its transactions."""
        operation = self.operations[number]
        staff, slug = self.town.tablets[self.events[number].tablet or 0]
        upload_id = operation.upload_id
        assert upload_id is not None
        cuts = number % 4 if is_cut else 9
        with writing(self.town.id) as session:
            desk = Desk(session, view.fresh(session).municipalities[self.town.id], staff)
            crew = desk.municipality.crew(slug)
            known = uploads.begin(desk, crew, upload_id, len(PICTURE))
        for end in (len(PICTURE) // 2, len(PICTURE)):
            if known.received < end and cuts:
                key = uploads.keep_piece(self.town.id, upload_id, known.received, PICTURE[known.received : end])
                with writing(self.town.id) as session:
                    known = uploads.add(session, crew, known, key, end - known.received)
                cuts -= 1
        if not cuts:
            return "cut"
        with writing(self.town.id) as session:
            uploads.finish(session, view.fresh(session).municipalities[self.town.id], upload_id)
        if is_cut:
            return "cut"
        with reading(self.town.id) as session:
            waiting = field_photos.waiting_for(session, self.town.id, upload_id)
        for operation_id, report_id in waiting:
            with writing(self.town.id) as session:
                field_photos.bring_late(session, self.town.id, operation_id, report_id)
        return "applied"

    def _tell(self, number: int, *, is_cut: bool) -> str:
        operation, tablet = self.operations[number], self.events[number].tablet
        staff, crew = self.town.tablets[tablet or 0]
        now = max(datetime.now(UTC), operation.device_at)
        with contextlib.suppress(Cut), writing(self.town.id) as session:
            desk = Desk(session, view.fresh(session).municipalities[self.town.id], staff)
            moment = happened_at(operation.device_at, now, now)
            try:
                taken = field_operations.take(desk, desk.municipality.crew(crew), operation, moment)
            except NotFound:
                session.rollback()
                session.enter(self.town.id)
                return "refused"
            if is_cut:
                raise Cut
            return "already_applied" if taken.is_repeat else taken.operation.outcome
        return "cut"

    # --- how it ends

    def end(self) -> dict[str, Any]:
        """The end, told without ids and moments, so that it compares with another report's."""
        number_of = {operation.id: number for number, operation in self.operations.items()}
        with reading(self.town.id) as session:
            report = session.get_one(Report, (self.town.id, self.report_id))
            entries = session.scalars(
                select(TimelineEntry).where(TimelineEntry.report_id == report.id).order_by(TimelineEntry.id)
            ).all()
            kept = session.scalars(select(FieldOperation).where(FieldOperation.id.in_(number_of))).all()
            found = session.scalars(
                select(Report).where(Report.id.in_([one.report_id for one in kept if one.kind == "found_more"]))
            ).all()
            spent = field_work.spent(session, self.town.id, report.id)
            pictures = session.scalars(select(Photo.sha256).where(Photo.report_id == report.id)).all()
        told = [entry.to_state for entry in entries if entry.is_public and entry.to_state]
        assert told[-1] == report.state, "the reporter was last told another state"
        marked = Counter(
            entry.details[MARK] for entry in entries if MARK in entry.details and entry.what != "overturned"
        )
        own = [one for one in kept if one.report_id == report.id]
        assert marked == Counter(str(one.id) for one in own), "not one entry for each operation"
        assert all(one.is_noted for one in kept)
        assert all(one.outcome == "applied" for one in kept if one.kind == "photo")
        assert len(pictures) == len([one for one in kept if one.kind == "photo"])
        return {
            "state": (report.state, report.is_open),
            "whose": (report.department_id, report.crew_id),
            "solved": self._event(report.solved_at),
            "waits": self._event(report.paused_at),
            "due": report.deadline_at.date(),
            "words": sorted(entry.note for entry in entries if entry.note),
            "operations": {
                number_of[one.id]: (one.outcome, one.conflict and (one.conflict["why"], one.conflict["fields"]))
                for one in kept
            },
            "spent": spent,
            "photos": pictures,
            "found": sorted((one.description, one.state, one.lon) for one in found),
            "overturned": sorted(
                self._event(datetime.fromisoformat(entry.details["decided_at"])) or 0
                for entry in entries
                if entry.what == "overturned"
            ),
        }

    def _event(self, moment: datetime | None) -> int | None:
        """The number of the event that was going on then."""
        return None if moment is None else bisect_right(self.began, moment) - 1

    def check_against_the_fold(self) -> None:
        """The report is where the fold of all that was decided and is known to have been done puts it."""
        with reading(self.town.id) as session:
            report = session.get_one(Report, (self.town.id, self.report_id))
            entries = session.scalars(
                select(TimelineEntry).where(TimelineEntry.report_id == report.id, TimelineEntry.to_state.is_not(None))
            ).all()
            arrived = set(session.scalars(select(FieldOperation.id).where(FieldOperation.report_id == report.id)))
            crew_now = report.crew_id
        facts = [
            Fact(entry.at, is_deed=False, key=f"{entry.id:020d}", to=State(entry.to_state or ""))
            for entry in entries
            if MARK not in entry.details and entry.from_state != entry.to_state
        ]
        holders = [(datetime.min.replace(tzinfo=UTC), "roads-coast"), *self.holders]
        for operation in self.operations.values():
            if operation.kind in DEEDS and operation.id in arrived:
                holder = [crew for since, crew in holders if since <= operation.device_at][-1]
                crew = self.town.tablets[self.events[operation.sequence].tablet or 0][1]
                facts.append(
                    Fact(
                        operation.device_at,
                        is_deed=True,
                        key=str(operation.id),
                        to=DEEDS[operation.kind],
                        was_theirs=holder == crew,
                    )
                )
        folded = fold(facts)
        assert folded.state is not None
        assert (report.state, report.solved_at) == (folded.state.value, folded.solved_at)
        crews = view.held().municipalities[self.town.id].crew_ids
        assert (crews[crew_now].slug if crew_now else None) == holders[-1][1]

    @property
    def holders(self) -> list[tuple[datetime, str | None]]:
        """Since when which crew has it, by what the desk did."""
        return [
            (began, ("roads-coast", "roads-hills", None)[event.choice % 3])
            for began, event, was_open in zip(self.began, self.events, self.was_open, strict=False)
            if event.tablet is None and event.kind == "crew" and was_open
        ]

    was_open: list[bool] = field(default_factory=list)
    """Whether the report was open as each event began."""

    def look(self) -> None:
        """Remember whether it is open."""
        with reading(self.town.id) as session:
            self.was_open.append(session.get_one(Report, (self.town.id, self.report_id)).is_open)


def desk_moves(here: State) -> list[State]:
    """Where the desk may move a report that is no duplicate."""
    return sorted(
        there
        for (start, there), move in MOVES.items()
        if start is here and Mover.DESK in move.movers and State.DUPLICATE not in {here, there}
    )


def partitions(parcels: Sequence[Parcel], chance: Random) -> Iterator[tuple[Parcel, bool]]:
    """What is sent one after the other, and whether the connection is cut first: each at least once uncut, in the end.

    Batches are what lies between two cuts; a batch may hold what others held before, in any order.
    """
    left = set(parcels)
    while left:
        batch = chance.sample(list(parcels), chance.randint(1, len(parcels)))
        stops = chance.randint(0, len(batch))
        for parcel in batch[:stops]:
            yield parcel, False
            left.discard(parcel)
        if stops < len(batch):
            yield batch[stops], True
    for parcel in chance.sample(list(parcels), chance.randint(0, len(parcels) // 2)):
        yield parcel, False


serials = itertools.count()
quick = settings(
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)


@pytest.mark.timeout(900)
@settings(quick, max_examples=SCENARIOS)
@given(mornings, chances)
def test_however_the_tablets_send_the_end_is_the_same(town: Town, events: list[Event], chance: Random) -> None:
    check_deliveries(town, events, chance, DELIVERIES)


@pytest.mark.timeout(900)
@settings(quick, max_examples=PHOTO_SCENARIOS)
@given(photographed, chances)
def test_photos_that_come_in_pieces_and_what_tells_of_them_meet_in_any_order(
    town: Town, events: list[Event], chance: Random
) -> None:
    check_deliveries(town, events, chance, 3)


def check_deliveries(town: Town, events: list[Event], chance: Random, deliveries: int) -> None:
    """The same events end alike, however their parcels are delivered."""
    ends = []
    for _ in range(deliveries):
        trial = Trial.received(town, next(serials))
        for event in events:
            trial.look()
            trial.live(event)
        for parcel, is_cut in partitions(trial.parcels(), chance):
            trial.send(parcel, is_cut=is_cut)
        trial.check_against_the_fold()
        ends.append(trial.end())
    for end in ends:
        assert {key: (end[key], ends[0][key]) for key in end if end[key] != ends[0][key]} == {}


@pytest.mark.timeout(900)
@settings(quick, max_examples=4 * SCENARIOS)
@given(mornings, chances)
def test_also_while_the_desk_goes_on_the_report_is_where_the_fold_puts_it(
    town: Town, events: list[Event], chance: Random
) -> None:
    trial = Trial.received(town, next(serials))
    answered: dict[Parcel, str] = {}
    for event in events:
        trial.look()
        trial.live(event)
        parcels = trial.parcels()
        for parcel in chance.sample(parcels, chance.randint(0, len(parcels))):
            answer = trial.send(parcel, is_cut=chance.random() < 0.2)
            if answer != "cut" and not parcel.is_photo:
                assert (answer == "already_applied") == (answered.get(parcel, "refused") != "refused")
                answered.setdefault(parcel, answer)
        trial.check_against_the_fold()
    for parcel, is_cut in partitions(trial.parcels(), chance):
        trial.send(parcel, is_cut=is_cut)
    trial.check_against_the_fold()
    trial.end()


def test_entries_whose_numbers_grow_longer_keep_their_order(town: Town, database: str) -> None:
    with psycopg.connect(database) as admin:
        admin.execute("SELECT setval(pg_get_serial_sequence('timeline_entry', 'id'), 99999998)")
    trial = Trial.received(town, next(serials))
    for event in (Event("done", 0, 0), Event("note", 1)):
        trial.look()
        trial.live(event)
    assert trial.send(Parcel(0)) == "applied"
    trial.check_against_the_fold()
    assert trial.end()["state"] == ("resolved", False)


def test_the_same_sent_by_many_at_once_is_done_once(town: Town) -> None:
    for _ in range(5):
        trial = Trial.received(town, next(serials))
        for kind in ("start", "note", "work", "found_more", "done"):
            trial.look()
            trial.live(Event(kind, 1, 0))
        parcels = trial.parcels() * 4
        Random(7).shuffle(parcels)
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(trial.send, parcels))
        assert Counter(answers) == {"applied": 5, "already_applied": 15}
        trial.check_against_the_fold()
        end = trial.end()
        assert (end["state"], len(end["found"])) == (("resolved", False), 1)
