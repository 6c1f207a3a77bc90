"""The shapes of what a reporter sends with the receipt token."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from api.routes.subscriptions import SubscriberPut
from api.schemas import Strict, Words
from city.reports.dialogue.feedback import HIGHEST, LONGEST, LOWEST
from city.reports.hearing import Manner


class FeedbackIn(Strict):
    """How it was dealt with, 1 (bad) to 5 (good), and whether it is really solved (null: no word on that)."""

    rating: Annotated[int, Field(ge=LOWEST, le=HIGHEST)]
    text: Annotated[str, StringConstraints(max_length=LONGEST)] | None = None
    is_solved: bool | None = None


class MessagesIn(SubscriberPut):
    """How a reporter wants to be told about a report, or (`is_muted`) no more, but for the outcome."""

    is_muted: bool = False

    def manner(self) -> Manner:
        """As the city knows it."""
        return Manner(self.is_muted, self.language, self.rhythm, self.quiet)


class AnswerIn(Strict):
    """The answer to a question of the desk; without `question` to the one that is open."""

    question: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    text: Words
