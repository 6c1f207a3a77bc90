"""What became of messages, as staff see it. Whose address it was is a right of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from city.database import ReadSession
from city.registry.view import MunicipalityView

FATE: Final = (
    "id",
    "kind",
    "channel",
    "subject",
    "state",
    "attempts",
    "problem",
    "dropped_for",
    "bounce",
    "status",
    "bounced_at",
    "opened_at",
    "openings",
    "resends",
    "created_at",
    "sent_at",
)


def of_report(session: ReadSession, municipality: MunicipalityView, report_id: UUID) -> list[dict[str, Any]]:
    """The fate of every message about a report; no address is repeated here."""
    rows = session.raw.execute(
        f"SELECT {', '.join(FATE)} FROM delivery"  # noqa: S608
        " WHERE municipality_id = %s AND report_id = %s ORDER BY created_at, entry_id",
        (municipality.id, report_id),
    )
    return [told(row) for row in rows]


def told(row: tuple[Any, ...]) -> dict[str, Any]:
    """The columns of FATE as JSON values."""
    return {name: _plain(value) for name, value in zip(FATE, row, strict=True)}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def unreachable(session: ReadSession, municipality: MunicipalityView, report_id: UUID) -> dict[str, Any] | None:
    """Why the reporter cannot be reached by mail, if that is so."""
    row = session.raw.execute(
        "SELECT paused.id, paused.paused_at, paused.bounce, paused.status FROM reporter"
        " JOIN paused_address AS paused ON paused.municipality_id = reporter.municipality_id"
        " AND paused.address = lower(reporter.email)"
        " WHERE reporter.municipality_id = %s AND reporter.report_id = %s",
        (municipality.id, report_id),
    ).fetchone()
    return {"pause": row[0], "since": row[1].isoformat(), "bounce": row[2], "status": row[3]} if row else None
