"""What reporters think of how their report was dealt with: 1 to 5, words, and whether it is really solved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy.dialects.postgresql import insert

from city.database import ReadSession, WriteSession
from city.errors import Conflict, InvalidInput
from city.registry.municipality import MunicipalityView
from city.reports.changing import enter, tell, touch
from city.reports.checks import cleaned
from city.reports.dialogue.reopening import ENDED_WELL, head_of
from city.reports.dialogue.tables import Feedback
from city.reports.groups import hangs_on
from city.reports.lifecycle import Mover, State, check_move
from city.reports.tables import Report
from city.reports.timeline import note_down

LOWEST, HIGHEST = 1, 5
LONGEST: Final = 2_000
"""Letters of the words."""


class Said(NamedTuple):
    """What the reporter says: a rating from 1 (bad) to 5 (good), words, and whether it is solved (None: no word)."""

    rating: int
    words: str | None = None
    is_solved: bool | None = None


def give(session: WriteSession, municipality: MunicipalityView, report: Report, said: Said) -> None:
    """Keep it; said again, the last counts. `report` is locked.

    Who confirms that it is solved closes the report at once, unless others hang on it, who may see it otherwise.
    Raises Conflict while the work is not called done, InvalidInput.
    """
    if not LOWEST <= said.rating <= HIGHEST:
        raise InvalidInput("feedback.rating", field="rating", lowest=LOWEST, highest=HIGHEST)
    if State(head_of(session, report).state) not in ENDED_WELL:
        raise Conflict("feedback.not_yet", number=report.number)
    now = datetime.now(UTC)
    kept = {
        "rating": said.rating,
        "words": cleaned(said.words, field="text", longest=LONGEST),
        "is_solved": said.is_solved,
        "given_at": now,
    }
    key = {"municipality_id": report.municipality_id, "report_id": report.id}
    session.execute(insert(Feedback).values(**key, **kept).on_conflict_do_update(index_elements=list(key), set_=kept))
    report.rating = said.rating
    report.confirmed_at = (report.confirmed_at or now) if said.is_solved else None
    touch(report)
    about = {"rating": said.rating, "is_solved": said.is_solved}
    note_down(session, report, "rated", actor="citizen", is_public=False, details=about)
    here = State(report.state)
    if said.is_solved and here is State.RESOLVED and not hangs_on(session, report):
        check_move(here, State.CLOSED, Mover.SYSTEM, None)
        enter(municipality, report, State.CLOSED)
        tell(session, report, "confirmed", actor="citizen", here=here, to=State.CLOSED)


def given(session: ReadSession, report: Report) -> dict[str, Any] | None:
    """What the reporter has said, as JSON values."""
    row = session.get(Feedback, (report.municipality_id, report.id))
    if row is None:
        return None
    return {
        "rating": row.rating,
        "text": row.words,
        "is_solved": row.is_solved,
        "given_at": row.given_at.isoformat(),
    }
