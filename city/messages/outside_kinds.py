"""The kinds of letters about work that others do: hand-overs and child jobs."""

from __future__ import annotations

from typing import Final

from city.messages import children_letters, handover_letters
from city.messages.posting import Kind

OUTSIDE_KINDS: Final[dict[str, Kind]] = {
    "children_done": children_letters.DONE,
    "handover": handover_letters.OUTSIDE,
    "handover_back": handover_letters.BACK,
    "handover_called_back": handover_letters.CALLED_BACK,
    "lent_called_back": handover_letters.LENT_CALLED_BACK,
}
