"""The mail with a one-time code. It is put down nowhere: who has it can sign in."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from city.database import ReadSession
from city.messages import mail_pace
from city.messages.letter import Letter, as_mail
from city.messages.tables import Delivery
from city.registry.sign_in import citizen_codes
from city.registry.sign_in.citizen_tables import CitizenCode
from city.texts import text


def send(session: ReadSession, code_id: UUID) -> None:
    """Send the code, unless it has been used or has grown old. Raises Unavailable, Refused."""
    asked = session.get(CitizenCode, code_id)
    if asked is None or not citizen_codes.is_good(asked):
        return
    say = partial(text, language=asked.language)
    letter = Letter(
        subject=say("citizen_code.subject"),
        heading=say("citizen_code.heading"),
        happened=[say("citizen_code.happened", minutes=int(citizen_codes.LIFE.total_seconds() // 60))],
        next_step=citizen_codes.code_of(asked.id),
        footer=say("citizen_code.footer"),
    )
    mail_pace.send(as_mail(None, Delivery(id=code_id, address=asked.email, language=asked.language), letter))
