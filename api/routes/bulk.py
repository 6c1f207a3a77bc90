"""The staff's errand: the same done to many reports at once, after a look at what would come of it."""

from __future__ import annotations

from collections.abc import Sequence
from threading import BoundedSemaphore
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from api.access import Work, Workplace
from api.problems import language_of
from api.schemas.bulk import BulkIn, BulkOut
from city.errors import InvalidInput, TooManyRequests
from city.messages import reach
from city.records import saved_filters, worklists
from city.reports import stacks
from city.reports.changing import Desk
from city.reports.stacks import Action, Wanted

router = APIRouter(prefix="/api/v1/desk", tags=["desk"])

AT_ONCE: Final = 2
PATIENCE_SECONDS: Final = 15.0
_at_once: Final = BoundedSemaphore(AT_ONCE)
"""Few, so that intake keeps its threads."""


@router.post("/bulk", response_model=BulkOut)
def do_to_many(work: Workplace, body: BulkIn, request: Request) -> Response:
    """Do the same to up to 500 reports. First with `preview`: what would change, who would be written to, what cannot
    be done and why; nothing is kept. Then with the `reports` and the `selection_token` of that answer and a
    `client_reference`, under which a repeat is answered and not done again.
    """
    if not _at_once.acquire(timeout=PATIENCE_SECONDS):
        raise TooManyRequests("stacks.busy")
    try:
        answer = _done(work, body, language_of(request))
    finally:
        _at_once.release()
    return Response(orjson.dumps(answer), headers={"Cache-Control": "no-store"}, media_type="application/json")


def _done(work: Work, body: BulkIn, language: str) -> dict[str, Any]:
    action = body.what
    with work.desk() as desk:
        stacks.check(desk, action)
        if body.preview:
            return _tried(desk, action, *_selected(desk, body), language)
        if body.reports is None:
            raise InvalidInput("stacks.reports_needed", field="reports")
        if body.selection_token is None:
            raise InvalidInput("stacks.token_needed", field="selection_token")
        if body.client_reference is None:
            raise InvalidInput("stacks.reference_needed", field="client_reference")
        wanted = [Wanted(one.id, one.version) for one in body.reports]
        first = stacks.claim(desk, body.client_reference, action, wanted)
        if first is not None:
            return first
        stacks.check_token(desk, action, wanted, body.selection_token)
        answer = _ran(desk, action, wanted, language) | {"preview": False, "selected": len(wanted)}
        stacks.keep_answer(desk, body.client_reference, answer)
    return answer


def _tried(desk: Desk, action: Action, wanted: Sequence[Wanted], selected: int, language: str) -> dict[str, Any]:
    with desk.session.trial(kept=False):
        answer = _ran(desk, action, wanted, language)
    versions = {one["id"]: one["read"] for one in answer["changed"]}
    able = [Wanted(one.report_id, versions[str(one.report_id)]) for one in wanted if str(one.report_id) in versions]
    return answer | {
        "preview": True,
        "selected": selected,
        "reports": [{"id": str(one.report_id), "version": one.version} for one in able],
        "selection_token": stacks.token(desk, action, able),
    }


def _ran(desk: Desk, action: Action, wanted: Sequence[Wanted], language: str) -> dict[str, Any]:
    outcome = stacks.run(desk, action, wanted, language)
    return {
        "changed": outcome.changed,
        "unchanged": outcome.unchanged,
        "refused": outcome.refused,
        "told": reach.reached(desk.session, desk.municipality, desk.staff, desk.session.promised),
    }


def _selected(desk: Desk, body: BulkIn) -> tuple[list[Wanted], int]:
    """The reports named, or the first of those that a list holds; and how many it holds, as worklists count."""
    if body.reports is not None:
        return [Wanted(one.id, one.version) for one in body.reports], len(body.reports)
    if body.selection is None:
        raise InvalidInput("stacks.selection_needed", field="selection")
    chosen = [body.selection.conditions.chosen()]
    order = body.selection.order
    if body.selection.filter is not None:
        row = saved_filters.found(desk.session, desk.municipality, desk.staff, body.selection.filter)
        chosen.append(worklists.filter_from(row.conditions))
    of = worklists.condition(desk.municipality, desk.staff, *chosen)
    found = worklists.chosen_for(desk.session, of, order, stacks.MOST)
    number = len(found) if len(found) < stacks.MOST else worklists.count(desk.session, of)
    return [Wanted(key, version) for key, version in found], number
