"""The mail with the link to a new password. It is put down nowhere: who has it can sign in."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from city.database import ReadSession
from city.messages import mail_pace
from city.messages.letter import Letter, as_mail
from city.messages.tables import Delivery
from city.registry.sign_in import signing_in
from city.registry.tables import PasswordReset, Person
from city.settings import settings
from city.texts import text


def send(session: ReadSession, reset_id: UUID) -> None:
    """Send the link, unless it has been used or has grown old. Raises Unavailable, Refused."""
    reset = session.get(PasswordReset, reset_id)
    if reset is None or not signing_in.is_good(reset):
        return
    person = session.get_one(Person, (reset.municipality_id, reset.person_id))
    say = partial(text, language=person.language)
    letter = Letter(
        subject=say("password.subject"),
        heading=say("password.heading"),
        happened=[say("password.happened"), say("password.otherwise")],
        link=f"{settings().public_url}/password/{signing_in.reset_token(reset_id)}",
        footer=say("password.footer"),
        button=say("password.button"),
    )
    delivery = Delivery(id=reset_id, address=person.email, language=person.language)
    mail_pace.send(as_mail(None, delivery, letter))
