"""The administrator's errand with monthly reports: who gets them by mail, and a trial to one's own address."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Path, Response

from api.access import Signed, administering
from api.schemas.base import Slug
from api.schemas.schedule import LetterOut, RecipientOut, ScheduleOut, SchedulePut, TrialOut
from city.database import ReadSession
from city.errors import Conflict
from city.messages import monthly
from city.registry import schedules
from city.registry.schedule_tables import ReportSchedule
from city.registry.tables import Municipality
from city.reports import journey

router = APIRouter(prefix="/api/v1/registry/{owner}/report-schedules", tags=["administration"])

ScheduleId = Annotated[int, Path(ge=1, lt=2**31)]


@router.get("")
def list_schedules(owner: Slug, staff: Signed) -> list[ScheduleOut]:
    """Who gets the monthly report, when the next one is due, and what became of the last letters."""
    with administering(staff, owner) as (session, home):
        return [_shown(session, home, schedule, staff.language) for schedule in schedules.listed(session, home)]


@router.post("", status_code=201)
def add_schedule(owner: Slug, body: SchedulePut, staff: Signed) -> ScheduleOut:
    """Send the monthly report from the next of the days named on."""
    with administering(staff, owner) as (session, home):
        return _shown(session, home, schedules.add(session, home, body.fields(), datetime.now(UTC)), staff.language)


@router.put("/{schedule_id}")
def change_schedule(owner: Slug, schedule_id: ScheduleId, body: SchedulePut, staff: Signed) -> ScheduleOut:
    """Change a schedule; a month that was sent is not sent again."""
    with administering(staff, owner) as (session, home):
        return _shown(
            session,
            home,
            schedules.change(session, home, schedule_id, body.fields(), datetime.now(UTC)),
            staff.language,
        )


@router.delete("/{schedule_id}", status_code=204)
def remove_schedule(owner: Slug, schedule_id: ScheduleId, staff: Signed) -> Response:
    """Remove a schedule; letters that wait to be sent are not sent any more."""
    with administering(staff, owner) as (session, home):
        session.delete(schedules.one(session, home, schedule_id, locked=True))
    return Response(status_code=204)


@router.post("/{schedule_id}/trials", status_code=202)
def try_schedule(owner: Slug, schedule_id: ScheduleId, staff: Signed) -> TrialOut:
    """Send last month's report to whoever asks, as they may read it."""
    with administering(staff, owner) as (session, home):
        schedule = schedules.one(session, home, schedule_id)
        if staff.home_id != home.id:
            raise Conflict("schedules.no_trial_here", municipality=home.name)
        month = schedules.last_month(home, datetime.now(UTC))
        trial = {"trial_for": staff.person_id, "trial": str(uuid4())}
        journey.letters(session, home.id, monthly.KIND, **monthly.about(schedule.id, month), **trial)
        return TrialOut(month=f"{month:%Y-%m}", address=staff.email)


def _shown(session: ReadSession, home: Municipality, schedule: ReportSchedule, language: str) -> ScheduleOut:
    here = schedules.colleagues(session, home.id, schedule.recipients)
    letters = monthly.fates(session, schedule, language)
    return ScheduleOut(
        id=schedule.id,
        name=schedule.name,
        day=schedule.day,
        recipients=[
            RecipientOut(address=address, audience="staff" if address.lower() in here else "public")
            for address in schedule.recipients
        ],
        department=schedule.department_slug,
        group=schedule.group_slug,
        language=schedule.language,
        is_active=schedule.is_active,
        next_on=schedules.next_on(schedule, home, datetime.now(UTC)),
        last_month=f"{schedule.noted_month:%Y-%m}",
        letters=[LetterOut(**letter) for letter in letters],
    )
