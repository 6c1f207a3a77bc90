"""The letter that says that all child jobs of a report are over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from city.database import WriteSession
from city.messages.letter import Letter
from city.messages.posting import About, Kind
from city.messages.recipients import Recipient, office, readers
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.reports.handovers.children import children_of, open_children
from city.reports.tables import Report
from city.texts import text

MOST_SAID: Final = 20
LONGEST_WORDS: Final = 80


def _to_desk(session: WriteSession, municipality: MunicipalityView, about: About) -> Iterable[Recipient]:
    """Whoever looks after the parent, else its office."""
    parent = session.get(Report, (municipality.id, UUID(about["report_id"])))
    if parent is None:
        return []
    return readers(session, municipality, [parent.person_id], parent) or office(session, municipality, parent)


def _done(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    parent = session.get(Report, (municipality.id, delivery.report_id))
    if parent is None or open_children(session, parent):
        return None
    language = delivery.language
    category = municipality.category_ids[parent.category_id].name(language)
    values = {"number": parent.number, "category": category, "municipality": municipality.name}
    facts = [
        (
            f"{child.number} · {municipality.by_id[child.department_id].name(language)}",
            f"{text(f'state.{child.state}', language=language)}: {child.description[:LONGEST_WORDS]}",
        )
        for child in children_of(session, parent)[:MOST_SAID]
    ]
    return Letter(
        subject=text("children.mail.subject", language=language, **values),
        heading=text("children.mail.heading", language=language, **values),
        happened=[text("children.mail.done", language=language, **values)],
        next_step=text("children.mail.next_open" if parent.is_open else "children.mail.next_over", language=language),
        facts=facts,
        footer=text("handover.back.footer", language=language, **values),
    )


DONE: Final = Kind(_to_desk, _done)
