"""Who would be written to: read from the jobs that a transaction has promised, before it is kept or undone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import String, cast, func, select

from city.database import WriteSession
from city.messages.kinds import KINDS
from city.messages.news import OUTCOMES
from city.registry.municipality import MunicipalityView
from city.registry.staff.colleagues import colleagues
from city.registry.staff.people import Staff
from city.reports.desk_tables import Watcher
from city.reports.tables import Report, Reporter

Promised = Iterable[tuple[str, dict[str, Any]]]


def reached(session: WriteSession, municipality: MunicipalityView, staff: Staff, promised: Promised) -> dict[str, Any]:
    """`letters` to how many `reporters`, which `colleagues` for what, and how many `others` (offices, other bodies).

    No address is told: to see one is a right of its own.
    """
    told: set[UUID] = set()
    watched: set[UUID] = set()
    why: dict[int, set[str]] = {}
    others: set[str] = set()
    for actor, arguments in promised:
        if actor == "tell_reporter":
            told.add(UUID(arguments["report_id"]))
        elif actor == "tell_watchers":
            watched.add(UUID(arguments["report_id"]))
        elif actor == "send_letters":
            for to in KINDS[arguments["kind"]].recipients(session, municipality, arguments["about"]):
                if to.person_id is None:
                    others.add(to.address.lower())
                else:
                    why.setdefault(to.person_id, set()).add(arguments["kind"])
    for person_id in _watchers(session, municipality, staff, watched):
        why.setdefault(person_id, set()).add("watched")
    letters, people = _reporters(session, municipality, told)
    return {
        "letters": letters,
        "reporters": people,
        "colleagues": [
            {"id": one.person_id, "name": one.name, "why": sorted(why[one.person_id])}
            for one in colleagues(session, municipality, list(why))
        ],
        "others": len(others),
    }


def _reporters(session: WriteSession, municipality: MunicipalityView, report_ids: set[UUID]) -> tuple[int, int]:
    row = session.execute(
        select(
            func.count(),
            func.count(func.distinct(func.coalesce(func.lower(Reporter.email), cast(Reporter.report_id, String)))),
        )
        .join(Report, (Report.municipality_id == Reporter.municipality_id) & (Report.id == Reporter.report_id))
        .where(
            Reporter.municipality_id == municipality.id,
            Reporter.report_id.in_(report_ids),
            (Reporter.email != "") | Reporter.fiscal_code.is_not(None),
            Reporter.muted_at.is_(None) | Report.state.in_(OUTCOMES),
        )
    ).one()
    return int(row[0]), int(row[1])


def _watchers(
    session: WriteSession, municipality: MunicipalityView, staff: Staff, report_ids: set[UUID]
) -> Iterable[int]:
    return session.scalars(
        select(Watcher.person_id)
        .distinct()
        .where(
            Watcher.municipality_id == municipality.id,
            Watcher.report_id.in_(report_ids),
            Watcher.person_id != staff.person_id,
        )
    )
