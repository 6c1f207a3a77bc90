"""What webhooks are told: the names of events, which of them an endpoint wants, and what is said of each.

An event is an entry of a report's timeline; those of notices stand in `noticing`, those of categories in `categories`.
What happened is said as it happened, the report as it is when the event is sent: so whatever has been hidden meanwhile
is not told. Nobody's data are ever in it; of words only staff's notes, and only for an endpoint that has that right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row

from city.database import PROVINCE, ReadSession
from city.messages.hooks.tables import HookDelivery, Webhook
from city.registry.municipality import MunicipalityView
from city.settings import settings

REPORT_EVENTS: Final[dict[str, str]] = {
    "report.received": "a report has come in",
    "report.assigned": "a department, crew or person was given it",
    "report.moved": "its state is another one (`from`, `to`)",
    "report.updated": "something was said or done, and its state stayed",
    "report.noted": "staff wrote an internal note",
    "report.recategorised": "its category was corrected",
    "report.published": "the office chose what everybody may read and see of it",
    "report.withdrawn": "its reporter took it back",
    "report.merged": "it was joined to another one, or another one to it",
    "report.split": "it was parted from another one",
    "report.promised": "a date was promised, taken back, or has passed",
    "report.escalated": "its time runs out, and somebody was told",
    "report.handed_over": "it went to an outside body or another municipality, or something about that changed",
}
PING: Final = "ping"
"""Of the test button only."""

_NAMES: Final[dict[str, str | None]] = {
    "received": "report.received",
    "assigned": "report.assigned",
    "rerouted": "report.assigned",
    "crew": "report.assigned",
    "person": "report.assigned",
    "note": "report.noted",
    "recategorised": "report.recategorised",
    "released": "report.published",
    "merged": "report.merged",
    "split": "report.split",
    "promised": "report.promised",
    "promise_taken_back": "report.promised",
    "slipped": "report.promised",
    "escalated": "report.escalated",
    "forwarded": "report.handed_over",
    "returned": "report.handed_over",
    "received_from": "report.handed_over",
    "called_back": "report.handed_over",
    "news_there": "report.handed_over",
    # What happens to a master is an event of the master's own.
    "master_moved": None,
    "master_update": None,
    "master_news": None,
}
_TOLD_TO_ALL: Final = frozenset({"until"})
_TOLD_INSIDE: Final = _TOLD_TO_ALL | {"department", "crew", "duplicate", "master", "channel"}
_SLUGS: Final = frozenset({"recategorised", "rerouted"})
"""Of these entries `from` and `to` of the details are slugs of categories and departments."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An entry of the timeline, and the report it is about as it is now."""

    municipality_id: int
    entry_id: int
    transaction: int | None
    at: datetime
    what: str
    actor: str
    is_public: bool
    """Of the entry."""
    from_state: str | None
    to_state: str | None
    note: str | None
    details: Mapping[str, Any]
    report_id: UUID
    number: str
    state: str
    is_open: bool
    is_shown: bool
    """Of the report: whether everybody may see it."""
    version: int
    category_id: int
    group_slug: str
    department_id: int
    crew_id: int | None
    zone_ids: list[int]
    lon: float
    lat: float
    is_emergency: bool
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    promised_at: datetime | None

    @property
    def event(self) -> str | None:
        """The name under which it is told; None: it is not."""
        name = _NAMES[self.what] if self.what in _NAMES else self._named()
        return "report.withdrawn" if name and self.to_state == "withdrawn" else name

    def _named(self) -> str:
        if self.what.startswith("handover_"):
            return "report.handed_over"
        return "report.moved" if self.to_state not in {None, self.from_state} else "report.updated"


def message_id(delivery: HookDelivery) -> str:
    """The event's own id: the same for every endpoint, whenever it is told again."""
    return f"{kind_of(delivery)}_{delivery.about_id}_{delivery.entry_id}"


def kind_of(delivery: HookDelivery) -> str:
    """Of what it tells: `report`, `notice` (its `entry_id` is then that of the telling) or `category`."""
    return delivery.event.partition(".")[0]


COLUMNS: Final = """
  entry.municipality_id, entry.id AS entry_id, entry.transaction, entry.at, entry.what, entry.actor, entry.is_public,
  entry.from_state, entry.to_state, entry.note, entry.details,
  report.id AS report_id, report.number, report.state, report.is_open, report.is_public AS is_shown, report.version,
  report.category_id, report.group_slug, report.department_id, report.crew_id, report.zone_ids, report.lon, report.lat,
  report.is_emergency, report.created_at, report.updated_at, report.deadline_at, report.promised_at
"""
"""Of `entry` and its `report`: a Happening."""
JOINED: Final = "JOIN report ON report.municipality_id = entry.municipality_id AND report.id = entry.report_id"

