"""What a mail server's status says of an address (RFC 3463): may we go on writing to it?

Codes only: whatever else a server says may quote somebody.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

_ENHANCED: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY: Final = re.compile(r"(?<![\d.])([45]\d\d)(?=[ -])")
_SEVERAL_MEANINGS: Final = re.compile(r"[45]\.0\.0")
_NO_SUCH: Final = re.compile(
    r"(user|mailbox|recipient|address|account)[^.\n]{0,60}(unknown|not found|does(n.t| not) exist|not exist|disabled)"
    r"|(no such|unknown|invalid|non-?existent) (user|mailbox|recipient|address|account|local part)"
    r"|no mailbox here|does(n.t| not) have an? \S+ account|recipient address rejected: access denied",
    re.IGNORECASE,
)
_FULL: Final = re.compile(r"(over ?quota|quota exceeded|mailbox (is )?full|insufficient (disk )?space)", re.IGNORECASE)

_TAKES_NOTHING: Final = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4", "5.4.310"}
"""No such mailbox, no such domain, moved, disabled; the longer ones are Microsoft's for the same."""
_OURS: Final = re.compile(r"[45]\.7\.\d+|5\.[56]\.\d+|5\.1\.[789]|5\.2\.3|5\.3\.4")
"""Policy, contents, protocol, our sender, our size: nothing is wrong with the address."""


class Bounce(StrEnum):
    """What came back."""

    HARD = "hard"
    """The address takes nothing."""
    SOFT = "soft"
    """Given up, but another mail may arrive another time."""
    DELAYED = "delayed"
    """Not there yet: the servers go on trying."""
    OURS = "ours"
    """Mail of ours is not wanted there, or not such mail."""
    COMPLAINT = "complaint"
    """Whoever got it calls it spam."""


def status_in(words: str) -> str:
    """The status code in a server's words: its enhanced one, or what the usual phrases stand for; "" without any."""
    reply = _REPLY.search(words)
    found = [match for match in _ENHANCED.finditer(words) if reply is None or match[1] == reply[1][0]]
    status = found[0].group() if found else f"{reply[1][0]}.0.0" if reply else ""
    if status and not _SEVERAL_MEANINGS.fullmatch(status) and status != "5.4.1":
        return status
    if status.startswith("4"):
        return status
    if _FULL.search(words):
        return "5.2.2"
    return "5.1.1" if _NO_SUCH.search(words) else status


def judged(status: str) -> Bounce:
    """What it means that a mail was given up with this status; without any it may be anything."""
    if status in _TAKES_NOTHING:
        return Bounce.HARD
    return Bounce.OURS if _OURS.fullmatch(status) else Bounce.SOFT
