"""The life of a report: its states, and which move is allowed to whom.

```mermaid
stateDiagram-v2
    [*] --> received
    [*] --> triage
    [*] --> assigned
    received --> assigned
    received --> triage
    received --> rejected
    received --> duplicate
    received --> withdrawn
    triage --> assigned
    triage --> rejected
    triage --> duplicate
    triage --> waiting
    triage --> forwarded
    triage --> withdrawn
    assigned --> triage
    assigned --> planned
    assigned --> in_progress
    assigned --> waiting
    assigned --> resolved
    assigned --> rejected
    assigned --> duplicate
    assigned --> forwarded
    assigned --> withdrawn
    planned --> assigned
    planned --> in_progress
    planned --> waiting
    planned --> resolved
    planned --> rejected
    planned --> duplicate
    planned --> forwarded
    planned --> withdrawn
    in_progress --> assigned
    in_progress --> planned
    in_progress --> waiting
    in_progress --> resolved
    in_progress --> rejected
    in_progress --> duplicate
    in_progress --> forwarded
    waiting --> triage
    waiting --> assigned
    waiting --> planned
    waiting --> in_progress
    waiting --> resolved
    waiting --> rejected
    waiting --> duplicate
    waiting --> forwarded
    waiting --> withdrawn
    forwarded --> triage
    forwarded --> assigned
    forwarded --> resolved
    forwarded --> rejected
    forwarded --> duplicate
    resolved --> closed
    resolved --> reopened
    closed --> reopened
    rejected --> reopened
    duplicate --> reopened
    reopened --> triage
    reopened --> assigned
    reopened --> planned
    reopened --> in_progress
    reopened --> waiting
    reopened --> resolved
    reopened --> rejected
    reopened --> duplicate
    reopened --> forwarded
    closed --> [*]
    rejected --> [*]
    withdrawn --> [*]
```

A test holds drawing and table against one another.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from city.errors import Conflict, Forbidden, InvalidInput


class State(StrEnum):
    """Where a report is on its way."""

    RECEIVED = "received"
    TRIAGE = "triage"
    ASSIGNED = "assigned"
    PLANNED = "planned"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    FORWARDED = "forwarded"
    WITHDRAWN = "withdrawn"
    REOPENED = "reopened"

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something."""
        return self not in _ENDED


_ENDED: Final = frozenset({State.RESOLVED, State.CLOSED, State.REJECTED, State.DUPLICATE, State.WITHDRAWN})


class Mover(StrEnum):
    """Who moves a report."""

    CITIZEN = "citizen"
    CREW = "crew"
    DESK = "desk"
    SYSTEM = "system"
    OUTSIDE = "outside"
    """Whoever the report was handed to."""


class Move(NamedTuple):
    """One allowed step: to whom it is allowed, and whether a reason must be given."""

    movers: frozenset[Mover]
    needs_reason: bool = False


_DESK: Final = frozenset({Mover.DESK})
_DESK_SYSTEM: Final = frozenset({Mover.DESK, Mover.SYSTEM})
_FIELD: Final = frozenset({Mover.DESK, Mover.CREW})
_CITIZEN: Final = frozenset({Mover.CITIZEN})
_FIELD_SYSTEM: Final = _FIELD | {Mover.SYSTEM}
_BACK: Final = frozenset({Mover.DESK, Mover.SYSTEM, Mover.OUTSIDE})

ENTRANCES: Final = frozenset({State.RECEIVED, State.TRIAGE, State.ASSIGNED})
"""The states in which a report may begin."""

