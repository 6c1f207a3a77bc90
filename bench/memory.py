"""How much memory a running installation takes: just started, while reports come in, and idle again afterwards.

Counted is the proportional share (PSS): what processes share (PostgreSQL's buffers, libraries) counts once in all.
Beside each part stands the sum of its processes' resident sizes (RSS), as `top` shows them, which counts it many times.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from bench.load import press
from bench.results import Result

WANTED_MB: Final = 400.0
WANTED_RATIO: Final = 1.0
SETTLE_SECONDS: Final = 8.0
LOAD_SECONDS: Final = 6.0
LOOK_EVERY_SECONDS: Final = 0.5
CLIENTS: Final = 32
KILOBYTE: Final = 1024
MEGABYTE: Final = 1_000_000

PROCESSES: Final = Path("/proc")
PARTS: Final = {
    "supervisor": re.compile(r"-m commands\b"),  # its plan names the others: it is looked for first
    "API": re.compile(r"\buvicorn\b"),
    "worker": re.compile(r"-m workers\b"),
    "keeper of the database": re.compile(r"cluster_keeper"),
    "PostgreSQL": re.compile(r"postgres"),
}
OTHER: Final = "other"


class Size(NamedTuple):
    """Megabytes (10⁶ bytes) of some processes: proportional and resident."""

    pss: float
    rss: float

    def __add__(self, other: object) -> Size:
        """Both together."""
        assert isinstance(other, Size)
        return Size(self.pss + other.pss, self.rss + other.rss)


def measure(root: int, address: str, reports: Iterator[bytes]) -> list[Result]:
    """Idle and under load: the process `root`, which serves at `address`, and all that came of it.

    After work PostgreSQL's buffers are filled and connections are kept: that is the idleness of a real installation.
    """
    time.sleep(SETTLE_SECONDS)
    started = sizes(root)
    loaded = _under_load(root, address, reports)
    time.sleep(SETTLE_SECONDS)
    return [
        *_results("just started", started, WANTED_RATIO),
        *_results(f"intake by {CLIENTS} clients", loaded, None),
        *_results("idle after work", sizes(root), WANTED_RATIO),
    ]


def sizes(root: int) -> dict[str, Size]:
    """The parts of an installation and their memory."""
    found: dict[str, Size] = {}
    for process in family(root):
        try:
            command = (
                (PROCESSES / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
            size = _size((PROCESSES / str(process) / "smaps_rollup").read_text("ascii"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended in the meantime
        part = next((name for name, mark in PARTS.items() if mark.search(command)), OTHER)
        found[part] = found.get(part, Size(0.0, 0.0)) + size
    return found


def family(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in PROCESSES.iterdir():
        if entry.name.isdigit():
            try:
                # After the name in brackets, which may hold anything: the state, then the parent.
                parent = int((entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def _size(rollup: str) -> Size:
    kilobytes = {name: int(value) for name, value in re.findall(r"^(Pss|Rss): +(\d+) kB$", rollup, re.MULTILINE)}
    return Size(kilobytes["Pss"] * KILOBYTE / MEGABYTE, kilobytes["Rss"] * KILOBYTE / MEGABYTE)


def _under_load(root: int, address: str, reports: Iterator[bytes]) -> dict[str, Size]:
    """The largest look while reports come in."""
    looks: list[dict[str, Size]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY_SECONDS):
            looks.append(sizes(root))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        press(address, reports, clients=CLIENTS, seconds=LOAD_SECONDS)
    finally:
        ended.set()
        watcher.join()
    return max(looks or [sizes(root)], key=lambda parts: _whole(parts).pss)


def _whole(parts: dict[str, Size]) -> Size:
    return sum(parts.values(), start=Size(0.0, 0.0))


def _results(when: str, parts: dict[str, Size], target: float | None) -> list[Result]:
    whole = Result(f"memory, {when}: all / {WANTED_MB:.0f} MB wanted", _whole(parts).pss, WANTED_MB, "MB", target)
    each = [
        Result(f"memory, {when}: {part} (PSS / RSS)", size.pss, size.rss, "MB")
        for part, size in sorted(parts.items(), key=lambda entry: -entry[1].pss)
    ]
    return [whole, *each]
