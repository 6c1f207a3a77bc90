"""What became of a layer from one version to another: zones added, removed, renamed, reshaped, and who gained what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import shapely
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from geo.faults import SLIVER_METRES, SMALLEST_M2, Area, Measure, polygons_of

ALIKE: Final = 0.9
"""Two zones under different codes are the same one if they share this much of their common ground."""


class Share(NamedTuple):
    """Ground that changed hands: whose it was or is (None: nobody's), and how much."""

    other: str | None
    m2: float


@dataclass(frozen=True)
class Change:
    """What became of one zone; None for what it was, or is, where it is new, or gone."""

    old: Area | None
    new: Area | None
    gained: list[Share] = field(default_factory=list)
    """From whom, the most first."""
    lost: list[Share] = field(default_factory=list)
    """To whom, the most first."""
    gained_shape: BaseGeometry | None = None
    lost_shape: BaseGeometry | None = None
    is_redrawn: bool = False
    """Whether all that changed are strips as narrow as a border drawn twice."""

    @property
    def area(self) -> Area:
        """The zone as it is, or was."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def kinds(self) -> list[str]:
        """Of `added`, `removed`, `renamed`, `recoded`, `reshaped`, `redrawn` those that are so; none: unchanged."""
        if self.old is None or self.new is None:
            return ["added" if self.old is None else "removed"]
        found = []
        if self.old.name != self.new.name:
            found.append("renamed")
        if self.old.code != self.new.code:
            found.append("recoded")
        if self.gained or self.lost:
            found.append("redrawn" if self.is_redrawn else "reshaped")
        return found

    def as_json(self) -> dict[str, Any]:
        """All but the shapes, as JSON values."""
        return {
            "code": self.area.code,
            "name": self.area.name,
            "kinds": self.kinds,
            "old_code": self.old.code if self.old else None,
            "old_name": self.old.name if self.old else None,
            "gained_m2": round(sum(share.m2 for share in self.gained), 1),
            "lost_m2": round(sum(share.m2 for share in self.lost), 1),
            "gained_from": [{"zone": share.other, "m2": round(share.m2, 1)} for share in self.gained],
            "lost_to": [{"zone": share.other, "m2": round(share.m2, 1)} for share in self.lost],
        }


def compare(old: Sequence[Area], new: Sequence[Area]) -> list[Change]:
    """What became of each zone (WGS84 areas), the new version's order first, then those that are gone.

    A zone is known by its code; a new code on nearly the same ground is the same zone under another code.
    """
    measure = Measure([*old, *new])
    before, after = _Version(old), _Version(new)
    pairs = _pairs(old, new)
    changes = [_change(pair[0], pair[1], before, after, measure) for pair in pairs]
    return [change for change in changes if change.kinds]


def as_geojson(changes: Sequence[Change]) -> dict[str, Any]:
    """The ground that was gained and lost, to look at on a map."""
    features = [
        {
            "type": "Feature",
            "properties": {"change": kind, **change.as_json()},
            "geometry": orjson.loads(shapely.to_geojson(shape)),
        }
        for change in changes
        for kind, shape in (("gained", change.gained_shape), ("lost", change.lost_shape))
        if shape is not None and not shape.is_empty
    ]
    return {"type": "FeatureCollection", "features": features}


class _Version:
    """The zones of one version and a tree of their shapes."""

    def __init__(self, areas: Sequence[Area]) -> None:
        self.areas = [area for area in areas if area.shape is not None]
        self.shapes = np.array([area.shape for area in self.areas], dtype=object)
        self.tree = STRtree(self.shapes)

    def owners(self, piece: BaseGeometry, but: Area | None, measure: Measure) -> list[Share]:
        """Whose the piece is in this version, the most first; `but` is left out."""
        found, taken = [], []
        for position in self.tree.query(piece, predicate="intersects").tolist():
            if self.areas[position] is but:
                continue
            shared = shapely.intersection(piece, self.shapes[position])
            m2 = measure.m2(shapely.MultiPolygon(polygons_of(shared)))
            if m2 > SMALLEST_M2:
                found.append(Share(self.areas[position].name, m2))
                taken.append(self.shapes[position])
        rest = shapely.difference(piece, shapely.union_all(np.array(taken, dtype=object))) if taken else piece
        nobodys = measure.m2(shapely.MultiPolygon(polygons_of(rest)))
        if nobodys > SMALLEST_M2:
            found.append(Share(None, nobodys))
        return sorted(found, key=lambda share: -share.m2)


def _pairs(old: Sequence[Area], new: Sequence[Area]) -> list[tuple[Area | None, Area | None]]:
    by_code = {area.code: area for area in old}
    pairs: list[tuple[Area | None, Area | None]] = []
    gone = {area.code: area for area in old if area.code not in {one.code for one in new}}
    for area in new:
        known = by_code.get(area.code) or _alike(area, list(gone.values()))
        if known is not None:
            gone.pop(known.code, None)
        pairs.append((known, area))
    return [*pairs, *((area, None) for area in gone.values())]


def _alike(area: Area, others: Sequence[Area]) -> Area | None:
    """The zone on nearly the same ground."""
    if area.shape is None:
        return None
    for other in others:
        if other.shape is None or not shapely.intersects(area.shape, other.shape):
            continue
        shared = shapely.area(shapely.intersection(area.shape, other.shape))
        if shared >= ALIKE * shapely.area(shapely.union(area.shape, other.shape)):
            return other
    return None


def _change(old: Area | None, new: Area | None, before: _Version, after: _Version, measure: Measure) -> Change:
    was = old.shape if old is not None and old.shape is not None else shapely.MultiPolygon()
    now = new.shape if new is not None and new.shape is not None else shapely.MultiPolygon()
    if shapely.equals_exact(was, now):
        return Change(old, new)
    gained, lost = _areas(shapely.difference(now, was)), _areas(shapely.difference(was, now))
    parts = np.array([*polygons_of(gained), *polygons_of(lost)], dtype=object)
    _, widths = measure.sizes(parts) if len(parts) else (None, np.zeros(0))
    return Change(
        old,
        new,
        gained=before.owners(gained, old, measure),
        lost=after.owners(lost, new, measure),
        gained_shape=gained,
        lost_shape=lost,
        is_redrawn=bool((widths < SLIVER_METRES).all()),
    )


def _areas(shape: BaseGeometry) -> BaseGeometry:
    return shapely.MultiPolygon(polygons_of(shape))