S = State
MOVES: Final[dict[tuple[State, State], Move]] = {
    (S.RECEIVED, S.ASSIGNED): Move(_DESK_SYSTEM),
    (S.RECEIVED, S.TRIAGE): Move(_DESK_SYSTEM),
    (S.RECEIVED, S.REJECTED): Move(_DESK, needs_reason=True),
    (S.RECEIVED, S.DUPLICATE): Move(_DESK),
    (S.RECEIVED, S.WITHDRAWN): Move(_CITIZEN),
    (S.TRIAGE, S.ASSIGNED): Move(_DESK_SYSTEM),
    (S.TRIAGE, S.REJECTED): Move(_DESK, needs_reason=True),
    (S.TRIAGE, S.DUPLICATE): Move(_DESK),
    (S.TRIAGE, S.WAITING): Move(_DESK, needs_reason=True),
    (S.TRIAGE, S.FORWARDED): Move(_DESK, needs_reason=True),
    (S.TRIAGE, S.WITHDRAWN): Move(_CITIZEN),
    (S.ASSIGNED, S.TRIAGE): Move(_DESK_SYSTEM, needs_reason=True),
    (S.ASSIGNED, S.PLANNED): Move(_DESK),
    (S.ASSIGNED, S.IN_PROGRESS): Move(_FIELD),
    (S.ASSIGNED, S.WAITING): Move(_FIELD, needs_reason=True),
    (S.ASSIGNED, S.RESOLVED): Move(_FIELD_SYSTEM, needs_reason=True),
    (S.ASSIGNED, S.REJECTED): Move(_DESK, needs_reason=True),
    (S.ASSIGNED, S.DUPLICATE): Move(_DESK),
    (S.ASSIGNED, S.FORWARDED): Move(_DESK, needs_reason=True),
    (S.ASSIGNED, S.WITHDRAWN): Move(_CITIZEN),
    (S.PLANNED, S.ASSIGNED): Move(_DESK),
    (S.PLANNED, S.IN_PROGRESS): Move(_FIELD),
    (S.PLANNED, S.WAITING): Move(_FIELD, needs_reason=True),
    (S.PLANNED, S.RESOLVED): Move(_FIELD_SYSTEM, needs_reason=True),
    (S.PLANNED, S.REJECTED): Move(_DESK, needs_reason=True),
    (S.PLANNED, S.DUPLICATE): Move(_DESK),
    (S.PLANNED, S.FORWARDED): Move(_DESK, needs_reason=True),
    (S.PLANNED, S.WITHDRAWN): Move(_CITIZEN),
    (S.IN_PROGRESS, S.ASSIGNED): Move(_FIELD, needs_reason=True),
    (S.IN_PROGRESS, S.PLANNED): Move(_FIELD),
    (S.IN_PROGRESS, S.WAITING): Move(_FIELD, needs_reason=True),
    (S.IN_PROGRESS, S.RESOLVED): Move(_FIELD_SYSTEM, needs_reason=True),
    (S.IN_PROGRESS, S.REJECTED): Move(_DESK, needs_reason=True),
    (S.IN_PROGRESS, S.DUPLICATE): Move(_DESK),
    (S.IN_PROGRESS, S.FORWARDED): Move(_DESK, needs_reason=True),
    (S.WAITING, S.TRIAGE): Move(_DESK_SYSTEM),
    (S.WAITING, S.ASSIGNED): Move(_DESK_SYSTEM),
    (S.WAITING, S.PLANNED): Move(_DESK_SYSTEM),
    (S.WAITING, S.IN_PROGRESS): Move(_FIELD | {Mover.SYSTEM}),
    (S.WAITING, S.RESOLVED): Move(_FIELD_SYSTEM, needs_reason=True),
    (S.WAITING, S.REJECTED): Move(_DESK, needs_reason=True),
    (S.WAITING, S.DUPLICATE): Move(_DESK),
    (S.WAITING, S.FORWARDED): Move(_DESK, needs_reason=True),
    (S.WAITING, S.WITHDRAWN): Move(_CITIZEN),
    (S.FORWARDED, S.TRIAGE): Move(_BACK, needs_reason=True),
    (S.FORWARDED, S.ASSIGNED): Move(_BACK, needs_reason=True),
    (S.FORWARDED, S.RESOLVED): Move(_BACK, needs_reason=True),
    (S.FORWARDED, S.REJECTED): Move(_DESK, needs_reason=True),
    (S.FORWARDED, S.DUPLICATE): Move(_DESK),
    (S.RESOLVED, S.CLOSED): Move(_DESK_SYSTEM),
    (S.RESOLVED, S.REOPENED): Move(_DESK | _CITIZEN, needs_reason=True),
    (S.CLOSED, S.REOPENED): Move(_DESK | _CITIZEN, needs_reason=True),
    (S.REJECTED, S.REOPENED): Move(_DESK, needs_reason=True),
    (S.DUPLICATE, S.REOPENED): Move(_DESK),
    (S.REOPENED, S.TRIAGE): Move(_DESK_SYSTEM),
    (S.REOPENED, S.ASSIGNED): Move(_DESK_SYSTEM),
    (S.REOPENED, S.PLANNED): Move(_DESK),
    (S.REOPENED, S.IN_PROGRESS): Move(_FIELD),
    (S.REOPENED, S.WAITING): Move(_FIELD, needs_reason=True),
    (S.REOPENED, S.RESOLVED): Move(_FIELD_SYSTEM, needs_reason=True),
    (S.REOPENED, S.REJECTED): Move(_DESK, needs_reason=True),
    (S.REOPENED, S.DUPLICATE): Move(_DESK),
    (S.REOPENED, S.FORWARDED): Move(_DESK, needs_reason=True),
}
"""Who may move a report from where to where. `duplicate` is entered by merging and left by splitting only."""


def check_move(here: State, there: State, mover: Mover, reason: str | None) -> Move:
    """The move from `here` to `there`, if `mover` may make it with this `reason`.

    Raises Conflict where the table has no such move, Forbidden where it is somebody else's, InvalidInput (field
    `reason`) where one is needed and missing.
    """
    move = MOVES.get((here, there))
    if move is None:
        open_moves = sorted(to.value for (start, to) in MOVES if start is here)
        raise Conflict("lifecycle.no_such_move", here=here.value, there=there.value, allowed=", ".join(open_moves))
    if mover not in move.movers:
        raise Forbidden("lifecycle.not_yours", here=here.value, there=there.value)
    if move.needs_reason and not (reason or "").strip():
        raise InvalidInput("lifecycle.reason_needed", field="reason", there=there.value)
    return move
