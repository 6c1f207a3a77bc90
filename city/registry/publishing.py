"""Publishing zones: a layer with serious faults is put into force only for a reason, and who did it is kept.

Faults are found by `geo.faults`; two offices that drew the same border twice (slivers) are no reason to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.errors import Conflict, InvalidInput
from city.registry import layers
from city.registry.layers import ZoneChanges, ZoneFields
from city.registry.tables import LayerPublication, ZoneLayer

SHORTEST_REASON: Final = 10
LONGEST_REASON: Final = 1_000
SEED: Final = "seed"
"""Who publishes the layers of the demo."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Who publishes what, with which faults (kind → how many; `serious` are those that stand against it)."""

    by: str
    valid_from: date | None = None
    source: str | None = None
    faults: Mapping[str, int] = field(default_factory=dict)
    serious: Mapping[str, int] = field(default_factory=dict)
    accepted_because: str | None = None


def publish(
    session: WriteSession, layer: ZoneLayer, zones: Sequence[ZoneFields], publication: Publication
) -> ZoneChanges:
    """Put the zones into the layer in place of those it had, and keep who did it and why.

    Where nothing changes, nothing is asked and nothing kept. Raises Conflict `zones.faulty` for serious faults without
    a reason, InvalidInput for a reason that says nothing or for zones that cannot be.
    """
    reason = _reason(publication.accepted_because)
    first_day = publication.valid_from or datetime.now(UTC).date()
    changes = layers.put_zones(session, layer, zones, valid_from=first_day)
    if not (changes.added or changes.changed or changes.closed or changes.removed):
        return changes
    if publication.serious and reason is None:
        raise Conflict("zones.faulty", field="accept", layer=layer.slug)
    session.add(
        LayerPublication(
            municipality_id=layer.municipality_id,
            layer_id=layer.id,
            published_by=publication.by,
            valid_from=first_day,
            source=publication.source,
            zones=len(zones),
            faults=dict(publication.faults),
            accepted_because=reason if publication.serious else None,
        )
    )
    session.flush()
    return changes


def publications(session: ReadSession, layer: ZoneLayer) -> list[LayerPublication]:
    """Who published the layer, the newest first."""
    of_layer = select(LayerPublication).where(
        LayerPublication.municipality_id == layer.municipality_id, LayerPublication.layer_id == layer.id
    )
    newest_first = LayerPublication.published_at.desc(), LayerPublication.id.desc()
    return list(session.scalars(of_layer.order_by(*newest_first)))


def _reason(given: str | None) -> str | None:
    if given is None:
        return None
    reason = " ".join(given.split())
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise InvalidInput("zones.no_reason", field="accept", shortest=SHORTEST_REASON, longest=LONGEST_REASON)
    return reason
