"""Pages on paper: HTML that needs nothing else becomes a PDF, in a process of its own (`press`).

That process gets the page and nothing else: none of our settings, no secret, no connection. Two print at once.
"""

from __future__ import annotations

import subprocess
import sys
import time
from threading import BoundedSemaphore
from typing import Final

from city.errors import Unavailable
from city.outside.press import MOST_SECONDS, NO_LIBRARIES
from city.settings import PROJECT

AT_ONCE: Final = 2
_presses: Final = BoundedSemaphore(AT_ONCE)
_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}


def as_pdf(markup: str, within_seconds: float = MOST_SECONDS) -> bytes:
    """The page as PDF, tagged for screen readers.

    Raises Unavailable where it cannot be printed: the libraries are not on this machine, it would take too long, or
    the page cannot be laid out.
    """
    begun = time.monotonic()
    if not _presses.acquire(timeout=within_seconds):
        raise Unavailable("paper.busy")
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "city.outside.press"],
            input=markup.encode(),
            capture_output=True,
            check=False,
            cwd=PROJECT,
            env=_ENVIRONMENT,
            timeout=max(1.0, within_seconds - (time.monotonic() - begun)),
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable("paper.slow", seconds=round(within_seconds)) from error
    finally:
        _presses.release()
    if done.returncode == NO_LIBRARIES:
        raise Unavailable("paper.no_libraries")
    if done.returncode != 0 or not done.stdout.startswith(b"%PDF-"):
        # What it says may quote the page; its last word is the name of what went wrong.
        kind = done.stderr.decode(errors="replace").strip().rpartition("\n")[2].partition(":")[0]
        raise Unavailable("paper.failed", problem=kind[:60] or str(done.returncode))
    return done.stdout
