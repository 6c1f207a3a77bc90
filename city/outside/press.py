"""The press: one page of HTML comes in by standard input, its PDF goes out by standard output.

Run as a process of its own by `paper`, because what lays out pages is large, slow to load and fed with names that
people chose. It fetches nothing but what the page holds itself, opens no connection, starts no program, writes no file,
and may take so much memory and time and no more.
"""

from __future__ import annotations

import resource
import sys
from typing import Final

MEGABYTE: Final = 1024 * 1024
MOST_MEMORY: Final = 1536 * MEGABYTE
MOST_SECONDS: Final = 120
VARIANT: Final = "pdf/ua-1"
"""Tagged, so that a screen reader reads it in order (ISO 14289-1)."""

NO_LIBRARIES: Final = 3
"""The exit code where Pango is not on this machine."""
_FORBIDDEN: Final = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "ftplib.", "http.")


def main() -> int:
    """Print one page; the exit code."""
    for limit, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, MOST_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    try:
        from weasyprint import HTML  # noqa: PLC0415  (under the limits, and where its libraries are)
        from weasyprint.urls import URLFetcher  # noqa: PLC0415
    except OSError:
        return NO_LIBRARIES
    sys.addaudithook(_forbid)
    markup = sys.stdin.buffer.read().decode()
    fetcher = URLFetcher(allowed_protocols=["data"], fail_on_errors=True)
    printed = HTML(string=markup, url_fetcher=fetcher).write_pdf(pdf_variant=VARIANT)
    sys.stdout.buffer.write(printed)
    sys.stdout.buffer.flush()
    return 0


def _forbid(event: str, _arguments: tuple[object, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(event)


if __name__ == "__main__":
    sys.exit(main())
