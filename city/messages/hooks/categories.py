"""Categories for webhooks: whoever keeps copies of reports hears that those of a category are to be read anew.

A category's privacy is no change of any report, and leaves no entry in their timelines.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from city.database import PROVINCE
from city.messages.hooks.tables import HookDelivery, Webhook
from city.registry.municipality import CategoryView, MunicipalityView

REPUBLISHED: Final = "category.republished"
CATEGORY_EVENTS: Final[dict[str, str]] = {
    REPUBLISHED: "the reports of a category have become public, coarse or hidden: read them anew"
}


def rows(
    hooks: Sequence[Webhook], municipality: MunicipalityView, category: CategoryView, change: int
) -> list[dict[str, Any]]:
    """What is written down for whom, as `following` takes it; `change`: which change it was."""
    return [
        {
            "municipality_id": hook.municipality_id,
            "webhook_id": hook.id,
            "event": REPUBLISHED,
            "about_id": municipality.id,
            "subject_id": UUID(int=category.id),
            "entry_id": change,
            "happened_at": datetime.now(UTC),
        }
        for hook in hooks
        if _wants(hook, municipality, category)
    ]


def _wants(hook: Webhook, municipality: MunicipalityView, category: CategoryView) -> bool:
    """Filters of zones, departments and states let it through: reports that they have let through may be among them."""
    return (
        hook.municipality_id in {PROVINCE, municipality.id}
        and (not hook.events or REPUBLISHED in hook.events)
        and (not hook.groups or category.group.slug in hook.groups)
    )


def payload(delivery: HookDelivery, municipality: MunicipalityView) -> dict[str, Any] | None:
    """What the endpoint is told: the category as it is now; None where there is none any more."""
    category = municipality.category_ids.get(delivery.subject_id.int)
    if category is None:
        return None
    return {
        "type": delivery.event,
        "timestamp": delivery.happened_at.isoformat(),
        "data": {
            "municipality": municipality.slug,
            "category": category.slug,
            "group": category.group.slug,
            "privacy": category.privacy,
        },
    }
