"""The ladder: who is told of a report whose time runs out, and when. The municipality's own, else the province's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import InvalidInput
from city.registry.calendars import From
from city.registry.tables import Municipality

Audience = Literal["person", "office", "head", "administrator"]
"""Who looks after the report (else its crew, else the office); the department; its heads; the administrators."""
AUDIENCES: Final[tuple[Audience, ...]] = get_args(Audience)
ALL_PERCENT: Final = 100


class Rung(NamedTuple):
    """A step: reached when so many per cent of the time are over, or so many working days after the time is over."""

    percent: int | None
    working_days: int | None
    to: tuple[Audience, ...]

    @property
    def order(self) -> tuple[int, int]:
        """Which is higher: by this they are sorted."""
        return (self.percent, 0) if self.percent is not None else (ALL_PERCENT, self.working_days or 0)


Ladder = tuple[Rung, ...]

STANDARD_LADDER: Final[Ladder] = (
    Rung(75, None, ("person",)),
    Rung(100, None, ("person", "office")),
    Rung(None, 3, ("head",)),
    Rung(None, 10, ("head", "administrator")),
)
"""The ladder where neither municipality nor province has set one."""


def ladder_of(rows: Iterable[Mapping[str, Any]]) -> Ladder:
    """The ladder as the registry keeps it: rows of `percent` or `working_days`, and `to`."""
    return tuple(Rung(row.get("percent"), row.get("working_days"), tuple(row["to"])) for row in rows)


def ladder_for(session: ReadSession, home: Municipality) -> tuple[Ladder, From]:
    """The ladder that counts for a municipality, and who has set it."""
    if home.ladder is not None:
        return ladder_of(home.ladder), "own"
    provincial = session.get_one(Municipality, PROVINCE).ladder
    return (STANDARD_LADDER, "standard") if provincial is None else (ladder_of(provincial), "province")


def put_ladder(session: WriteSession, home: Municipality, ladder: Sequence[Rung] | None) -> None:
    """Set the ladder; empty: nobody is told; None: as the province has it (of the province: the standard one).

    Raises InvalidInput for a rung that says not exactly one moment, and for two at the same.
    """
    for rung in ladder or ():
        if (rung.percent is None) == (rung.working_days is None):
            raise InvalidInput("ladder.one_moment", field="rungs")
    rungs = sorted(ladder or (), key=lambda rung: rung.order)
    if len({rung.order for rung in rungs}) < len(rungs):
        raise InvalidInput("ladder.twice", field="rungs")
    home.ladder = None if ladder is None else [_row(rung) for rung in rungs]
    session.flush()


def _row(rung: Rung) -> dict[str, Any]:
    moment = {"percent": rung.percent} if rung.percent is not None else {"working_days": rung.working_days}
    return {**moment, "to": list(rung.to)}
