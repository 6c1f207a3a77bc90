"""The chores of Lampione: what is done every so often without anybody asking."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Final

from city import pacing
from city.database import provincial, reading, writing
from city.messages import monthly
from city.messages.subscriptions import subscribing, tidings
from city.records import contact
from city.records.insight import hotspots
from city.records.search import index as search_index
from city.registry import schedules, view
from city.registry.municipality import MunicipalityView
from city.registry.sign_in import citizen_codes, citizens, provider_sign_in, provider_staff, signing_in, tickets
from city.reports import clock, closing, escalation, journey, photos, promises, stacks
from city.reports.dialogue import questions
from city.reports.field import uploads
from geo import pyramid
from workers.chores import Chore

LONGEST_TURN_SECONDS: Final = 2.0
SLIPS: Final = 50
"""Each has a transaction of its own."""


def fold_tiles() -> None:
    """Fold the changes of the map into its cells, batch by batch."""
    while True:
        with provincial() as session:
            folded = pyramid.fold(session.raw)
        if folded < pyramid.BATCH:
            break
    with provincial() as session:
        pyramid.forget_folds(session.raw)


def sweep_photos() -> None:
    """Throw away originals of reports that did not come to be."""
    with provincial() as session:
        photos.sweep(session)


def sweep_uploads() -> None:
    """Throw away photos that never came to their end."""
    with provincial() as session:
        uploads.sweep(session)


def forget_sign_ins() -> None:
    """Forget expired sign-ins, tickets and codes that nobody has used, who never came again, who may try again, and who
    looked at contact data long ago.
    """
    with provincial() as session:
        signing_in.forget_expired(session)
        citizens.forget_expired(session)
        citizen_codes.forget_old(session)
        tickets.forget_expired(session)
        provider_sign_in.forget_expired(session)
        provider_staff.forget_absent(session)
        pacing.forget_full(session)
        contact.forget_old(session)


def forget_stacks() -> None:
    """Forget what was answered long ago to those who changed many reports at once."""
    with provincial() as session:
        stacks.forget_old(session)


def gather_tidings() -> None:
    """Put down the letters of subscribers who are due, and have them sent."""
    with provincial() as session:
        for municipality_id, channel in tidings.gather(session):
            journey.after_gathering(session, municipality_id, channel)


def forget_wishes() -> None:
    """Forget subscriptions that nobody said yes to."""
    with provincial() as session:
        subscribing.forget_unconfirmed(session)


def find_hotspots() -> None:
    """Work out hot spots anew, of whoever has waited longest, for two seconds: the other chores want their turn."""
    started = time.monotonic()
    while time.monotonic() - started < LONGEST_TURN_SECONDS:
        with provincial() as session:
            municipality_id = hotspots.most_due(session, datetime.now(UTC))
            if municipality_id is None:
                return
            hotspots.renew(session, municipality_id)


def watch_clocks() -> None:
    """Notice what has become due: reports that climb the ladder, promised dates that have passed."""
    started = time.monotonic()
    while time.monotonic() - started < LONGEST_TURN_SECONDS:
        now = datetime.now(UTC)
        with provincial() as session:
            due = clock.due(session, now)
            registry = view.fresh(session)
        if not sum(_watch_clock(registry.municipalities[municipality_id], now) for municipality_id in due):
            return


def _watch_clock(municipality: MunicipalityView, now: datetime) -> int:
    """The same for one municipality, some of it; how many reports were looked at."""
    with writing(municipality.id) as session:
        looked_at = escalation.climb(session, municipality, now)
    with reading(municipality.id) as session:
        slipping = promises.slipping(session, municipality, now, SLIPS)
    for report_id in slipping:
        with writing(municipality.id) as session:
            promises.slip(session, municipality, report_id, now)
    return looked_at


def index_words() -> None:
    """Read the reports that have changed for the search, for two seconds, beginning elsewhere each time.

    So a municipality that has just imported a hundred thousand lets the others have their turn.
    """
    started = time.monotonic()
    while time.monotonic() - started < LONGEST_TURN_SECONDS:
        with provincial() as session:
            due = search_index.waiting(session.raw)
        if not due:
            return
        first = time.monotonic_ns() % len(due)
        for municipality_id in (*due[first:], *due[:first]):
            if time.monotonic() - started < LONGEST_TURN_SECONDS:
                with provincial() as session:
                    search_index.catch_up(session.raw, municipality_id)


def send_monthly_reports(now: datetime | None = None) -> None:
    """Promise the letters of the monthly reports whose day has come, and note it on their schedules."""
    with provincial() as session:
        for due in schedules.take_due(session, now or datetime.now(UTC)):
            about = monthly.about(due.schedule_id, due.month)
            journey.letters(session, due.municipality_id, monthly.KIND, **about)


def attend_questions() -> None:
    """Remind reporters of questions, and give back to the desk what has waited long enough for an answer."""
    now = datetime.now(UTC)
    with provincial() as session:
        due = questions.due(session, now)
    started = time.monotonic()
    for one in due:
        with writing(one.municipality_id) as session:
            questions.attend(session, view.fresh(session).municipalities[one.municipality_id], one, now)
        if time.monotonic() - started > LONGEST_TURN_SECONDS:
            return


def close_solved() -> None:
    """Close what was solved long enough ago, for two seconds: of whichever municipality comes first this time."""
    started = time.monotonic()
    now = datetime.now(UTC)
    with provincial() as session:
        municipalities = list(view.fresh(session).municipalities.values())
    secrets.SystemRandom().shuffle(municipalities)
    for municipality in municipalities:
        with writing(municipality.id) as session:
            closing.close_silently(session, municipality, now)
            due = closing.due(session, municipality, now)
        for report_id in due:
            if time.monotonic() - started > LONGEST_TURN_SECONDS:
                return
            with writing(municipality.id) as session:
                closing.close(session, municipality, report_id, now)
        if time.monotonic() - started > LONGEST_TURN_SECONDS:
            return


CHORES: Final = (
    Chore("fold_tiles", 5, fold_tiles),
    Chore("watch_clocks", 10, watch_clocks),
    Chore("index_words", 5, index_words),
    Chore("attend_questions", 60, attend_questions),
    Chore("close_solved", 300, close_solved),
    Chore("find_hotspots", 60, find_hotspots),
    Chore("send_monthly_reports", 60, send_monthly_reports),
    Chore("gather_tidings", 2, gather_tidings),
    Chore("forget_wishes", 3600, forget_wishes),
    Chore("sweep_photos", 3600, sweep_photos),
    Chore("sweep_uploads", 3600, sweep_uploads),
    Chore("forget_sign_ins", 3600, forget_sign_ins),
    Chore("forget_stacks", 3600, forget_stacks),
)
