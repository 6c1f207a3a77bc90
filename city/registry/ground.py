"""Many places at once on the ground of a municipality, and that ground as it would be with other zones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from city.registry.layers import ZoneFields
from city.registry.municipality import MunicipalityView, ZoneView
from city.registry.reading import forgiving
from geo.zones import ZoneIndex, ZoneShape


@dataclass(frozen=True, slots=True)
class ZoneSets:
    """The different sets of zones that were met, and for each place which of them holds it (shape (n,))."""

    sets: list[tuple[ZoneView, ...]]
    which: NDArray[np.intp]


def zone_sets(
    municipality: MunicipalityView, lons: NDArray[np.float64], lats: NDArray[np.float64], day: date
) -> ZoneSets:
    """The zones in force on `day` at many places, as `zones_at` of the view finds them: arrays of degrees, (n,)."""
    index = municipality.index
    views = [municipality.zones[key] for key in index.keys]
    counts = np.array([zone.counts_on(day) for zone in views], dtype=bool)
    found = index.lookup(lons, lats)
    kept = counts[found.shapes] if views else np.zeros(0, dtype=bool)
    places, shapes = [found.places[kept]], [found.shapes[kept]]
    for layer, zones in municipality.forgiving.items():
        of_layer = np.array([view.layer == layer for view in views], dtype=bool)
        free = np.ones(len(lons), dtype=bool)
        free[places[0][of_layer[shapes[0]]]] = False
        outside = free.nonzero()[0]
        reach = {zone.id: zone.tolerance_metres for zone in zones if zone.counts_on(day)}
        near = index.just_outside_many(lons[outside], lats[outside], reach)
        places.append(outside[near >= 0])
        shapes.append(near[near >= 0])
    return _grouped(len(lons), views, np.concatenate(places), np.concatenate(shapes))


def _grouped(count: int, views: Sequence[ZoneView], places: NDArray[np.intp], shapes: NDArray[np.intp]) -> ZoneSets:
    """Pairs of place and zone as sets of zones: in a table with a row for each place, equal rows are one set."""
    order = np.argsort(places, kind="stable")
    places, shapes = places[order], shapes[order]
    first = np.searchsorted(places, places, side="left")
    column = np.arange(len(places)) - first
    table = np.full((count, int(column.max(initial=-1)) + 1), -1, dtype=np.int32)
    table[places, column] = shapes
    if not table.shape[1]:
        return ZoneSets([()], np.zeros(count, dtype=np.intp))
    rows, which = np.unique(table, axis=0, return_inverse=True)
    sets = [tuple(views[position] for position in row if position >= 0) for row in rows.tolist()]
    return ZoneSets(sets, which.reshape(-1))


def with_zones(
    municipality: MunicipalityView, layer: str, zones: Sequence[ZoneFields], tolerance_metres: float = 0.0
) -> MunicipalityView:
    """The municipality as it would be with these zones in the layer, in place of those it has. Nothing is kept."""
    views = {
        -number: ZoneView(-number, layer, zone.code, zone.name, date.min, None, tolerance_metres)
        for number, zone in enumerate(zones, start=1)
    }
    shapes = [ZoneShape(-number, zone.shape, zone.half_width_metres) for number, zone in enumerate(zones, start=1)]
    old = municipality.index
    others = [
        ZoneShape(key, area)
        for key, area in zip(old.keys, old.areas, strict=True)
        if municipality.zones[key].layer != layer
    ]
    known = {key: zone for key, zone in municipality.zones.items() if zone.layer != layer} | views
    return replace(municipality, zones=known, index=ZoneIndex([*others, *shapes]), forgiving=forgiving(known.values()))
