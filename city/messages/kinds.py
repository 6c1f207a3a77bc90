"""The kinds of letters, by the name under which `journey` promises them."""

from __future__ import annotations

from typing import Final

from city.messages.posting import Kind

KINDS: Final[dict[str, Kind]] = {}
