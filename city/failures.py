"""Tell what went wrong without a word of what was being worked on.

The message of an exception may quote a citizen (PostgreSQL's "Key (email)=(…) already exists" does). What is kept in
the job table and in the log is its class, its code and where in our own files it came from: enough to find the fault.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

import psycopg

from city.errors import LampioneError
from city.settings import PROJECT

MOST_PLACES: Final = 6


def told(problem: BaseException) -> str:
    """`problem` in one line, from the effect to its cause: classes, codes and places, never values."""
    causes = " ← ".join(_named(each) for each in _chain(problem))
    places = " › ".join(_places(problem.__traceback__))
    return f"{causes} at {places}" if places else causes


def _chain(problem: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = problem
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _named(problem: BaseException) -> str:
    name = type(problem).__qualname__
    if isinstance(problem, LampioneError):
        return f"{name}({problem.key})"
    if isinstance(problem, psycopg.Error) and problem.sqlstate:
        return f"{name}({problem.sqlstate})"
    return name


def _places(trace: TracebackType | None) -> list[str]:
    """The innermost places: the last of our own files and what they called, without dramatiq's frames around them."""
    frames = [frame for frame in traceback.extract_tb(trace) if "/dramatiq/" not in frame.filename]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames[-MOST_PLACES:]]


def _short(filename: str) -> str:
    _, library, rest = filename.rpartition("/site-packages/")
    if library:
        return rest
    path = Path(filename)
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else path.name
