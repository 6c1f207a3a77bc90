"""The chores of hand-overs."""

from __future__ import annotations

from typing import Final

from city.database import provincial
from city.messages.handovers import asking
from workers.chores import Chore


def ask_bodies() -> None:
    """See to it that bodies are asked how far they are, offices reminded of those that are late, and
    those told who have a report no more.
    """
    with provincial() as session:
        asking.due(session)
        asking.remind(session)
        asking.try_again(session)
        asking.say_withdrawn(session)


HANDOVER_CHORES: Final = (Chore("ask_bodies", 20, ask_bodies),)
