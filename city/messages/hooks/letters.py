"""The letter to administrators whose webhook was switched off by itself: once, when it happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from sqlalchemy import select

from city.database import PROVINCE, WriteSession
from city.messages.hooks.tables import Webhook
from city.messages.letter import Letter
from city.messages.posting import About, Kind
from city.messages.recipients import Recipient, administrators
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.registry.staff import people
from city.registry.staff.rights import Right
from city.registry.tables import Person
from city.texts import text


def _recipients(session: WriteSession, municipality: MunicipalityView, about: About) -> Iterable[Recipient]:
    """The administrators of the municipality; of the province, where the webhook is the province's."""
    if about["owner_id"] != PROVINCE:
        return administrators(session, municipality)
    with _at(session, PROVINCE, municipality):
        persons = select(Person).where(Person.municipality_id == PROVINCE, Person.is_active).order_by(Person.id)
        found = people.staff_all(session, session.scalars(persons).all())
    return [Recipient(one.email, one.language) for one in found if one.posts_with(Right.ADMINISTER)]


def _compose(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    """What happened and what can be done; None where the webhook is gone, or switched on again."""
    about = delivery.about
    with _at(session, about["owner_id"], municipality):
        hook = session.get(Webhook, (about["owner_id"], UUID(about["webhook_id"])))
    if hook is None or hook.is_active:
        return None
    language = delivery.language
    values = {"address": hook.address, "description": hook.description or hook.address}
    return Letter(
        subject=text("hooks.letter.subject", language=language, **values),
        heading=text("hooks.letter.heading", language=language, **values),
        happened=[text(f"hooks.letter.{about['why']}", language=language, **values)],
        next_step=text("hooks.letter.next", language=language),
        facts=[(text("hooks.letter.address", language=language), hook.address)],
        footer=text("hooks.letter.footer", language=language),
    )


@contextmanager
def _at(session: WriteSession, owner_id: int, municipality: MunicipalityView) -> Iterator[None]:
    """See the rows of whoever owns the webhook; what is being changed here is the municipality's, and waits."""
    with session.no_autoflush:
        session.enter(owner_id)
        yield
        session.enter(municipality.id)


WEBHOOK_OFF: Final = Kind(_recipients, _compose)
