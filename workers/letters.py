"""The kinds of letters a worker writes: the city's own, and those that tell records, of which messages know nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

from city.database import ReadSession, WriteSession, public
from city.errors import Forbidden, InvalidInput, TooManyRequests, Unavailable
from city.messages import kinds
from city.messages import monthly as monthly_letter
from city.messages.letter import Letter
from city.messages.posting import About, Kind
from city.messages.recipients import Recipient
from city.messages.tables import Delivery
from city.outside import paper
from city.records.insight import kept
from city.records.insight.insight import Scope, Sieve
from city.records.insight.kept import Kept
from city.records.monthly import monthly
from city.records.monthly import page as monthly_page
from city.records.monthly import parts as monthly_parts
from city.registry import schedules, view
from city.registry.municipality import MunicipalityView
from city.registry.schedule_tables import ReportSchedule
from city.registry.staff import people
from city.registry.tables import Person

PRINTED_WITHIN_SECONDS: Final = 50.0
"""The letter's row is locked meanwhile, and a transaction that says nothing for a minute is ended."""
MOST_KEPT: Final = 8


class _Printed(NamedTuple):
    """A report on paper, and what the letter says of it."""

    title: str
    sentences: list[str]
    pdf: bytes


_printed: Final[Kept[_Printed]] = Kept(MOST_KEPT)
"""Who gets the same report gets the same sheets."""


def _recipients(session: WriteSession, municipality: MunicipalityView, about: About) -> Iterable[Recipient]:
    """Whom the schedule names; of a trial only who asked for it."""
    schedule = session.get(ReportSchedule, (municipality.id, about["schedule_id"]))
    if schedule is None:
        return
    if "trial_for" in about:
        person = session.get(Person, (municipality.id, about["trial_for"]))
        if person is not None and person.is_active:
            yield Recipient(person.email, person.language, person.id)
        return
    here = schedules.colleagues(session, municipality.id, schedule.recipients)
    for address in schedule.recipients:
        person = here.get(address.lower())
        yield Recipient(address, person.language, person.id) if person else Recipient(address, schedule.language)


def _compose(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    """The letter with what its reader may read; None where the schedule is gone or they may read nothing any more.

    Raises Unavailable where it cannot be printed now.
    """
    schedule = session.get(ReportSchedule, (municipality.id, delivery.about["schedule_id"]))
    if schedule is None:
        return None
    registry = view.fresh(session)
    scope = Scope(registry, registry.municipalities[municipality.id])
    if delivery.person_id is not None:
        person = session.get(Person, (municipality.id, delivery.person_id))
        if person is None or not person.is_active:
            return None
        scope = Scope(registry, registry.municipalities[municipality.id], people.staff(session, person))
    sieve = Sieve(group=schedule.group_slug, department=schedule.department_slug)
    month = delivery.about["month"]

    def make() -> _Printed:
        return _print(session, scope, month, sieve, delivery.language)

    try:
        key = ("monthly", month, sieve, delivery.language, scope.key())
        made = _printed.get(key, kept.version_seen_by(session, municipality.id), make)
    except (Forbidden, InvalidInput):
        return None
    except TooManyRequests as error:
        raise Unavailable("paper.busy") from error
    return monthly_letter.letter(
        municipality,
        month=month,
        title=made.title,
        sentences=made.sentences,
        pdf=made.pdf,
        language=delivery.language,
        is_public=scope.is_public,
    )


def _print(session: ReadSession, scope: Scope, month: str, sieve: Sieve, language: str) -> _Printed:
    now = datetime.now(UTC)
    with _looking(session, scope) as look:
        seen = monthly.gather(look, scope, monthly.month_of(month, scope, now), now, sieve=sieve)
        report = monthly_parts.report(look, seen, language)
    pdf = paper.as_pdf(monthly_page.page(report), PRINTED_WITHIN_SECONDS)
    return _Printed(report.title, report.sentences, pdf)


@contextmanager
def _looking(session: ReadSession, scope: Scope) -> Iterator[ReadSession]:
    """With the public's own eyes, where what is public is told."""
    if not scope.is_public:
        yield session
        return
    with public() as look:
        yield look


KINDS: Final[dict[str, Kind]] = {**kinds.KINDS, monthly_letter.KIND: Kind(_recipients, _compose)}
