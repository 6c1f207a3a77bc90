"""The memory of an installation is that of a process and of all that came of it, and shared pages count once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench import memory

SHARED = 40_000_000
# A parent with forty megabytes that its child shares with it; both wait until standard input ends.
SHARING = f"import os, sys; held = bytearray({SHARED}); os.fork(); print(flush=True); sys.stdin.read()"


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", SHARING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        yield process


def test_children_belong_to_the_family(family: subprocess.Popen[bytes]) -> None:
    assert len(memory.family(family.pid)) == 2
    assert family.pid in memory.family(os.getpid())


def test_what_parent_and_child_share_counts_once(family: subprocess.Popen[bytes]) -> None:
    size = memory.sizes(family.pid)[memory.OTHER]
    assert size.rss >= 2 * SHARED / 1e6
    assert size.rss - size.pss >= 0.9 * SHARED / 1e6


def test_who_has_ended_is_passed_over() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert memory.sizes(gone.pid) == {}
