"""The registry as a process holds it in memory: read once, kept until its version changes.

Intake asks the database for the version in its own transaction and reads the registry anew when it has moved on, so
an edited zone or rule counts at once in every process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from city.database import ReadSession, Writing, provincial
from city.errors import InvalidInput, NotFound
from city.registry.municipality import Registry
from city.registry.reading import read

Found = TypeVar("Found")

_held: Registry | None = None
_loading = threading.Lock()


def held() -> Registry:
    """The registry this process holds; perhaps a version behind."""
    return _held or load()


def at_version(version: int) -> Registry:
    """The registry, at least at `version`."""
    registry = held()
    return registry if registry.version == version else load(version)


def fresh(session: ReadSession | Writing) -> Registry:
    """The registry as it is now."""
    row = session.raw.execute("SELECT version FROM registry_version").fetchone()
    assert row is not None
    return at_version(row[0])


def newest() -> Registry:
    """The registry as it is now, for those without a transaction."""
    with provincial() as session:
        return fresh(session)


def found(look: Callable[[Registry], Found]) -> Found:
    """What `look` finds in the registry; before it says that there is none, it looks in the newest.

    Raises what `look` raises.
    """
    registry = held()
    try:
        return look(registry)
    except (InvalidInput, NotFound):
        now = newest()
        if now is registry:
            raise
        return look(now)


def load(version: int | None = None) -> Registry:
    """Read the registry from the database, unless another thread has just read that `version`."""
    global _held  # noqa: PLW0603  (one registry a process is the point)
    with _loading:
        if version is not None and _held is not None and _held.version == version:
            return _held
        with provincial() as session:
            _held = read(session)
        return _held


def forget() -> None:
    """Forget the registry: the database is another one now (tests, demo)."""
    global _held  # noqa: PLW0603
    _held = None
