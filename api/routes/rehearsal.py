"""The administrator's trial: what other rules would have done with the reports of the last months. Nothing is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.access import Signed, administering
from api.schemas.administration import RulePut
from api.schemas.base import Slug, Strict
from city.database import PROVINCE
from city.registry import view
from city.reports import coverage, rehearsal
from city.reports.rehearsal import Rehearsal

router = APIRouter(prefix="/api/v1/registry/{owner}", tags=["administration"])

MOST_REPORTS: Final = 200_000
"""Of each municipality the newest; the command line takes more."""
MOST_MOVES: Final = 200


class RulesTrial(Strict):
    """A set of rules to try, in place of all that the owner has."""

    rules: Annotated[list[RulePut], Field(max_length=1_000)]
    months: Annotated[int, Field(ge=1, le=120)] = 12


class MoveListed(BaseModel):
    """Reports that would go from one department to another. `numbers` names a few of them, public ones only."""

    municipality: str
    department_before: str
    department_after: str
    count: int
    categories: dict[str, int]
    numbers: list[str]


class DanglingListed(BaseModel):
    """A rule (its place in the list, from 1) that names something which is not there."""

    municipality: str
    rule: int
    what: str
    name: str


class TrialResult(BaseModel):
    """Who would have got what. `would_wait` counts reports that would wait for a person."""

    reports: int
    changed: int
    other_crew: int
    would_wait: int
    moves: list[MoveListed]
    dangling: list[DanglingListed]
    ties: list[list[int]]
    """Places in the list of rules of which two could tie."""


@router.post("/rules/dry-run")
def try_rules(owner: Slug, body: RulesTrial, staff: Signed) -> TrialResult:
    """Try a set of rules on the reports of the last months: how many would have gone to another department.

    Rules of a municipality replace its own, rules of the province those that all inherit; nothing is kept.
    """
    given = [rule.fields() for rule in body.rules]
    result = TrialResult(reports=0, changed=0, other_crew=0, would_wait=0, moves=[], dangling=[], ties=[])
    with administering(staff, owner) as (session, home):
        registry = view.fresh(session)
        towns = registry.municipalities.values() if home.id == PROVINCE else [registry.municipalities[home.id]]
        for town in towns:
            day = town.local(datetime.now(UTC)).date()
            after = rehearsal.with_rules(town, {home.id: given})
            reports = rehearsal.past_reports(session.raw, town, body.months, most=MOST_REPORTS)
            _add(result, rehearsal.rehearse(town, after, reports, day))
            result.dangling += [
                DanglingListed(municipality=town.slug, rule=-one.rule.id, what=one.what, name=one.name)
                for one in coverage.dangling(after, day)
                if one.rule.id < 0
            ]
            pairs = [[-one.id, -other.id] for one, other in coverage.ties(after, day) if one.id < 0 and other.id < 0]
            result.ties += [pair for pair in pairs if pair not in result.ties]
    result.moves = sorted(result.moves, key=lambda move: -move.count)[:MOST_MOVES]
    return result


def _add(result: TrialResult, found: Rehearsal) -> None:
    result.reports += len(found.reports)
    result.changed += found.changed
    result.other_crew += found.other_crew
    result.would_wait += found.would_wait
    result.moves += [
        MoveListed(
            municipality=found.municipality.slug,
            department_before=move.before.slug,
            department_after=move.after.slug,
            count=move.count,
            categories=move.by_category,
            numbers=[example.number for example in move.examples],
        )
        for move in found.moves
    ]
