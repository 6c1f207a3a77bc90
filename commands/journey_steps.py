"""What every step of the journey is made of: an answer that is held against what was hoped for."""

from __future__ import annotations

import httpx


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
