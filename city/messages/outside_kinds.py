"""The kinds of letters about work that others do: hand-overs and child jobs."""

from __future__ import annotations

from typing import Final

from city.messages import children_letters
from city.messages.handovers import letters
from city.messages.posting import Kind

OUTSIDE_KINDS: Final[dict[str, Kind]] = {
    "children_done": children_letters.DONE,
    "handover": letters.OUTSIDE,
    "handover_back": letters.BACK,
    "handover_called_back": letters.CALLED_BACK,
    "lent_called_back": letters.LENT_CALLED_BACK,
}
