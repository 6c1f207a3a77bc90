"""Notices: what the municipality tells people of an area, from the first draft to its end.

    draft ──publish──▶ scheduled ──(its moment comes)──▶ published ──(its period is over, or staff say so)──▶ ended
      │                   │  ▲──withdraw: a draft again                │
      └──────publish──────┼──────────────────────────────▶ published ──withdraw──▶ withdrawn

People are told when it is published, of a change that staff call important, and of its withdrawal: each of these is a
telling, whose letters `queue` puts down and `sending` sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from shapely.geometry.base import BaseGeometry
from sqlalchemy import select
from sqlalchemy import text as statement

from city.database import WriteSession
from city.errors import Conflict, Forbidden, InvalidInput, NotFound, PreconditionRequired, VersionConflict
from city.messages.notices.area import Area, said, shape_of
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import KINDS, Notice, NoticeTelling
from city.registry.staff.people import Right
from city.registry.staff.rights import Stretch
from city.reports import journey
from city.reports.changing import Desk
from city.reports.checks import cleaned
from city.reports.identity import new_id
from geo.columns import read_shape
from geo.meeting import lies_in
from geo.nearby import extended_wkb

WRITE: Final = Right.DESK
WARN: Final = Right.OVERSEE
"""Heads and administrators: whoever wakes people at night."""
LONGEST_TITLE: Final = 160
LONGEST_TEXT: Final = 4_000
OPEN_STATES: Final = frozenset({"draft", "scheduled", "published"})


@dataclass(frozen=True, slots=True)
class NoticeFields:
    """A notice as it should be; moments are aware."""

    kind: str
    title_it: str | None
    title_en: str | None
    text_it: str | None
    text_en: str | None
    area: Area
    starts_at: datetime
    department: str
    ends_at: datetime | None = None
    expected_on: date | None = None
    publish_at: datetime | None = None
    expires_at: datetime | None = None
    groups: Sequence[str] | None = None
    link: str | None = None
    is_urgent: bool = False
    applies_to_reports: bool = False


def write(desk: Desk, fields: NoticeFields) -> Notice:
    """A new draft. Raises InvalidInput naming the field, Forbidden."""
    notice = Notice(
        municipality_id=desk.municipality.id,
        id=new_id(),
        state="draft",
        version=1,
        person_id=desk.staff.person_id,
        created_at=datetime.now(UTC),
    )
    _fill(desk, notice, fields)
    notice.number = _next_number(desk, notice.created_at)
    desk.session.add(notice)
    desk.session.flush()
    return notice


def _next_number(desk: Desk, now: datetime) -> str:
    """The next number of a notice; drawn when nothing can be refused any more, for a sequence takes none back."""
    drawn = desk.session.scalar(statement("SELECT nextval('notice_number')"))
    return f"{desk.municipality.prefix}-A-{desk.municipality.local(now).year}-{drawn}"


def change(
    desk: Desk,
    notice_id: UUID,
    version: int | None,
    fields: NoticeFields,
    *,
    tell: bool,
    words: str | None,
    confirm_urgent: bool = False,
) -> Notice:
    """Change a notice that is not over. Of a published one, `tell` says that people are to hear of it, in these words.

    A scheduled one is held to what is asked of one that is published. Raises InvalidInput, Forbidden, Conflict,
    VersionConflict.
    """
    notice = opened(desk, notice_id, version)
    if notice.state not in OPEN_STATES:
        raise Conflict("notices.over", number=notice.number)
    told = cleaned(words, field="what_changed", longest=LONGEST_TEXT)
    if tell and told is None:
        raise InvalidInput("notices.say_what_changed", field="what_changed")
    now, was_urgent = datetime.now(UTC), notice.is_urgent
    _fill(desk, notice, fields)
    if notice.state == "published" and notice.is_urgent and not was_urgent:
        raise Conflict("notices.urgent_later", field="is_urgent")
    if notice.state != "draft":
        _check_publishable(desk, notice, now, is_confirmed=was_urgent or confirm_urgent)
    _touch(notice)
    if notice.state == "scheduled":
        _let_appear(desk.session, notice, now)
    elif notice.state == "published":
        if tell:
            _tell(desk.session, notice, "changed", told)
        journey.after_dating(desk.session, notice.municipality_id, notice.id)
    return notice


def publish(desk: Desk, notice_id: UUID, version: int | None, *, confirm_urgent: bool) -> Notice:
    """Let a draft be seen and told, now or when its moment comes.

    Raises Conflict, Forbidden, VersionConflict; InvalidInput where its period is over, or an urgent one unconfirmed.
    """
    notice = opened(desk, notice_id, version)
    now = datetime.now(UTC)
    if notice.state not in {"draft", "scheduled"}:
        raise Conflict("notices.not_draft", number=notice.number)
    _check_publishable(desk, notice, now, is_confirmed=confirm_urgent)
    _touch(notice)
    _let_appear(desk.session, notice, now)
    return notice


def _check_publishable(desk: Desk, notice: Notice, now: datetime, *, is_confirmed: bool) -> None:
    """What holds of every notice that is public or will be by itself.

    Raises InvalidInput where its period is over by the time that it appears, or an urgent one is not confirmed;
    Forbidden where it is urgent and they may not warn.
    """
    appears_at = now if notice.state == "published" else max(now, notice.publish_at or now)
    for name in ("ends_at", "expires_at"):
        moment: datetime | None = getattr(notice, name)
        if moment is not None and moment <= appears_at:
            raise InvalidInput("notices.period_over" if moment <= now else "notices.over_before_seen", field=name)
    if notice.is_urgent:
        desk.staff.needs(WARN)
        if not is_confirmed:
            raise InvalidInput("notices.confirm_urgent", field="confirm_urgent")


def _let_appear(session: WriteSession, notice: Notice, now: datetime) -> None:
    """Now, or when its moment comes."""
    if notice.publish_at is not None and notice.publish_at > now:
        notice.state = "scheduled"
    else:
        _appear(session, notice, now)


def _appear(session: WriteSession, notice: Notice, now: datetime) -> None:
    """From now on everybody sees the notice, and those who asked are told."""
    notice.state, notice.published_at, notice.updated_at = "published", now, now
    _tell(session, notice, "announced", None)
    journey.after_dating(session, notice.municipality_id, notice.id)


def withdraw(desk: Desk, notice_id: UUID, version: int | None, reason: str | None) -> Notice:
    """Take a published notice back: whoever was told hears why. A scheduled one becomes a draft again.

    Raises Conflict, Forbidden, VersionConflict, InvalidInput.
    """
    notice = opened(desk, notice_id, version)
    if notice.state not in {"scheduled", "published"}:
        raise Conflict("notices.not_published", number=notice.number)
    _touch(notice)
    if notice.state == "scheduled":
        notice.state = "draft"
        return notice
    notice.reason = cleaned(reason, field="reason", longest=LONGEST_TEXT)
    if notice.reason is None:
        raise InvalidInput("notices.reason_needed", field="reason")
    notice.state, notice.over_at = "withdrawn", datetime.now(UTC)
    _tell(desk.session, notice, "withdrawn", notice.reason)
    journey.after_dating(desk.session, notice.municipality_id, notice.id)
    return notice


def end(desk: Desk, notice_id: UUID, version: int | None) -> Notice:
    """Say that what a published notice tells of is over; nobody is written to. Raises Conflict, Forbidden."""
    notice = opened(desk, notice_id, version)
    if notice.state != "published":
        raise Conflict("notices.not_published", number=notice.number)
    _touch(notice)
    notice.state, notice.over_at = "ended", datetime.now(UTC)
    return notice


def remove(desk: Desk, notice_id: UUID, version: int | None) -> None:
    """Throw a draft away. Raises Conflict where it is none any more."""
    notice = opened(desk, notice_id, version)
    if notice.state != "draft":
        raise Conflict("notices.not_draft", number=notice.number)
    desk.session.delete(notice)


def pause(desk: Desk, notice_id: UUID, *, is_paused: bool) -> Notice:
    """Hold back the letters that are not sent yet, or let them go on."""
    notice = opened(desk, notice_id, None, for_version=False)
    for telling in desk.session.scalars(
        select(NoticeTelling)
        .where(
            NoticeTelling.municipality_id == notice.municipality_id,
            NoticeTelling.notice_id == notice.id,
            NoticeTelling.over_at.is_(None),
        )
        .with_for_update()
    ):
        telling.paused_at = datetime.now(UTC) if is_paused else None
    if not is_paused:
        journey.after_queuing(desk.session, notice.municipality_id)
    return notice


def opened(desk: Desk, notice_id: UUID, version: int | None, *, for_version: bool = True) -> Notice:
    """The notice, locked, for somebody who may write it and has read this version of it.

    Raises NotFound, Forbidden, PreconditionRequired, VersionConflict.
    """
    notice = desk.session.get(Notice, (desk.municipality.id, notice_id), with_for_update=True)
    if notice is None:
        raise NotFound("notices.not_found", value=str(notice_id))
    shape = read_shape(notice.shape)
    assert shape is not None
    _check_reach(desk, notice.department_id, notice.groups, shape)
    if for_version and version is None:
        raise PreconditionRequired("notices.if_match_needed", field="If-Match")
    if for_version and notice.version != version:
        raise VersionConflict("notices.version_conflict", current=notice.version, given=version)
    return notice


def due(session: WriteSession, now: datetime, limit: int) -> list[tuple[int, UUID]]:
    """Municipality and id of the notices whose moment to appear, or to end, has come."""
    rows = session.execute(
        statement(
            "SELECT municipality_id, id FROM notice WHERE state = 'scheduled' AND publish_at <= :now"
            " OR state = 'published' AND least(ends_at, expires_at) <= :now ORDER BY id LIMIT :most"
        ),
        {"now": now, "most": limit},
    )
    return [(row[0], row[1]) for row in rows]


def keep_time(session: WriteSession, municipality_id: int, notice_id: UUID, now: datetime) -> None:
    """Let a notice appear, or end it, if its moment has come; whatever is over by then does not appear any more."""
    notice = session.get(Notice, (municipality_id, notice_id), with_for_update=True)
    if notice is None:
        return
    ends = [moment for moment in (notice.ends_at, notice.expires_at) if moment is not None]
    is_over = bool(ends) and min(ends) <= now
    is_due = notice.state == "scheduled" and notice.publish_at is not None and notice.publish_at <= now
    if is_over and (is_due or notice.state == "published"):
        _touch(notice)
        notice.state, notice.over_at = "ended", now
    elif is_due:
        _touch(notice)
        _appear(session, notice, now)


def _fill(desk: Desk, notice: Notice, fields: NoticeFields) -> None:
    municipality = desk.municipality
    if fields.kind not in KINDS:
        raise InvalidInput("notices.no_kind", field="kind", value=fields.kind, known=", ".join(KINDS))
    notice.kind = fields.kind
    notice.title_it, notice.title_en = _both("title", fields.title_it, fields.title_en, LONGEST_TITLE)
    notice.text_it, notice.text_en = _both("text", fields.text_it, fields.text_en, LONGEST_TEXT)
    notice.department_id = municipality.department(fields.department).id
    notice.groups = municipality.known_groups(fields.groups)
    notice.area, notice.is_everywhere = fields.area.as_json(), fields.area.everywhere
    notice.where_it, notice.where_en = (said(municipality, fields.area, language) for language in ("it", "en"))
    notice.zones = [f"{layer}/{code}" for layer, code in fields.area.zones]
    shape = shape_of(desk.session, view.fresh(desk.session), municipality, fields.area)
    notice.shape = extended_wkb(shape)
    _check_reach(desk, notice.department_id, notice.groups, shape)
    notice.starts_at, notice.ends_at, notice.expected_on = fields.starts_at, fields.ends_at, fields.expected_on
    notice.publish_at, notice.expires_at, notice.link = fields.publish_at, fields.expires_at, fields.link
    notice.is_urgent, notice.applies_to_reports = fields.is_urgent, fields.applies_to_reports
    if fields.ends_at is not None and fields.ends_at <= fields.starts_at:
        raise InvalidInput("notices.ends_before", field="ends_at")
    if fields.applies_to_reports and fields.expected_on is None:
        raise InvalidInput("notices.no_expected_day", field="expected_on")
    if fields.is_urgent and not desk.staff.posts_with(WARN):
        raise Forbidden("notices.urgent_not_allowed", field="is_urgent")


def _both(name: str, italian: str | None, english: str | None, longest: int) -> tuple[str, str]:
    """The words in both languages, one of which may be missing."""
    both = cleaned(italian, field=f"{name}.it", longest=longest), cleaned(english, field=f"{name}.en", longest=longest)
    if not any(both):
        raise InvalidInput("notices.no_words", field=name)
    return both[0] or "", both[1] or ""


def _check_reach(desk: Desk, department_id: int, groups: Sequence[str] | None, shape: BaseGeometry) -> None:
    """Raises Forbidden where they may not write for that department, or not for all that the notice is about."""
    desk.staff.needs(WRITE)
    covered = [one for one in desk.staff.sight(WRITE, desk.municipality).stretches if one.has(department_id, None)]
    if not covered:
        raise Forbidden("notices.not_this_department", field="department")
    if not any(_holds(desk.municipality, one, groups, shape) for one in covered):
        raise Forbidden("notices.not_within", field="area")


def _holds(municipality: MunicipalityView, stretch: Stretch, groups: Sequence[str] | None, shape: BaseGeometry) -> bool:
    """Whether a notice about these groups and this ground lies wholly within what somebody works on."""
    if stretch.groups is not None and (groups is None or not stretch.groups.issuperset(groups)):
        return False
    if stretch.zones is None:
        return True
    today = municipality.today()
    zones = [key for key in stretch.zones if municipality.zones[key].counts_on(today)]
    return lies_in(shape, [area for key in zones if (area := municipality.index.area(key)) is not None])


def _touch(notice: Notice) -> None:
    notice.version += 1
    notice.updated_at = datetime.now(UTC)


def _tell(session: WriteSession, notice: Notice, what: str, words: str | None) -> None:
    telling = NoticeTelling(
        municipality_id=notice.municipality_id, notice_id=notice.id, version=notice.version, what=what, words=words
    )
    session.add(telling)
    session.flush()
    journey.after_telling(session, notice.municipality_id, telling.id)
