"""The shapes of what a reporter sends with the receipt token."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.schemas import Strict, Words


class AnswerIn(Strict):
    """The answer to a question of the desk; without `question` to the one that is open."""

    question: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    text: Words
