"""Two versions of a layer side by side: two days, or what is in force and a file that is not imported yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from city.database import ReadSession, provincial
from city.errors import InvalidInput
from city.registry import versions
from city.registry.versions import Owned
from commands.layers import Source
from commands.zone_import import ZoneTarget, read_zones
from geo.faults import Area
from geo.zone_changes import Change, compare


@dataclass(frozen=True)
class Wanted:
    """What to compare: the layer on two days, or on one day and in a file."""

    owner: str
    layer: str
    before: date | None = None
    after: date | None = None
    file: Path | None = None
    half_width_metres: float | None = None
    crs: str | None = None


@dataclass(frozen=True)
class Compared:
    """Two versions and what became of each zone."""

    owned: Owned
    before: date
    after: date | Path
    old: Sequence[Area]
    new: Sequence[Area]
    changes: Sequence[Change]

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "owner": self.owned.owner.slug,
            "layer": self.owned.layer.slug,
            "from": self.before.isoformat(),
            "to": self.after.name if isinstance(self.after, Path) else self.after.isoformat(),
            "zones": {"from": len(self.old), "to": len(self.new)},
            "changes": [change.as_json() for change in self.changes],
        }


def compare_versions(wanted: Wanted, today: date) -> Compared:
    """What changes. Without days: from the version before the one in force to that; with a file: from today to it.

    Raises NotFound for a layer that is not there, InvalidInput for one that has only one version, or a wrong file.
    """
    with provincial() as session:
        (owned,) = versions.layers(session, wanted.owner, wanted.layer)
        if wanted.file is not None:
            before: date = wanted.before or today
            after: date | Path = wanted.file
            new = _in_file(session, owned, wanted)
        else:
            after = wanted.after or today
            before = wanted.before or _day_before(session, owned, after)
            new = versions.as_areas(versions.zones_on(session, owned.layer, after))
        old = versions.as_areas(versions.zones_on(session, owned.layer, before))
    return Compared(owned, before, after, old, new, compare(old, new))


def _in_file(session: ReadSession, owned: Owned, wanted: Wanted) -> list[Area]:
    assert wanted.file is not None
    target = ZoneTarget(owned.owner.slug, owned.layer.slug, owned.layer.kind, wanted.half_width_metres)
    _, zones = read_zones(session, Source(wanted.file, wanted.crs), target)
    return versions.as_areas(zones)


def _day_before(session: ReadSession, owned: Owned, day: date) -> date:
    """The last day of the version before the one in force on `day`."""
    changed = [one for one in versions.days_of_change(session, owned.layer) if one <= day]
    if len(changed) < 2:  # noqa: PLR2004  (a version and one before it)
        raise InvalidInput("zones.one_version", field="from", layer=owned.layer.slug)
    return changed[-1] - timedelta(days=1)
