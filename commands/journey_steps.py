"""What every step of the journey is made of: an answer that is held against what was hoped for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import httpx

PATIENCE_SECONDS: Final = 20.0

Found = TypeVar("Found")


class Unexpected(AssertionError):
    """A step did not hold; the journey goes on with what it has."""


def expect(holds: bool, otherwise: str) -> None:
    """Raises Unexpected, saying `otherwise`."""
    if not holds:
        raise Unexpected(otherwise)


def good(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is one. Raises Unexpected."""
    expect(
        answer.is_success,
        f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:200]}",
    )
    return answer


def patiently(look: Callable[[], Found | None]) -> Found:
    """What `look` finds, asking again until it does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise Unexpected(f"not within {PATIENCE_SECONDS:.0f} s")
