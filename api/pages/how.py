"""How somebody wants to be told, as the forms of pages say it."""

from __future__ import annotations

from datetime import time
from typing import Literal

from pydantic import BaseModel, Field

from city.errors import InvalidInput


class HowForm(BaseModel):
    """Rhythm, language (`chosen`) and quiet hours."""

    rhythm: Literal["at_once", "daily"] = "at_once"
    chosen: Literal["it", "en"] = "it"
    quiet_from: str = Field("", max_length=8)
    quiet_until: str = Field("", max_length=8)

    def quiet(self) -> tuple[time, time] | None:
        """From when to when nothing is sent. Raises InvalidInput where one end is missing."""
        first, last = _hour(self.quiet_from, "quiet_from"), _hour(self.quiet_until, "quiet_until")
        if first is None and last is None:
            return None
        if first is None or last is None:
            raise InvalidInput("subscriptions.quiet_half", field="quiet_from" if first is None else "quiet_until")
        return first, last


def _hour(value: str, field: str) -> time | None:
    try:
        return time.fromisoformat(value).replace(tzinfo=None) if value else None
    except ValueError as error:
        raise InvalidInput("subscriptions.quiet", field=field) from error
