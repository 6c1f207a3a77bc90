"""What a benchmark says: a figure of ours beside a peer's of the same run, and the machine both ran on."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Unit = Literal[
    "requests/s",
    "reports/s",
    "rows/s",
    "texts/s",
    "photos/s",
    "points/s",
    "mails/s",
    "mails",
    "s",
    "ms",
    "µs",
    "MB",
    "kB",
]


@dataclass(frozen=True, slots=True)
class Result:
    """One comparison. `ratio` is oriented so that bigger is better; `target` is what it should reach, if anything."""

    name: str
    ours: float
    peer: float
    unit: Unit
    target: float | None = None

    @property
    def ratio(self) -> float:
        """How we compare: of rates ours to the peer's, of times and sizes the peer's to ours."""
        is_rate = self.unit.endswith("/s")
        above, below = (self.ours, self.peer) if is_rate else (self.peer, self.ours)
        return above / below if below else float("inf")

    @property
    def is_met(self) -> bool:
        """Whether the target, if there is one, is reached."""
        return self.target is None or self.ratio >= self.target

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        figures = asdict(self) | {"ratio": self.ratio}
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}


def machine() -> dict[str, Any]:
    """What the figures were measured on. The interpreter is named: one built by hand may be far slower."""
    return {
        "python": platform.python_version(),
        "interpreter": str(Path(sys.executable).resolve()),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
