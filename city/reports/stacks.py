"""The same done to many reports at once: first tried and undone, to see what would come of it; then done.

Both run the very same code, the stations that change a single report. What cannot be done with one report is undone for
that one alone, and said. A token binds what is done to what was seen before; a reference of the client's makes the same
wish sent twice be done once.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from city.database import WriteSession
from city.digests import keyed
from city.errors import Conflict, InvalidInput, LampioneError, NotFound
from city.registry.staff.colleagues import colleague
from city.registry.staff.people import Right
from city.reports import assignment, attention, handling
from city.reports.changing import Desk
from city.reports.checks import cleaned
from city.reports.desk_tables import StackRun
from city.reports.handling import UNSORTED
from city.reports.lifecycle import State
from city.reports.mentions import Unknown
from city.reports.tables import Report

MOST: Final = 500
"""Reports in one stack."""
LONGEST_SECONDS: Final = 20.0
"""What is left of a stack by then is left undone, and said to be."""
TOKEN_SECONDS: Final = 3_600
KEPT_DAYS: Final = 30

Given = Mapping[str, Any]
"""What an action is given, JSON values."""


class Wanted(NamedTuple):
    """A report, and the version of it that was read; None: as it is now."""

    report_id: UUID
    version: int | None


class Action(NamedTuple):
    """Something that can be done to many reports: what, and with what."""

    do: str
    given: Given


@dataclass(slots=True)
class Outcome:
    """What came of it: `changed` and `unchanged` reports, and those `refused` with the reason."""

    changed: list[dict[str, Any]] = field(default_factory=list)
    unchanged: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)


Doing = Callable[[Desk, Report, int, Given], object]

_DO: Final[dict[str, Doing]] = {
    "move": lambda desk, report, version, given: handling.move(
        desk, report.id, version, State(given["to"]), reason=given["reason"], internal_note=given["internal_note"]
    ),
    "person": lambda desk, report, version, given: assignment.assign(desk, report.id, version, given["person"]),
    "crew": lambda desk, report, version, given: handling.give_to_crew(desk, report.id, version, given["crew"]),
    "department": lambda desk, report, version, given: handling.hand_to(
        desk, report.id, version, given["department"], given["reason"]
    ),
    "category": lambda desk, report, version, given: handling.categorise(
        desk, report.id, version, given["category"], given["note"]
    ),
    "note": lambda desk, report, version, given: handling.add_update(
        desk,
        report.id,
        version,
        given["text"],
        is_public=False,
        unknown_mentions=Unknown(given["unknown_mentions"]),
    ),
}


def check(desk: Desk, action: Action) -> None:
    """Whether this can be done at all. Raises Forbidden, InvalidInput, NotFound."""
    desk.staff.needs(Right.READ if action.do == "watch" else Right.FIELD)
    given, town = action.given, desk.municipality
    if action.do == "move" and given["to"] == State.DUPLICATE.value:
        raise InvalidInput("reports.by_merging", field="action.to")
    if action.do == "person" and given["person"] is not None:
        colleague(desk.session, town, given["person"])
    if action.do == "crew" and given["crew"] is not None:
        town.crew(given["crew"])
    if action.do == "department":
        town.department(given["department"])
    if action.do == "category":
        town.category(given["category"])
    if action.do == "note" and cleaned(given["text"], field="action.text") is None:
        raise InvalidInput("reports.nothing_to_say", field="action.text")


def run(desk: Desk, action: Action, wanted: Sequence[Wanted], language: str) -> Outcome:
    """Do it to each of them that allows it; `language` is that of the reasons.

    All rows, and those that hang on them, are locked first in the order of their ids, so that two stacks at once wait
    for one another and never both.
    """
    _lock(desk, [one.report_id for one in wanted])
    outcome, asked = Outcome(), []
    started = time.monotonic()
    for one in wanted:
        promised = len(desk.session.promised)
        report: Report | None = None
        try:
            if time.monotonic() - started > LONGEST_SECONDS:
                raise Conflict("stacks.time_over")
            report = _readable(desk, one.report_id)
            with desk.session.trial(), attention.gathered(desk.session) as own:
                _do(desk, action, report, one.version, outcome)
        except LampioneError as error:
            del desk.session.promised[promised:]
            outcome.refused.append(
                {
                    "id": str(one.report_id),
                    "number": report.number if report else None,
                    "why": error.sentence(language),
                    "field": error.field,
                }
            )
        else:
            asked += own
    attention.write_to(desk.session, desk.municipality.id, asked)
    return outcome


def _do(desk: Desk, action: Action, report: Report, version: int | None, outcome: Outcome) -> None:
    read = report.version if version is None else version
    seen = {"id": str(report.id), "number": report.number, "version": report.version}
    if action.do == "watch":
        _watch(desk, action, report, seen, outcome)
        return
    if _is_so(desk, action, report):
        outcome.unchanged.append(seen)
        return
    before = _looks(desk, report)
    _DO[action.do](desk, report, read, action.given)
    desk.session.flush()
    after = _looks(desk, report)
    changes = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
    if report.version == seen["version"]:
        outcome.unchanged.append(seen)
    else:
        outcome.changed.append(seen | {"version": report.version, "read": read, "changes": changes})


def _watch(desk: Desk, action: Action, report: Report, seen: dict[str, Any], outcome: Outcome) -> None:
    wish = bool(action.given["watch"])
    is_new = attention.watch(desk, report.id) if wish else attention.unwatch(desk, report.id)
    if is_new:
        outcome.changed.append(seen | {"read": report.version, "changes": {"watching": [not wish, wish]}})
    else:
        outcome.unchanged.append(seen)


def _is_so(desk: Desk, action: Action, report: Report) -> bool:
    """Whether the report is already as it is to become: nobody need hear of that."""
    given, town = action.given, desk.municipality
    if action.do == "crew":
        return report.crew_id == (town.crew(given["crew"]).id if given["crew"] else None)
    if action.do == "department":
        is_sorted = State(report.state) not in UNSORTED
        return is_sorted and report.department_id == town.department(given["department"]).id
    if action.do == "category":
        return report.decided_by == "staff" and report.category_id == town.category(given["category"]).id
    return False


def _looks(desk: Desk, report: Report) -> dict[str, Any]:
    town = desk.municipality
    crew = town.crew_ids.get(report.crew_id or 0)
    return {
        "state": report.state,
        "category": town.category_ids[report.category_id].slug,
        "department": town.by_id[report.department_id].slug,
        "crew": crew.slug if crew else None,
        "person": assignment.colleague_name(desk, report.person_id) if report.person_id else None,
        "deadline_at": _iso(report.deadline_at),
        "is_public": report.is_public,
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _lock(desk: Desk, report_ids: Iterable[UUID]) -> None:
    keys = list(report_ids)
    desk.session.execute(
        select(Report.id)
        .where(Report.municipality_id == desk.municipality.id, Report.id.in_(keys) | Report.master_id.in_(keys))
        .order_by(Report.id)
        .with_for_update()
    ).all()


def _readable(desk: Desk, report_id: UUID) -> Report:
    """The report as it is now. Raises NotFound, also where it is not for these eyes."""
    report = desk.session.get(Report, (desk.municipality.id, report_id), populate_existing=True)
    if report is None or not desk.may(report, Right.READ):
        raise NotFound("reports.not_found", value=str(report_id))
    return report


# --- what was seen before, and what was done already ------------------------------------------------------------------


def token(desk: Desk, action: Action, wanted: Sequence[Wanted], until: int | None = None) -> str:
    """Signs that this person has seen what the action would do to these versions; good for an hour."""
    until = int(time.time()) + TOKEN_SECONDS if until is None else until
    said = orjson.dumps(
        [
            until,
            desk.municipality.id,
            desk.staff.person_id,
            action.do,
            dict(action.given),
            [[str(one.report_id), one.version] for one in wanted],
        ],
        option=orjson.OPT_SORT_KEYS,
    )
    signature = keyed("stack", said).hex()[:32]
    return f"{until}.{signature}"


def check_token(desk: Desk, action: Action, wanted: Sequence[Wanted], given: str) -> None:
    """Raises Conflict (field `selection_token`) where this was not seen before, or too long ago."""
    written = given.partition(".")[0]
    until = int(written) if written.isascii() and written.isdigit() and len(written) < 12 else 0  # noqa: PLR2004
    if not hmac.compare_digest(given.encode(), token(desk, action, wanted, until).encode()):
        raise Conflict("stacks.not_seen", field="selection_token")
    if until < time.time():
        raise Conflict("stacks.seen_long_ago", field="selection_token")


def claim(desk: Desk, reference: UUID, action: Action, wanted: Sequence[Wanted]) -> dict[str, Any] | None:
    """The first answer to this wish, if it was sent before; else (None) it is ours to do.

    Waits for a transaction that is doing it just now. Raises Conflict where the reference stands for another wish.
    """
    said = [action.do, dict(action.given), [[str(one.report_id), one.version] for one in wanted], desk.staff.person_id]
    digest = hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()
    is_ours = desk.session.execute(
        insert(StackRun)
        .values(
            municipality_id=desk.municipality.id,
            reference=reference,
            person_id=desk.staff.person_id if desk.staff.home_id == desk.municipality.id else None,
            request_hash=digest,
            answer={},
        )
        .on_conflict_do_nothing()
        .returning(StackRun.reference)
    ).first()
    if is_ours:
        return None
    first = desk.session.get_one(StackRun, (desk.municipality.id, reference))
    if first.request_hash != digest:
        raise Conflict("stacks.other_wish", field="client_reference")
    return first.answer


def keep_answer(desk: Desk, reference: UUID, answer: dict[str, Any]) -> None:
    """Remember what was answered."""
    desk.session.execute(
        update(StackRun)
        .where(StackRun.municipality_id == desk.municipality.id, StackRun.reference == reference)
        .values(answer=answer)
    )


def forget_old(session: WriteSession) -> None:
    """Forget what was answered more than thirty days ago: nobody sends it again."""
    session.execute(delete(StackRun).where(StackRun.created_at < func.now() - timedelta(days=KEPT_DAYS)))
