"""A report goes to another municipality of this installation, and what becomes of it there is told here.

The other one takes it in as its own, by the same stations as a citizen's; the rows of the two never meet in one
transaction. The citizen keeps the first number, under which everything public that happens there can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from city.database import ReadSession, WriteSession
from city.registry.municipality import MunicipalityView
from city.reports import intake, journey, photos
from city.reports.changing import locked, tell, touch
from city.reports.handovers.contracting import done
from city.reports.handovers.handing_over import came_back, named
from city.reports.handovers.tables import ACTIVE, Handover
from city.reports.identity import id_from
from city.reports.judging import NOBODY, Contact, Submission
from city.reports.lifecycle import State
from city.reports.tables import HANDED_OVER, Photo, Report, Reporter, TimelineEntry
from city.reports.timeline import note_down
from city.texts import text
from geo.place import Place

OWN: Final = ("received", "assigned", "triage")
"""How every report begins: no news for whoever handed it over."""


class Picture(NamedTuple):
    """A photo that goes along: where its clean copies are, and its columns."""

    id: UUID
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that goes to the other municipality."""

    handover_id: UUID
    from_id: int
    to_id: int
    number: str
    from_name: str
    submission: Submission
    pictures: tuple[Picture, ...]


class Event(NamedTuple):
    """Something public that happened there."""

    id: int
    what: str
    to_state: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Echo:
    """What has happened there since it was last told here."""

    municipality_id: int
    handover_id: UUID
    report_id: UUID
    state: str
    events: tuple[Event, ...]


def pack(session: ReadSession, here: MunicipalityView, there: MunicipalityView, handover: Handover) -> Parcel:
    """What goes there; who reported only where the desk has said so."""
    report = session.get_one(Report, (here.id, handover.report_id))
    reporter = session.get(Reporter, (here.id, report.id)) if handover.shares_contact else None
    slug = here.category_ids[report.category_id].slug
    known = there.categories.get(slug)
    rows = session.scalars(
        select(Photo)
        .where(Photo.municipality_id == here.id, Photo.report_id == report.id, Photo.state == "ready")
        .order_by(Photo.position)
        .limit(photos.MOST_PHOTOS)
    )
    kept = ("position", "state", "sha256", "width", "height", "dhash", "taken_at", "metres_away", "is_far")
    return Parcel(
        handover_id=handover.id,
        from_id=here.id,
        to_id=there.id,
        number=report.number,
        from_name=here.name,
        submission=Submission(
            place=Place(report.lon, report.lat),
            description=handover.words,
            category=slug if known is not None and known.is_active and slug != "other" else None,
            address=report.address,
            contact=Contact(reporter.email, reporter.name, reporter.phone) if reporter else NOBODY,
            client_reference=handover.id,
            occurred_at=report.occurred_at,
            source=HANDED_OVER,
            language=report.language,
            home_id=there.id,
        ),
        pictures=tuple(Picture(row.id, {name: getattr(row, name) for name in kept}) for row in rows),
    )


def take_in(session: WriteSession, there: MunicipalityView, parcel: Parcel) -> tuple[UUID, str]:
    """Make a report of it in the other municipality's rows; its id and number. A repeat finds the first one."""
    received = intake.receive(session, parcel.submission, there)
    report_id, number = received.report_id, str(received.answer["number"])
    for picture in parcel.pictures:
        photo_id = id_from(parcel.handover_id, picture.id)
        photos.lend(parcel.from_id, picture.id, there.id, photo_id)
        row = {"municipality_id": there.id, "id": photo_id, "report_id": report_id, "is_public": False}
        session.execute(insert(Photo).values(row | picture.columns).on_conflict_do_nothing())
    if not received.is_repeat:
        report = session.get_one(Report, (there.id, report_id))
        details = {"municipality": parcel.from_name, "number": parcel.number}
        note_down(session, report, "received_from", is_public=False, details=details)
    return report_id, number


def note_arrival(session: WriteSession, handover: Handover, report_id: UUID, number: str) -> None:
    """It is there, under this number; whatever has happened there meanwhile is told next."""
    handover.their_report_id, handover.reference = report_id, number
    assert handover.to_municipality_id is not None
    journey.after_news_there(session, handover.to_municipality_id, report_id)


