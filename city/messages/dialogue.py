"""Letters of the talk with reporters.

To the desk when an answer has come or has not, or a report is reopened; to the reporter as a reminder.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from city.database import ReadSession, WriteSession
from city.messages.letter import Letter, quoted
from city.messages.news import receipt_link, report_facts, with_end
from city.messages.posting import About, Kind
from city.messages.quiet import reporter_due
from city.messages.recipients import Recipient, office, readers, reporter
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.reports.dialogue.tables import Question
from city.reports.lifecycle import State
from city.reports.tables import Report, Reporter, TimelineEntry
from city.texts import text


def in_charge(session: WriteSession, municipality: MunicipalityView, about: About) -> Iterable[Recipient]:
    """Who at the desk looks after the report; where nobody does, its department."""
    report = _report(session, municipality, about)
    return readers(session, municipality, [report.person_id], report) or office(session, municipality, report)


def _reporter(session: WriteSession, municipality: MunicipalityView, about: About) -> Iterable[Recipient]:
    to = reporter(municipality, session.get(Reporter, (municipality.id, UUID(about["report_id"]))))
    return [to] if to else []


def _report(session: ReadSession, municipality: MunicipalityView, about: About) -> Report:
    return session.get_one(Report, (municipality.id, UUID(about["report_id"])))


def _to_the_desk(name: str) -> Kind:
    def compose(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
        report = _report(session, municipality, delivery.about)
        question = session.get_one(Question, (municipality.id, delivery.about["question"]))
        language = delivery.language
        happened = [
            text("questions.asked", language=language),
            quoted(question.words, language),
            text(f"questions.{name}", language=language),
        ]
        if question.answer:
            happened.append(quoted(question.answer, language))
        return to_the_desk(session, municipality, report, language, name=name, happened=happened)

    return Kind(in_charge, compose)


def to_the_desk(
    session: WriteSession,
    municipality: MunicipalityView,
    report: Report,
    language: str,
    *,
    name: str,
    happened: list[str],
) -> Letter:
    """A letter to colleagues about a report; `name` names its subject and heading in the catalogue."""
    return Letter(
        subject=text(f"desk_mail.{name}_subject", language=language, number=report.number),
        heading=text(f"desk_mail.{name}", language=language, number=report.number),
        happened=happened,
        facts=report_facts(session, municipality, report, State(report.state), language),
        footer=text("desk_mail.footer", language=language, municipality=municipality.name),
    )


def _reminder(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    report = _report(session, municipality, delivery.about)
    question = session.get_one(Question, (municipality.id, delivery.about["question"]))
    if question.state != "open" or State(report.state) is not State.WAITING:
        return None
    language = delivery.language
    until = municipality.local(question.due_at).strftime("%d/%m/%Y")
    letter = Letter(
        subject=text("questions.reminder_subject", language=language, number=report.number),
        heading=text("questions.reminder", language=language, number=report.number),
        happened=[text("happened.asked", language=language), quoted(question.words, language)],
        next_step=text("next.asked", language=language, until=until),
        facts=report_facts(session, municipality, report, State(report.state), language),
        link=receipt_link(report) + "#question",
        footer=text("mail.footer", language=language, municipality=municipality.name),
        button=text("mail.answer", language=language),
    )
    return with_end(letter, report, language)


def _reminder_due(session: WriteSession, municipality: MunicipalityView, about: About) -> datetime | None:
    question = session.get_one(Question, (municipality.id, about["question"]))
    return reporter_due(session, municipality, question.report_id, question.reminded_at or question.remind_at)


def _department_too(session: WriteSession, municipality: MunicipalityView, about: About) -> Iterable[Recipient]:
    """The department, and who at the desk looks after the report."""
    report = _report(session, municipality, about)
    of_person = readers(session, municipality, [report.person_id], report)
    return {to.address.lower(): to for to in [*office(session, municipality, report), *of_person]}.values()


def _reopened(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    report = _report(session, municipality, delivery.about)
    entry = session.get_one(TimelineEntry, (municipality.id, delivery.about["entry"]))
    language = delivery.language
    happened = [text("reopening.said", language=language), quoted(entry.note or "", language)]
    if duplicate := entry.details.get("duplicate"):
        happened.append(text("reopening.of_duplicate", language=language, number=duplicate))
    return to_the_desk(session, municipality, report, language, name="reopened", happened=happened)


ANSWERED: Final = _to_the_desk("answered")
UNANSWERED: Final = _to_the_desk("unanswered")
REOPENED: Final = Kind(_department_too, _reopened)
REMINDER: Final = Kind(_reporter, _reminder, _reminder_due)
