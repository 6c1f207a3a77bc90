"""The jobs: three lines each. Open, call the station, done. What follows what stands in `city.reports.journey`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import dramatiq

from city.database import provincial, reading, writing
from city.errors import Unavailable
from city.messages import mail_pace, notification, password, posting, watching
from city.messages.subscriptions import tidings
from city.records.insight import hotspots
from city.registry import view
from city.reports import escalation, handling, journey, photos
from city.reports.field import field_photos, uploads
from workers.letters import KINDS

LONGEST_TURN_SECONDS: Final = 20.0


@dramatiq.actor
def derive_photos(municipality_id: int, report_id: str) -> None:
    """Make the clean copies of a report's photos."""
    with writing(municipality_id) as session:
        photos.develop(session, municipality_id, UUID(report_id))


@dramatiq.actor
def finish_upload(municipality_id: int, upload_id: str) -> None:
    """Look at a photo that has come in pieces, and bring it to the reports that wait for it."""
    with writing(municipality_id) as session:
        uploads.finish(session, view.fresh(session).municipalities[municipality_id], UUID(upload_id))
    with reading(municipality_id) as session:
        waiting = field_photos.waiting_for(session, municipality_id, UUID(upload_id))
    for operation_id, report_id in waiting:
        with writing(municipality_id) as session:
            field_photos.bring_late(session, municipality_id, operation_id, report_id)


@dramatiq.actor(max_retries=60)  # with the longest wait between two tries: a mail server may be away all night
def tell_reporter(municipality_id: int, report_id: str) -> None:
    """Tell the reporter what has happened since the last mail."""
    with writing(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        until = notification.put_off_until(session, municipality, UUID(report_id))
        if until is not None:
            journey.after_putting_off(
                session, "tell_reporter", until, municipality_id=municipality_id, report_id=report_id
            )
            return
        notification.queue(session, municipality, UUID(report_id))
    with writing(municipality_id) as session:
        problem = notification.deliver(session, municipality, UUID(report_id))
    if problem:
        raise Unavailable("mail.silent", problem=problem)


@dramatiq.actor(max_retries=60)
def send_letters(municipality_id: int, kind: str, about: dict[str, object]) -> None:
    """Write to whoever is to get a letter of this kind about this."""
    with writing(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        until = posting.put_off_until(session, municipality, KINDS[kind], about)
        if until is not None:
            journey.after_putting_off(
                session, "send_letters", until, municipality_id=municipality_id, kind=kind, about=about
            )
            return
        posting.queue(session, municipality, kind, KINDS[kind], about)
        waiting = posting.queued(session, municipality, kind, about)
    problem = None
    for delivery_id in waiting:
        with writing(municipality_id) as session:
            problem = posting.deliver(session, municipality, kind, KINDS[kind], about, only=delivery_id) or problem
    if problem:
        raise Unavailable("mail.silent", problem=problem)


@dramatiq.actor
def tell_subscribers(municipality_id: int, report_id: str) -> None:
    """Note what is new of a report for everybody who asked for it."""
    with writing(municipality_id) as session:
        tidings.note(session, view.fresh(session).municipalities[municipality_id], UUID(report_id))


@dramatiq.actor(max_retries=60)
def send_tidings(municipality_id: int, channel: str = "email") -> None:
    """Send what is put down for subscribers, each in a transaction of its own; the next job goes on after a while.

    All mail goes by one server, and so does app IO: where it is away, the rest waits too. Browsers have each their own.
    """
    tried: list[UUID] = []
    trouble = None
    until = time.monotonic() + LONGEST_TURN_SECONDS
    with mail_pace.turn(until) as turn:
        while time.monotonic() < until and (channel != "email" or turn.wait()):
            with writing(municipality_id) as session:
                municipality = view.fresh(session).municipalities[municipality_id]
                sent, problem = tidings.send_next(session, municipality, channel, tried)
            if problem and sent:
                trouble = problem
                tried.append(sent)
            if sent is None or (problem and channel != "push"):
                break
        else:
            with writing(municipality_id) as session:
                journey.after_gathering(session, municipality_id, channel)
    if trouble:
        raise Unavailable("mail.silent", problem=trouble)


@dramatiq.actor
def send_password_link(municipality_id: int, reset_id: str) -> None:
    """Send somebody of the staff the link to a new password."""
    with writing(municipality_id) as session:
        password.send(session, UUID(reset_id))


@dramatiq.actor(max_retries=60)
def tell_watchers(municipality_id: int, report_id: str) -> None:
    """Tell those who watch a report what others have done with it."""
    with writing(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        watching.queue(session, municipality, UUID(report_id))
    with writing(municipality_id) as session:
        problem = watching.deliver(session, municipality)
    if problem:
        raise Unavailable("mail.silent", problem=problem)


@dramatiq.actor
def wind_clocks(municipality_id: int) -> None:
    """Put a municipality's open reports where they stand on its ladder, in silence."""
    last: UUID | None = None
    while True:
        with writing(municipality_id) as session:
            municipality = view.fresh(session).municipalities.get(municipality_id)
            last = escalation.rewind(session, municipality, datetime.now(UTC), last) if municipality else None
        if last is None:
            return


@dramatiq.actor
def republish_category(municipality_id: int, category: str) -> None:
    """Make a category's reports as public as the category has become."""
    with writing(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        changed = handling.republish(session, municipality, municipality.categories[category])
    if changed:
        with provincial() as session:
            hotspots.forget(session, municipality_id)
