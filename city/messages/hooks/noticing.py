"""Notices for webhooks: each time that people are told of one, other systems are told too."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select

from city.database import PROVINCE, ReadSession, WriteSession
from city.messages.hooks.tables import Webhook
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import Notice, NoticeTelling
from city.registry.notice_view import both
from city.settings import settings
from geo.columns import read_shape

NOTICE_EVENTS: Final[dict[str, str]] = {
    "notice.published": "a notice was published",
    "notice.changed": "a published notice was changed, and people are told",
    "notice.withdrawn": "a published notice was taken back",
}
_NAMES: Final = {
    "announced": "notice.published",
    "changed": "notice.changed",
    "withdrawn": "notice.withdrawn",
}

Told = tuple[NoticeTelling, Notice]


def told(session: ReadSession, municipality_id: int, telling_ids: Iterable[int]) -> list[Told]:
    """Those tellings with their notices."""
    wanted = _told().where(NoticeTelling.municipality_id == municipality_id, NoticeTelling.id.in_(telling_ids))
    return [(telling, notice) for telling, notice in session.execute(wanted)]


def take_unnoted(session: WriteSession, municipality_id: int, telling_id: int) -> list[Told]:
    """This telling and earlier ones of the same notice that are not written down yet, in order; they count as noted.

    The notice is locked to the end of the transaction, so that two jobs at once cannot change the order.
    """
    one = session.get(NoticeTelling, (municipality_id, telling_id))
    if one is None:
        return []
    session.get(Notice, (municipality_id, one.notice_id), with_for_update=True, populate_existing=True)
    wanted = _told().where(
        NoticeTelling.municipality_id == municipality_id,
        NoticeTelling.notice_id == one.notice_id,
        NoticeTelling.id <= telling_id,
        ~NoticeTelling.is_noted,
    )
    found = session.execute(wanted.order_by(NoticeTelling.id).execution_options(populate_existing=True)).all()
    for telling, _ in found:
        telling.is_noted = True
    return [(telling, notice) for telling, notice in found]


def told_since(session: ReadSession, owner_id: int, moment: datetime) -> list[Told]:
    """All of them since then, of a municipality, or (0) of all. Needs `provincial()`."""
    wanted = _told().where(NoticeTelling.created_at >= moment).order_by(NoticeTelling.id)
    if owner_id != PROVINCE:
        wanted = wanted.where(NoticeTelling.municipality_id == owner_id)
    return [(telling, notice) for telling, notice in session.execute(wanted)]


def _told() -> Select[NoticeTelling, Notice]:
    return select(NoticeTelling, Notice).join(
        Notice, (Notice.municipality_id == NoticeTelling.municipality_id) & (Notice.id == NoticeTelling.notice_id)
    )


def event_of(telling: NoticeTelling) -> str:
    """The name under which it is told."""
    return _NAMES[telling.what]


def wants(hook: Webhook, one: Told, municipality: MunicipalityView) -> bool:
    """Whether an endpoint is told of it. One that wants certain states wants reports."""
    telling, notice = one
    department = municipality.by_id[notice.department_id].slug
    return (
        hook.municipality_id in {PROVINCE, notice.municipality_id}
        and not hook.states
        and (not hook.events or event_of(telling) in hook.events)
        and (not hook.departments or department in hook.departments)
        and (not hook.groups or notice.groups is None or not set(hook.groups).isdisjoint(notice.groups))
        and (not hook.zones or not set(hook.zones).isdisjoint(_zones(notice, municipality)))
    )


def _zones(notice: Notice, municipality: MunicipalityView) -> list[str]:
    """As `layer/code` the zones that its area names or meets."""
    shape = read_shape(notice.shape)
    assert shape is not None
    met = municipality.zones_met(shape, municipality.local(notice.starts_at).date())
    return sorted({*(zone.path for zone in met), *notice.zones})


def payload(one: Told, municipality: MunicipalityView, *, is_replay: bool) -> dict[str, Any]:
    """What the endpoint is told: the notice as it is now, with the office's own title."""
    telling, notice = one
    base = settings().public_url.rstrip("/")
    return {
        "type": event_of(telling),
        "timestamp": telling.created_at.isoformat(),
        "data": {
            "municipality": municipality.slug,
            "is_replay": is_replay,
            "notice": {
                "id": str(notice.id),
                "number": notice.number,
                "kind": notice.kind,
                "state": notice.state,
                "version": notice.version,
                "title": both(notice.title_it, notice.title_en),
                "department": municipality.by_id[notice.department_id].slug,
                "groups": notice.groups,
                "zones": _zones(notice, municipality),
                "is_everywhere": notice.is_everywhere,
                "is_urgent": notice.is_urgent,
                "starts_at": notice.starts_at.isoformat(),
                "ends_at": notice.ends_at.isoformat() if notice.ends_at else None,
                "expected_on": notice.expected_on.isoformat() if notice.expected_on else None,
                "links": {"public": f"{base}/api/v1/notices/{notice.number}"},
            },
        },
    }