def listen(session: ReadSession, there_id: int, report_id: UUID) -> Echo | None:
    """What whoever handed this report over has not been told yet; asked of all municipalities."""
    handover = session.scalar(
        select(Handover).where(
            Handover.to_municipality_id == there_id, Handover.their_report_id == report_id, Handover.state.in_(ACTIVE)
        )
    )
    if handover is None:
        return None
    state = session.scalar(select(Report.state).where(Report.municipality_id == there_id, Report.id == report_id))
    found = session.execute(
        select(TimelineEntry.id, TimelineEntry.what, TimelineEntry.to_state, TimelineEntry.note)
        .where(
            TimelineEntry.municipality_id == there_id,
            TimelineEntry.report_id == report_id,
            TimelineEntry.is_public,
            TimelineEntry.id > handover.mirrored_id,
            TimelineEntry.what.not_in(OWN),
        )
        .order_by(TimelineEntry.id)
    )
    events = tuple(Event(*row) for row in found)
    return Echo(handover.municipality_id, handover.id, handover.report_id, state or "", events)


def tell_here(session: WriteSession, here: MunicipalityView, echo: Echo) -> None:
    """Tell it here, in the first report's own history; solved there is solved here, sent back is back."""
    report = locked(session, here.id, echo.report_id)
    for event in echo.events:
        handover = session.scalar(
            select(Handover)
            .where(Handover.municipality_id == here.id, Handover.id == echo.handover_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if handover is None or handover.state not in ACTIVE or event.id <= handover.mirrored_id:
            continue
        handover.mirrored_id = event.id
        if event.to_state is not None:
            handover.their_state = event.to_state
        if handover.state == "sent" and event.to_state in _BEGUN:
            handover.state = "accepted"
        session.flush()
        _tell(session, here, report, handover, event)


_BEGUN: Final = frozenset({"planned", "in_progress"})
_SOLVED: Final = frozenset({State.RESOLVED.value, State.CLOSED.value})


def _tell(session: WriteSession, here: MunicipalityView, report: Report, handover: Handover, event: Event) -> None:
    if event.to_state in _SOLVED:
        default = text("handover.there.solved", language=report.language, body=_name(report, handover))
        words = event.note or default
        done(session, here, report, handover, actor="outside", words=words, photos=[])
    elif event.to_state == State.REJECTED.value:
        came_back(session, here, report, handover, actor="outside", why="refused", words=event.note)
    elif event.to_state is not None or event.note:
        said = []
        if event.to_state is not None:
            said.append(text(f"state.{event.to_state}", language=report.language))
        if event.note:
            said.append(event.note)
        tell(session, report, "news_there", actor="outside", note=": ".join(said), details=named(handover))


def _name(report: Report, handover: Handover) -> str:
    return handover.name_en if report.language == "en" else handover.name_it


class Lent(NamedTuple):
    """A report that another municipality has from here, and who lent it."""

    to_id: int
    report_id: UUID
    handover_id: UUID
    from_name: str
    number: str


def lent(session: ReadSession, here: MunicipalityView, handover_id: UUID) -> Lent | None:
    """What the other municipality has of a hand-over that is over here; None where it has nothing."""
    handover = session.get(Handover, (here.id, handover_id))
    if handover is None or handover.state in ACTIVE:
        return None
    if handover.to_municipality_id is None or handover.their_report_id is None:
        return None
    number = session.scalar(
        select(Report.number).where(Report.municipality_id == here.id, Report.id == handover.report_id)
    )
    return Lent(handover.to_municipality_id, handover.their_report_id, handover.id, here.name, number or "")


def say_called_back(session: WriteSession, there: MunicipalityView, what: Lent) -> None:
    """Tell the other municipality once that the report was taken back; what it does with its own is its to say."""
    report = locked(session, there.id, what.report_id)
    known = session.scalar(
        select(TimelineEntry.id).where(
            TimelineEntry.municipality_id == there.id,
            TimelineEntry.report_id == report.id,
            TimelineEntry.what == "called_back",
        )
    )
    if known is not None:
        return
    details = {"municipality": what.from_name, "number": what.number}
    touch(report)
    note_down(session, report, "called_back", is_public=False, details=details)
    journey.letters(session, there.id, "lent_called_back", report_id=str(report.id), **details)
