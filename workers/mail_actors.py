"""The jobs of mails that went wrong. Open, call the station, done."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import dramatiq

from city.database import provincial, writing
from city.errors import Unavailable
from city.messages import notification, posting, watching
from city.messages.posting import Compose
from city.messages.subscriptions import tidings
from city.registry import view
from city.reports import journey
from workers import returned_mail
from workers.letters import KINDS

COMPOSE: Final[dict[str, Compose]] = {
    **{name: kind.compose for name, kind in KINDS.items()},
    "report": notification.letter,
    tidings.KIND: tidings.compose,
    watching.KIND: watching.compose,
}
"""What a message of each kind says, whichever job sends it first."""


@dramatiq.actor
def read_bounces() -> None:
    """Read what has come back; the next job goes on after a while."""
    if returned_mail.read_box():
        with provincial() as session:
            journey.after_coming_back_by_mail(session)


@dramatiq.actor(max_retries=60)
def send_again(municipality_id: int, delivery_id: str) -> None:
    """Send a message that did not arrive once more."""
    with writing(municipality_id) as session:
        municipality = view.fresh(session).municipalities[municipality_id]
        problem = posting.deliver_again(session, municipality, UUID(delivery_id), COMPOSE)
    if problem:
        raise Unavailable("mail.silent", problem=problem)
