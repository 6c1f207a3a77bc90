"""The state of a report as the fold of all that was done to it, at the desk and on tablets, in the order it happened.

A *fact* is one state somebody put the report into: the desk, the reporter or the program at once (`is_deed` false), a
crew on a tablet perhaps hours before we hear of it (`is_deed` true, a *deed*). The order in which facts reach us plays
no part: they are sorted by when they happened, and each is asked at its place:

| a fact …                                               | … at its place                                  |
|--------------------------------------------------------|-------------------------------------------------|
| puts the report where it is already                    | agrees (so does a deed `resolved` once closed)  |
| is a deed of a crew that did not have the report then  | stays out: `not_yours`                          |
| is a deed that the life cycle does not allow a crew    | stays out: `barred`                             |
| is the desk's, made after a crew had solved the report | stays out: `overturned`, unless it is binding   |
| is anything else                                       | moves the report                                |

*Binding* is what ties a report to something else or ends it for good: rejected, duplicate, forwarded, withdrawn. No
deed overturns it. So a later decision of the desk counts, but work that had been done before it stays done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from city.reports.lifecycle import MOVES, Mover, State

BINDING: Final = frozenset({State.REJECTED, State.DUPLICATE, State.FORWARDED, State.WITHDRAWN})
_SOLVED: Final = frozenset({State.RESOLVED, State.CLOSED})


class Fate(StrEnum):
    """What became of a fact."""

    MOVED = "moved"
    AGREES = "agrees"
    NOT_YOURS = "not_yours"
    BARRED = "barred"
    OVERTURNED = "overturned"

    @property
    def counts(self) -> bool:
        """Whether the report stood, from there on, where the fact puts it."""
        return self in {Fate.MOVED, Fate.AGREES}


class Fact(NamedTuple):
    """One state somebody put the report into. Facts sort by when they happened; the desk's come first in a tie."""

    at: datetime
    is_deed: bool
    key: str
    """Its id, which no other fact of the report has."""
    to: State
    was_theirs: bool = True
    """Of a deed: whether the crew had the report when it did so."""


@dataclass(slots=True)
class Folded:
    """Where the report stands, and how it came there."""

    state: State | None = None
    since: datetime | None = None
    moved_by: str | None = None
    """The key of the fact that put it there."""
    solved_at: datetime | None = None
    """When it was first solved, unless it was reopened since."""
    stops: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From when to when it has waited, or was over; without what lasts still."""
    stopped_at: datetime | None = None
    """Since when it waits, or is over."""
    fates: dict[str, Fate] = field(default_factory=dict)
    """What became of each fact, by its key."""

    def overturned(self) -> set[str]:
        """The keys of the desk's decisions that came too late."""
        return {key for key, fate in self.fates.items() if fate is Fate.OVERTURNED}


def fold(facts: Iterable[Fact]) -> Folded:
    """All facts, each once and in the order they happened, whatever order they are given in."""
    folded = Folded()
    solved_by_crew = False
    for fact in sorted(set(facts), key=lambda fact: (fact.at, fact.is_deed, fact.key)):
        here = folded.state
        fate = _fate(here, fact, solved_by_crew=solved_by_crew)
        folded.fates[fact.key] = fate
        if fate is not Fate.MOVED:
            continue
        runs = fact.to.is_open and fact.to is not State.WAITING
        if runs and folded.stopped_at is not None:
            folded.stops.append((folded.stopped_at, fact.at))
        folded.stopped_at = None if runs else folded.stopped_at or fact.at
        if fact.to not in _SOLVED:
            solved_by_crew = False
        elif here not in _SOLVED:
            solved_by_crew = fact.is_deed
        if fact.to is State.REOPENED:
            folded.solved_at = None
        elif fact.to in _SOLVED:
            folded.solved_at = folded.solved_at or fact.at
        folded.state, folded.since, folded.moved_by = fact.to, fact.at, fact.key
    return folded


def _fate(here: State | None, fact: Fact, *, solved_by_crew: bool) -> Fate:
    if fact.is_deed and not fact.was_theirs:
        return Fate.NOT_YOURS
    if here is fact.to or (fact.is_deed and here is State.CLOSED and fact.to is State.RESOLVED):
        return Fate.AGREES
    if here is None:
        return Fate.BARRED if fact.is_deed else Fate.MOVED
    move = MOVES.get((here, fact.to))
    if fact.is_deed:
        return Fate.MOVED if move is not None and Mover.CREW in move.movers else Fate.BARRED
    if move is None and solved_by_crew and here in _SOLVED and fact.to not in BINDING:
        return Fate.OVERTURNED
    return Fate.MOVED