_SOME: Final = f"""
SELECT {COLUMNS} FROM timeline_entry AS entry {JOINED}
WHERE entry.municipality_id = %s AND entry.id = ANY (%s)
"""  # noqa: S608


def happenings(session: ReadSession, municipality_id: int, entry_ids: list[int]) -> list[Happening]:
    """Those of these entries whose report is there, at a door that shows that municipality's rows."""
    with session.raw.cursor(row_factory=class_row(Happening)) as cursor:
        return cursor.execute(_SOME, [municipality_id, entry_ids]).fetchall()


def may_hear(hook: Webhook, what: Happening) -> bool:
    """Whether an endpoint may be told of it, as the endpoint and the report are now: asked when it is written down, and
    again when it is sent.
    """
    is_for_all = what.is_public and what.is_shown
    return hook.municipality_id in {PROVINCE, what.municipality_id} and (is_for_all or not hook.is_public_only)


def wants(hook: Webhook, what: Happening, municipality: MunicipalityView) -> bool:
    """Whether an endpoint is told of it."""
    return (
        what.event is not None
        and may_hear(hook, what)
        and _lets(hook.events, what.event)
        and _lets(hook.groups, what.group_slug)
        and _lets(hook.departments, municipality.by_id[what.department_id].slug)
        and _lets(hook.states, what.to_state or what.state)
        and (not hook.zones or not set(hook.zones).isdisjoint(_zones(municipality, what)))
    )


def _lets(wanted: list[str], found: str) -> bool:
    return not wanted or found in wanted


def _zones(municipality: MunicipalityView, what: Happening) -> list[str]:
    found = (municipality.zones.get(zone_id) for zone_id in what.zone_ids)
    return [zone.path for zone in found if zone is not None]


def payload(hook: Webhook, what: Happening, municipality: MunicipalityView, *, is_replay: bool) -> dict[str, Any]:
    """What the endpoint is told."""
    report = _report(hook, what, municipality)
    data: dict[str, Any] = {
        "municipality": municipality.slug,
        "what": what.what,
        "actor": what.actor,
        "is_public": what.is_public,
        "from": what.from_state,
        "to": what.to_state,
        "change": _change(hook, what),
        "is_replay": is_replay,
        "report": report,
    }
    if hook.has_notes:
        data["note"] = what.note if what.actor == "staff" else None
    return {"type": what.event, "timestamp": what.at.isoformat(), "data": data}


def _change(hook: Webhook, what: Happening) -> dict[str, str | int]:
    """Slugs, numbers and dates of the entry; never a name or a word."""
    told = _TOLD_TO_ALL if hook.is_public_only else _TOLD_INSIDE
    if what.what in _SLUGS and not hook.is_public_only:
        told |= {"from", "to"}
    return {key: value for key, value in what.details.items() if key in told and isinstance(value, str | int)}


def _report(hook: Webhook, what: Happening, municipality: MunicipalityView) -> dict[str, Any]:
    base = settings().public_url.rstrip("/")
    links = {"public": f"{base}/api/v1/reports/{what.number}" if what.is_shown else None}
    inside: dict[str, Any] = {}
    if not hook.is_public_only:
        crew = municipality.crew_ids.get(what.crew_id or 0)
        links["desk"] = f"{base}/api/v1/desk/reports/{what.report_id}"
        inside = {"crew": crew.slug if crew else None, "is_emergency": what.is_emergency, "is_public": what.is_shown}
    return {
        "id": str(what.report_id),
        "number": what.number,
        "state": what.state,
        "is_open": what.is_open,
        "version": what.version,
        "category": municipality.category_ids[what.category_id].slug,
        "group": what.group_slug,
        "department": municipality.by_id[what.department_id].slug,
        "zones": _zones(municipality, what),
        "place": {"lon": what.lon, "lat": what.lat},
        "created_at": what.created_at.isoformat(),
        "updated_at": what.updated_at.isoformat(),
        "deadline_at": what.deadline_at.isoformat(),
        "promised_at": what.promised_at.isoformat() if what.promised_at else None,
        "links": links,
        **inside,
    }
