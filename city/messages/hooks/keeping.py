"""Webhooks kept by administrators: endpoints of their other systems, the secrets they share with us, what they want."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, update

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.messages.hooks.categories import CATEGORY_EVENTS
from city.messages.hooks.events import REPORT_EVENTS
from city.messages.hooks.noticing import NOTICE_EVENTS
from city.messages.hooks.tables import HookDelivery, HookPosition, Webhook
from city.outside.webhook import new_secret
from city.position import Position
from city.registry.municipality import Registry
from city.reports.identity import new_id
from city.reports.lifecycle import State
from city.sealing import sealed, unsealed

MOST: Final = 20
"""Of one municipality."""
ROTATION: Final = timedelta(days=1)
"""How long an old secret is good beside the new one."""
SWITCHED_OFF: Final = "switched_off"
"""The problem of what was waiting when its webhook was switched off."""
_PURPOSE: Final = "webhook"


@dataclass(frozen=True, slots=True)
class HookFields:
    """A webhook, as it should be; an empty filter lets everything through."""

    address: str
    description: str = ""
    events: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    departments: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    is_public_only: bool = True
    has_notes: bool = False
    is_active: bool = True


def listed(session: ReadSession, owner_id: int) -> list[Webhook]:
    """The webhooks of a municipality, or (0) of the province."""
    return list(
        session.scalars(select(Webhook).where(Webhook.municipality_id == owner_id).order_by(Webhook.created_at))
    )


def one(session: ReadSession, owner_id: int, hook_id: UUID) -> Webhook:
    """One of them. Raises NotFound."""
    found = session.get(Webhook, (owner_id, hook_id))
    if found is None:
        raise NotFound("hooks.not_found", value=hook_id)
    return found


def add(session: WriteSession, registry: Registry, owner_id: int, fields: HookFields) -> tuple[Webhook, str]:
    """A new one, and its secret, which is told this once. Needs `provincial()`. Raises InvalidInput."""
    _check(registry, owner_id, fields)
    many = session.scalar(select(func.count()).select_from(Webhook).where(Webhook.municipality_id == owner_id))
    if (many or 0) >= MOST:
        raise InvalidInput("hooks.too_many", field="address", most=MOST)
    if fields.is_active:
        begin_reading(session)
    secret = new_secret()
    hook = Webhook(municipality_id=owner_id, id=new_id(), secret=sealed(secret, _PURPOSE))
    _fill(hook, fields)
    session.add(hook)
    session.flush()
    return hook, secret


def change(session: WriteSession, registry: Registry, hook: Webhook, fields: HookFields) -> None:
    """Change it. Switched on again, it is told what happens from now on. Needs `provincial()`. Raises InvalidInput."""
    _check(registry, hook.municipality_id, fields)
    if fields.is_active and not hook.is_active:
        begin_reading(session)
    if hook.is_active and not fields.is_active:
        switch_off(session, hook, None)
    elif fields.is_active:
        hook.off_reason, hook.failures, hook.failing_since, hook.rests_until = None, 0, None, datetime.now(UTC)
    _fill(hook, fields)
    hook.changed_at = datetime.now(UTC)
    session.flush()


def switch_off(session: WriteSession, hook: Webhook, reason: str | None) -> None:
    """Tell it nothing any more; whatever is waiting becomes a dead letter. `reason`: None where a person did it."""
    hook.is_active, hook.off_reason = False, reason
    session.execute(
        update(HookDelivery)
        .where(
            HookDelivery.municipality_id == hook.municipality_id,
            HookDelivery.webhook_id == hook.id,
            HookDelivery.state == "waiting",
        )
        .values(state="dead", problem=SWITCHED_OFF)
        .execution_options(synchronize_session=False)
    )


def needs_active(hook: Webhook) -> None:
    """Raises Conflict where it is switched off: what would be sent to it would wait for nobody."""
    if not hook.is_active:
        raise Conflict("hooks.is_off")


def rotate(hook: Webhook, now: datetime) -> str:
    """A new secret, told this once; the old one is good for a day longer, and both signatures are sent."""
    secret = new_secret()
    hook.old_secret, hook.old_secret_until = hook.secret, now + ROTATION
    hook.secret = sealed(secret, _PURPOSE)
    return secret


def secrets_of(hook: Webhook, now: datetime) -> list[str]:
    """What it is signed with, the newest first. Raises Unavailable where the installation's secret is another one."""
    kept = [hook.secret]
    if hook.old_secret is not None and hook.old_secret_until is not None and now < hook.old_secret_until:
        kept.append(hook.old_secret)
    return [unsealed(secret, _PURPOSE) for secret in kept]


def begin_reading(session: WriteSession) -> None:
    """Before a webhook is switched on: where there is no other, the timeline is read from here on.

    The lock on the position makes whoever switches on wait for one another, and for whoever reads.
    """
    position = session.get_one(HookPosition, 1, with_for_update=True)
    if session.scalar(select(Webhook.id).where(Webhook.is_active).limit(1)) is None:
        here = session.raw.execute("SELECT pg_current_snapshot()::text, extract(epoch FROM now())::bigint").fetchone()
        assert here is not None
        position.seen = str(Position.of(*here))


def _fill(hook: Webhook, fields: HookFields) -> None:
    for name in HookFields.__slots__:
        setattr(hook, name, getattr(fields, name))


def _check(registry: Registry, owner_id: int, fields: HookFields) -> None:
    """Raises InvalidInput for a filter that could never let anything through, naming what there is."""
    here = registry.municipalities.values() if owner_id == PROVINCE else [registry.municipalities[owner_id]]
    known: dict[str, Iterable[str]] = {
        "events": (*REPORT_EVENTS, *NOTICE_EVENTS, *CATEGORY_EVENTS),
        "groups": registry.groups,
        "departments": {slug for municipality in here for slug in municipality.departments},
        "zones": {zone.path for municipality in here for zone in municipality.zones.values()},
        "states": [state.value for state in State],
    }
    for name, names in known.items():
        for value in getattr(fields, name):
            if value not in names:
                raise InvalidInput("hooks.unknown", field=name, value=value, known=", ".join(sorted(names)[:50]))
