"""What became of messages, as staff see it: of one report, and of a whole municipality.

Whose address it was is a right of its own: addresses are shown by `_address` alone, and hinted at to all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from city.database import ReadSession
from city.errors import sentence_of
from city.records.publication import make_cursor, read_cursor
from city.registry.municipality import MunicipalityView
from city.registry.staff.rights import Right, Staff

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


def of_report(
    session: ReadSession, municipality: MunicipalityView, report_id: UUID, language: str
) -> list[dict[str, Any]]:
    """The fate of every message about a report; no address is repeated here."""
    rows = session.raw.execute(
        f"SELECT {', '.join(FATE)} FROM delivery"  # noqa: S608
        " WHERE municipality_id = %s AND report_id = %s ORDER BY created_at, entry_id",
        (municipality.id, report_id),
    )
    return [told(row, language) for row in rows]


def one(session: ReadSession, municipality: MunicipalityView, delivery_id: UUID, language: str) -> dict[str, Any]:
    """The fate of one message."""
    row = session.raw.execute(
        f"SELECT {', '.join(FATE)} FROM delivery WHERE municipality_id = %s AND id = %s",  # noqa: S608
        (municipality.id, delivery_id),
    ).fetchone()
    assert row is not None
    return told(row, language)


def told(row: tuple[Any, ...], language: str) -> dict[str, Any]:
    """The columns of FATE as JSON values, for somebody who reads that language."""
    fate = {name: _plain(value) for name, value in zip(FATE, row, strict=True)}
    return fate | {"problem": sentence_of(row[FATE.index("problem")], language)}


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


# --- the log of a municipality ----------------------------------------------------------------------------------------

MOST_COUNTED: Final = 100_000
_LOG: Final = (
    "FROM delivery LEFT JOIN report"
    " ON report.municipality_id = delivery.municipality_id AND report.id = delivery.report_id WHERE "
)


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which messages; None: any."""

    state: str | None = None
    bounce: str | None = None
    kind: str | None = None
    channel: str | None = None
    report: str | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def log(
    session: ReadSession,
    municipality: MunicipalityView,
    staff: Staff,
    chosen: LogFilter,
    *,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """The messages about reports that `staff` deal with, newest first; the others only for who deals with all.

    Raises Forbidden; InvalidInput for a cursor that is not ours.
    """
    where, values = condition(municipality, staff, chosen)
    if cursor is not None:
        values["after_at"], values["after_id"] = read_cursor(cursor)
        where += " AND (delivery.created_at, delivery.id) < (%(after_at)s, %(after_id)s)"
    fate = ", ".join(f"delivery.{name}" for name in FATE)
    rows = session.raw.execute(
        f"SELECT {fate}, delivery.address, report.id, report.number {_LOG} {where}"
        " ORDER BY delivery.created_at DESC, delivery.id DESC LIMIT %(limit)s",
        values | {"limit": limit + 1},
    ).fetchall()
    shown = rows[:limit]
    again = _resent(session, municipality, [row[0] for row in shown])
    paused = _paused(session, municipality, [row[-3].lower() for row in shown])
    last = {"created_at": shown[-1][FATE.index("created_at")], "id": shown[-1][0]} if len(rows) > limit else None
    return {
        "deliveries": [
            told(row[:-3], staff.language)
            | {
                "address": _address(row[-3]),
                "report": {"id": str(row[-2]), "number": row[-1]} if row[-2] else None,
                "resent_as": again.get(row[0]),
                "is_paused": row[-3].lower() in paused,
            }
            for row in shown
        ],
        "next": make_cursor(last) if last else None,
    }


def counts(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, chosen: LogFilter
) -> list[dict[str, Any]]:
    """How many of each fate there are among the newest MOST_COUNTED of them. Raises Forbidden."""
    where, values = condition(municipality, staff, chosen)
    rows = session.raw.execute(
        "SELECT state, bounce, dropped_for, count(*) FROM ("  # noqa: S608
        f"SELECT delivery.state, delivery.bounce, delivery.dropped_for {_LOG} {where}"
        f" ORDER BY delivery.created_at DESC, delivery.id DESC LIMIT {MOST_COUNTED}) AS found"
        " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3",
        values,
    )
    return [dict(zip(("state", "bounce", "dropped_for", "count"), row, strict=True)) for row in rows]


def condition(municipality: MunicipalityView, staff: Staff, chosen: LogFilter) -> tuple[str, dict[str, Any]]:
    """`chosen` as a condition on `delivery` and `report`, inside of what `staff` deal with.

    Only who may know an address may ask for it. Raises Forbidden.
    """
    staff.needs(Right.DESK)
    clause, values = staff.sight(Right.DESK, municipality).clause()
    clauses = ["delivery.municipality_id = %(municipality_id)s", clause]
    values["municipality_id"] = municipality.id
    if chosen.address is not None:
        staff.needs(Right.CONTACT)
        clause, more = staff.sight(Right.CONTACT, municipality).clause("contact")
        clauses.append(clause)
        values |= more
    for clause, name, value in (
        ("delivery.state = %(state)s", "state", chosen.state),
        ("delivery.bounce = %(bounce)s", "bounce", chosen.bounce),
        ("delivery.kind = %(kind)s", "kind", chosen.kind),
        ("delivery.channel = %(channel)s", "channel", chosen.channel),
        ("report.number = %(number)s", "number", chosen.report),
        ("delivery.mailbox <> '' AND delivery.mailbox = lower(%(address)s)", "address", chosen.address),
        ("delivery.created_at >= %(since)s", "since", chosen.since),
        ("delivery.created_at < %(until)s", "until", chosen.until),
    ):
        if value is not None:
            clauses.append(clause)
            values[name] = value
    return " AND ".join(clauses), values


def _address(address: str) -> str:
    """An address as a hint, for eyes that know it already: `a…@example.org`; of other channels nothing."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}…@{domain}" if at else "…" if address else ""


def _resent(session: ReadSession, municipality: MunicipalityView, ids: list[UUID]) -> dict[UUID, str]:
    rows = session.raw.execute(
        "SELECT resends, id FROM delivery WHERE municipality_id = %s AND resends = ANY(%s)",
        (municipality.id, ids),
    )
    return {resent: str(key) for resent, key in rows}


def _paused(session: ReadSession, municipality: MunicipalityView, addresses: list[str]) -> set[str]:
    rows = session.raw.execute(
        "SELECT address FROM paused_address WHERE municipality_id = %s AND address = ANY(%s)",
        (municipality.id, addresses),
    )
    return {row[0] for row in rows}


# --- addresses that take nothing --------------------------------------------------------------------------------------


def pauses(
    session: ReadSession, municipality: MunicipalityView, staff: Staff, *, limit: int, after: int | None
) -> dict[str, Any]:
    """The addresses to which nothing is sent any more, newest first. Raises Forbidden."""
    staff.needs(Right.DESK)
    rows = session.raw.execute(
        "SELECT id, address, bounce, status, paused_at FROM paused_address"
        " WHERE municipality_id = %s AND (%s::bigint IS NULL OR id < %s::bigint) ORDER BY id DESC LIMIT %s",
        (municipality.id, after, after, limit + 1),
    ).fetchall()
    return {
        "addresses": [
            {"id": key, "address": _address(address), "bounce": bounce, "status": status, "since": since.isoformat()}
            for key, address, bounce, status, since in rows[:limit]
        ],
        "next": rows[limit - 1][0] if len(rows) > limit else None,
    }
