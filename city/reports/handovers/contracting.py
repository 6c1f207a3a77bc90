"""What somebody outside does with a report in their hands: takes it on, sends it back, or calls it done.

By the link of a hand-over, without any account; who reported is never shown there. Reading changes nothing: mail
programs open links by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.errors import Conflict, Gone, InvalidInput, NotFound
from city.registry.municipality import MunicipalityView
from city.reports import added_photos, journey
from city.reports.changing import enter, locked, tell, touch
from city.reports.checks import cleaned
from city.reports.handovers.children import open_children
from city.reports.handovers.handing_over import came_back, finish, named
from city.reports.handovers.links import link_hash
from city.reports.handovers.tables import ACTIVE, Handover
from city.reports.lifecycle import Mover, State, check_move
from city.reports.photos import IncomingPhoto
from city.reports.tables import Report
from city.reports.timeline import note_down

ACTS: Final = ("accept", "refuse", "done")
SPOKEN: Final = {"accept": "accepted", "refuse": "refused", "done": "done"}


class Opened(NamedTuple):
    """What a link leads to."""

    municipality_id: int
    handover_id: UUID
    report_id: UUID


@dataclass(frozen=True, slots=True)
class Act:
    """What they say: `accept`, `refuse` (why) or `done` (what was done), with photos."""

    act: str
    words: str | None = None
    photos: tuple[IncomingPhoto, ...] = ()


def opened(session: ReadSession, token: str) -> Opened:
    """Which hand-over the link opens: asked of all municipalities. Raises NotFound for a secret that is none."""
    row = session.execute(
        select(Handover.municipality_id, Handover.id, Handover.report_id).where(Handover.link_hash == link_hash(token))
    ).one_or_none()
    if row is None:
        raise NotFound("handover.no_such_link")
    return Opened(*row)


def check_live(municipality: MunicipalityView, report: Report, handover: Handover) -> None:
    """Raises Gone, saying whom to ask, where the link has expired or the report is in their hands no more.

    What they have done or sent back themselves they may still look at.
    """
    office = municipality.email or municipality.name
    if handover.link_expires_at is None or handover.link_expires_at <= datetime.now(UTC):
        raise Gone("handover.expired", number=report.number, municipality=municipality.name, office=office)
    if handover.state in {"withdrawn", "failed"}:
        raise Gone("handover.called_back", number=report.number, municipality=municipality.name, office=office)


def act(session: WriteSession, municipality: MunicipalityView, link: Opened, token: str, said: Act) -> bool:
    """Do what they say; whether anything came of it: a repeat changes nothing, and keeps no photo.

    Raises Gone, InvalidInput, Conflict where they have said something else before.
    """
    report = locked(session, municipality.id, link.report_id)
    handover = session.scalar(
        select(Handover)
        .where(Handover.municipality_id == municipality.id, Handover.id == link.handover_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if handover is None or handover.link_hash != link_hash(token):
        raise NotFound("handover.no_such_link")
    check_live(municipality, report, handover)
    words = cleaned(said.words, field="words")
    if handover.state == SPOKEN[said.act]:
        return False
    if handover.state not in ACTIVE:
        raise Conflict("handover.said_before", number=report.number)
    if said.act == "accept":
        accept(session, report, handover, actor="contractor", words=words)
    elif said.act == "refuse":
        if words is None:
            raise InvalidInput("handover.why_not", field="words")
        came_back(session, municipality, report, handover, actor="contractor", why="refused", words=words)
    else:
        if words is None:
            raise InvalidInput("handover.what_was_done", field="words")
        added_photos.append(session, report, said.photos)
        photos = [str(photo.id) for photo in said.photos]
        done(session, municipality, report, handover, actor="contractor", words=words, photos=photos)
    return True


def accept(session: WriteSession, report: Report, handover: Handover, *, actor: str, words: str | None) -> None:
    """They have taken it on; a note for the office."""
    handover.state, handover.accepted_at = "accepted", datetime.now(UTC)
    touch(report)
    note_down(session, report, "handover_accepted", actor=actor, is_public=False, note=words, details=named(handover))


def done(
    session: WriteSession,
    municipality: MunicipalityView,
    report: Report,
    handover: Handover,
    *,
    actor: str,
    words: str,
    photos: list[str],
) -> None:
    """They call it done: it is solved; or, where the office looks first or other parts of the work are open, back with
    the office.
    """
    finish(session, handover, "done")
    needs_check = handover.needs_check or bool(open_children(session, report))
    there = State.ASSIGNED if needs_check else State.RESOLVED
    check_move(State(report.state), there, Mover.OUTSIDE, words)
    enter(municipality, report, there)
    details = named(handover) | {"photos": photos}
    what = "done_outside" if needs_check else "moved"
    tell(session, report, what, actor=actor, here=State.FORWARDED, to=there, note=words, details=details)
    if needs_check:
        journey.after_coming_back(session, municipality.id, report.id, handover.id, "check")
