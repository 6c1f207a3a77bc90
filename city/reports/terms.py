"""How many days there are for what: the municipality's own, else the province's, else ours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import select

from city.database import PROVINCE, ReadSession
from city.registry.staff.people import Right
from city.reports.changing import Desk
from city.reports.dialogue.tables import DialogueTerms

NAMES: Final = ("reopening_days", "closing_days", "answer_days")


@dataclass(frozen=True, slots=True)
class Terms:
    """Calendar days."""

    reopening_days: int = 14
    """How long after it was called solved or closed the reporter may reopen a report."""
    closing_days: int = 14
    """After how long a solved report is closed."""
    answer_days: int = 10
    """How long the reporter has for an answer, unless the desk says otherwise."""


def terms(session: ReadSession, municipality_id: int) -> Terms:
    """What holds in this municipality."""
    rows = {
        row.municipality_id: row
        for row in session.scalars(
            select(DialogueTerms).where(DialogueTerms.municipality_id.in_((PROVINCE, municipality_id)))
        )
    }
    chosen = {}
    for name in NAMES:
        for owner in (municipality_id, PROVINCE):
            if name not in chosen and owner in rows and getattr(rows[owner], name) is not None:
                chosen[name] = getattr(rows[owner], name)
    return Terms(**chosen)


def shown(session: ReadSession, municipality_id: int) -> dict[str, Any]:
    """What holds, and which of it is the municipality's `own` (None: as the province has it)."""
    row = session.get(DialogueTerms, (municipality_id,))
    own = {name: getattr(row, name) if row else None for name in NAMES}
    return asdict(terms(session, municipality_id)) | {"own": own}


def put(desk: Desk, **days: int | None) -> dict[str, Any]:
    """Set the municipality's own terms; None: as the province has it. Raises Forbidden."""
    desk.staff.needs(Right.ADMINISTER)
    row = desk.session.get(DialogueTerms, (desk.municipality.id,)) or DialogueTerms(
        municipality_id=desk.municipality.id
    )
    for name in NAMES:
        setattr(row, name, days[name])
    desk.session.add(row)
    desk.session.flush()
    return shown(desk.session, desk.municipality.id)
